"""Credentials for the mail server of the tests."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from flowstone_email import EmailServerCredentials

if TYPE_CHECKING:
    from tests.services.mail import Way

PASSWORD = f"canary-{secrets.token_hex(12)}"


def login(port: int, way: Way = "SSL", password: str = PASSWORD) -> EmailServerCredentials:
    """Return credentials for a desk on this machine."""
    return EmailServerCredentials(
        smtp_server="127.0.0.1",
        smtp_port=port,
        smtp_type=way,
        username="me@example.org",
        password=password,
        verify=False,
    )
