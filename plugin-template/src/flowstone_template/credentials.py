"""TemplateCredentials: credentials of the service; only this module reads its keys."""

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
    """Credentials of the service; by default ``TEMPLATE_URL`` and ``TEMPLATE_TOKEN`` are read."""

    _block_type_name: ClassVar[str | None] = "Template Credentials"
    _block_type_slug: ClassVar[str | None] = "template-credentials"
    _description: ClassVar[str | None] = "Credentials of the service."
    _code_example: ClassVar[str | None] = (
        'TemplateCredentials(url="https://example.org", token="...").save("mine")'
    )

    url: str | None = Field(default=None, description="The URL of the service: https://host:port.")
    token: SecretStr | None = Field(default=None, description="The access token.")
    timeout_seconds: float = Field(default=30.0, gt=0, description="Timeout of connects and reads.")

    @field_validator("url")
    @classmethod
    def _hold_no_login(cls, url: str | None) -> str | None:
        if url is not None and "@" in urlsplit(url).netloc:
            raise ValueError("it contains credentials: set `token`, which is secret")
        return url

    def client(self, **options: Any) -> httpx.Client:
        """Open a client; close it when you are done, preferably with `with`.

        Args:
            **options: options of `httpx.Client`; they override those of the block.

        Raises:
            CredentialsError: neither the block nor the environment has the URL of the service.
        """
        url = self.url or os.environ.get("TEMPLATE_URL")
        if not url:
            problem, remedy = "`url` is not set", "Set it, or TEMPLATE_URL."
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
        """Return the name of the user that the credentials belong to.

        Raises:
            CredentialsError: the service refused them.
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
    """Return one context for all clients, as creating one takes 20 ms."""
    return ssl.create_default_context()
