"""TemplateCredentials: a login to the service; the only reader of its keys."""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, field_validator

from flowstone.blocks import Credentials
from flowstone.errors import CredentialsError
from flowstone_template.errors import translate_errors


class TemplateCredentials(Credentials):
    """A login to the service; with no fields, ``TEMPLATE_URL`` and ``TEMPLATE_TOKEN`` are read."""

    _block_type_name: ClassVar[str | None] = "Template Credentials"
    _block_type_slug: ClassVar[str | None] = "template-credentials"
    _description: ClassVar[str | None] = "A login to the service."
    _code_example: ClassVar[str | None] = (
        'TemplateCredentials(url="https://example.org", token="...").save("mine")'
    )

    url: str | None = Field(default=None, description="Where the service is: https://host:port.")
    token: SecretStr | None = Field(default=None, description="The access token.")
    timeout_seconds: float = Field(default=30.0, gt=0, description="To connect, and between bytes.")

    @field_validator("url")
    @classmethod
    def _hold_no_login(cls, url: str | None) -> str | None:
        if url is not None and "@" in urlsplit(url).netloc:
            raise ValueError("it holds a login: give `token`, which is kept secret")
        return url

    def client(self, **options: Any) -> httpx.Client:
        """Open a client; close it when you are done, best by `with`.

        Args:
            **options: of `httpx.Client`; they win over those of the block.

        Raises:
            CredentialsError: neither the block nor the environment says where the service is.
        """
        url = self.url or os.environ.get("TEMPLATE_URL")
        if not url:
            problem, remedy = "there is no url", "Give it one, or set TEMPLATE_URL."
            raise CredentialsError(type(self).__name__, problem, remedy)
        token = self.token.get_secret_value() if self.token else os.environ.get("TEMPLATE_TOKEN")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        base: dict[str, Any] = {
            "base_url": url,
            "headers": headers,
            "timeout": self.timeout_seconds,
            "verify": _tls(),
        }
        return httpx.Client(**{**base, **options})

    def whoami(self) -> str:
        """Return the name of the user that the login is for.

        Raises:
            CredentialsError: the service refused it.
            Unreachable: the service did not answer.
        """
        with self.client() as client, translate_errors(str(client.base_url)):
            response = client.get("/", params={"whoami": "1"})
            response.raise_for_status()
            return response.text

    def _check(self) -> str:
        return f"user {self.whoami()!r}"


@cache
def _tls() -> ssl.SSLContext:
    """Return one context for all clients: each takes 20 ms to make."""
    return ssl.create_default_context()
