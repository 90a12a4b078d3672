"""SlackCredentials: the token of a bot, and the client that posts with it."""

from __future__ import annotations

import os
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from slack_sdk import WebClient

from flowstone.blocks import Credentials
from flowstone.errors import CredentialsError
from flowstone_slack.errors import translate_errors

#: What Slack's own libraries read where no token is given.
VARIABLE = "SLACK_BOT_TOKEN"


class SlackCredentials(Credentials):
    """The token of a bot of Slack."""

    _block_type_name: ClassVar[str | None] = "Slack Credentials"
    _description: ClassVar[str | None] = "The token of a bot of Slack."
    _code_example: ClassVar[str | None] = (
        'SlackCredentials(token="xoxb-…").save("bot")\n'
        'send_chat_message("#alerts", SlackCredentials.load("bot"), "3 rows are missing")'
    )

    token: SecretStr | None = Field(
        default=None, description="The bot's token; by default that in SLACK_BOT_TOKEN."
    )
    base_url: str = Field(
        default="https://slack.com/api/", description="Where the API is; GovSlack has its own."
    )
    timeout_seconds: int = Field(
        default=30, gt=0, le=600, description="How long Slack may take to answer, in seconds."
    )

    @field_validator("base_url")
    @classmethod
    def _has_no_login(cls, value: str) -> str:
        if "@" in urlsplit(value).netloc:
            raise ValueError("a login in a URL is shown and saved; the token is all that is needed")
        return value

    def client(self) -> WebClient:
        """Return a client of Slack's own SDK.

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
        """Do as `client`, under the name that many know it by."""
        return self.client()

    def _check(self) -> str:
        with translate_errors(self):
            found = self.client().auth_test()
        return f"{found['user']} in {found['team']}"
