"""What the fakes of AWS's services have in common on the wire."""

from __future__ import annotations

ACCOUNT, REGION = "123456789012", "us-east-1"


class Refusal(Exception):
    """An error in AWS's words."""

    def __init__(self, code: str, text: str, status: int = 400) -> None:
        self.code, self.text, self.status = code, text, status
        super().__init__(f"{code}: {text}")


def make_arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"
