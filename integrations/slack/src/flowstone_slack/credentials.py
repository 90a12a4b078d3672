"""SlackCredentials: the token of a bot, and a client that uses it."""

from __future__ import annotations

import os
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from slack_sdk import WebClient

from flowstone.blocks import Credentials
from flowstone.errors import CredentialsError
from flowstone_slack.errors import translate_errors

#: The environment variable that Slack's libraries read by default.
VARIABLE = "SLACK_BOT_TOKEN"


class SlackCredentials(Credentials):
    """The token of a Slack bot."""

    _block_type_name: ClassVar[str | None] = "Slack Credentials"
    _description: ClassVar[str | None] = "The token of a Slack bot."
    _code_example: ClassVar[str | None] = (
        'SlackCredentials(token="xoxb-…").save("bot")\n'
        'send_chat_message("#alerts", SlackCredentials.load("bot"), "3 rows are missing")'
    )

    token: SecretStr | None = Field(
        default=None, description="The bot's token; by default SLACK_BOT_TOKEN."
    )
    base_url: str = Field(
        default="https://slack.com/api/", description="The URL of the API; GovSlack has its own."
    )
    timeout_seconds: int = Field(
        default=30, gt=0, le=600, description="Timeout of a response from Slack, in seconds."
    )

    @field_validator("base_url")
    @classmethod
    def _has_no_login(cls, value: str) -> str:
        if "@" in urlsplit(value).netloc:
            raise ValueError("the URL contains credentials, which would be shown; use `token`")
        return value

    def client(self) -> WebClient:
        """Return a client of Slack's SDK.

        Raises:
            CredentialsError: there is no token.
        """
        token = self.token.get_secret_value() if self.token else os.environ.get(VARIABLE)
        if not token:
            remedy = f"Set `token`, or the environment's {VARIABLE}."
            raise CredentialsError(self.block_type_name(), "it has no token", remedy)
        base = self.base_url.rstrip("/") + "/"
        return WebClient(token=token, base_url=base, timeout=self.timeout_seconds)

    def get_client(self) -> WebClient:
        """Alias of `client`."""
        return self.client()

    def _check(self) -> str:
        with translate_errors(self):
            found = self.client().auth_test()
        return f"{found['user']} in {found['team']}"
