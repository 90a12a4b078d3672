"""Azure Key Vault on this machine, by https; the official SDK asks it with tokens of `entra`.

The routes and answers are those of Microsoft's pages:

- the challenge that names tenant and resource:
  https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses
- ``PUT /secrets/{name}``: https://learn.microsoft.com/rest/api/keyvault/secrets/set-secret/set-secret
- ``GET /secrets/{name}/{version}``:
  https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
- ``GET /secrets``, in pages of 25:
  https://learn.microsoft.com/rest/api/keyvault/secrets/get-secrets/get-secrets
- ``DELETE /secrets/{name}``, which can be recovered:
  https://learn.microsoft.com/rest/api/keyvault/secrets/delete-secret/delete-secret
- ``GET /deletedsecrets/{name}`` and ``POST /deletedsecrets/{name}/recover``:
  https://learn.microsoft.com/rest/api/keyvault/secrets/recover-deleted-secret/recover-deleted-secret
- what names and values may be:
  https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
- errors: https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
"""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from tests.services.certificates import find_authority
from tests.services.entra import HOST, Entra
from tests.services.web import Handler, serve_web

if TYPE_CHECKING:
    from collections.abc import Iterator

VAULT = "https://vault.azure.net"
NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
#: The longest value, in bytes.
LONGEST = 25_600
PAGE = 25
Answer = tuple[int, dict[str, Any]]


def refuse(status: int, code: str, message: str, inner: str = "") -> Answer:
    error: dict[str, Any] = {"code": code, "message": message}
    if inner:
        error["innererror"] = {"code": inner}
    return status, {"error": error}


@dataclass
class Kept:
    """A secret: its versions in their order, by id."""

    versions: dict[str, str] = field(default_factory=dict)
    is_deleted: bool = False
    is_enabled: bool = True


class Vault:
    """What a loopback server answers in the place of a vault.

    Attributes:
        url: its address.
        tenant: whose it is.
        secrets: by name.
        denied: whether all requests are denied by its policy.
        resource: what it wants tokens for.
        asked: method and path of the requests that had a token.
    """

    def __init__(self, entra: Entra, tenant: str) -> None:
        self.url, self.tenant, self._entra = "", tenant, entra
        self.secrets: dict[str, Kept] = {}
        self.denied = False
        self.resource = VAULT
        self.asked: list[str] = []
        self._lock = RLock()

    @property
    def challenge(self) -> str:
        return f'Bearer authorization="{HOST}/{self.tenant}", resource="{self.resource}"'

    def answer(self, method: str, path: str, login: str, body: dict[str, Any]) -> Answer:
        with self._lock:
            if not self._entra.is_for(login, self.resource):
                return refuse(401, "Unauthorized", "AKV10000: Request is missing a Bearer token.")
            parts = urlsplit(path)
            self.asked.append(f"{method} {parts.path}")
            if self.denied:
                message = "Caller is not authorized to perform action on resource."
                return refuse(403, "Forbidden", message, "ForbiddenByRbac")
            _, kind, *rest = parts.path.rstrip("/").split("/")
            match method, kind, rest:
                case "GET", "secrets", []:
                    return self._list(parse_qs(parts.query))
                case "PUT", "secrets", [name]:
                    return self._set(name, body["value"])
                case "GET", "secrets", [name, *version]:
                    return self._get(name, *version)
                case "DELETE", "secrets", [name]:
                    return self._delete(name)
                case "GET", "deletedsecrets", [name]:
                    return self._get_deleted(name)
                case "POST", "deletedsecrets", [name, "recover"]:
                    return self._recover(name)
        return refuse(405, "MethodNotAllowed", f"{method} {path}")

    def _find(self, name: str, *, deleted: bool = False) -> Kept | None:
        found = self.secrets.get(name)
        return found if found is not None and found.is_deleted == deleted else None

    def _miss(self, name: str) -> Answer:
        message = f"A secret with (name/id) {name} was not found in this key vault."
        return refuse(404, "SecretNotFound", message)

    def _set(self, name: str, value: str) -> Answer:
        if NAME.fullmatch(name) is None:
            return refuse(400, "BadParameter", f"The request URI contains an invalid name: {name}")
        if len(value.encode()) > LONGEST:
            return refuse(400, "BadParameter", f"The property value has more than {LONGEST} bytes.")
        kept = self.secrets.setdefault(name, Kept())
        if kept.is_deleted:
            message = f"Secret {name} is currently in a deleted but recoverable state."
            return refuse(409, "Conflict", message, "ObjectIsDeletedButRecoverable")
        version = uuid4().hex
        kept.versions[version] = value
        return 200, self._describe(name, version, value)

    def _get(self, name: str, version: str = "") -> Answer:
        kept = self._find(name)
        if kept is None or (version and version not in kept.versions):
            return self._miss(f"{name}/{version}")
        if not kept.is_enabled:
            message = "Operation get is not allowed on a disabled secret."
            return refuse(403, "Forbidden", message, "SecretDisabled")
        version = version or [*kept.versions][-1]
        return 200, self._describe(name, version, kept.versions[version])

    def _list(self, query: dict[str, list[str]]) -> Answer:
        start = int(query.get("$skiptoken", ["0"])[0])
        names = sorted(name for name, kept in self.secrets.items() if not kept.is_deleted)
        page = [
            {"id": f"{self.url}/secrets/{name}", "attributes": {"enabled": True}}
            for name in names[start : start + PAGE]
        ]
        following = start + PAGE
        link = f"{self.url}/secrets?api-version=7.6&$skiptoken={following}"
        return 200, {"value": page, "nextLink": link if following < len(names) else None}

    def _delete(self, name: str) -> Answer:
        kept = self._find(name)
        if kept is None:
            return self._miss(name)
        kept.is_deleted = True
        return self._get_deleted(name)

    def _get_deleted(self, name: str) -> Answer:
        kept = self._find(name, deleted=True)
        if kept is None:
            return self._miss(name)
        found = self._describe(name, [*kept.versions][-1])
        return 200, {**found, "recoveryId": f"{self.url}/deletedsecrets/{name}"}

    def _recover(self, name: str) -> Answer:
        kept = self._find(name, deleted=True)
        if kept is None:
            return self._miss(name)
        kept.is_deleted = False
        return 200, self._describe(name, [*kept.versions][-1])

    def _describe(self, name: str, version: str, value: str | None = None) -> dict[str, Any]:
        now = int(time.time())
        found: dict[str, Any] = {
            "id": f"{self.url}/secrets/{name}/{version}",
            "attributes": {"enabled": True, "created": now, "updated": now},
        }
        return found if value is None else {**found, "value": value}


@contextmanager
def serve_key_vault(entra: Entra, tenant: str) -> Iterator[Vault]:
    """Answer in the place of a vault of a tenant on a free port."""
    vault = Vault(entra, tenant)

    class Secrets(Handler):
        def serve(self) -> None:
            login = self.headers.get("Authorization", "")
            body = json.loads(self.read_body() or b"{}")
            status, found = vault.answer(self.command, self.path, login, body)
            headers = {"Content-Type": "application/json"}
            if status == 401:
                headers["WWW-Authenticate"] = vault.challenge
            self.respond(status, json.dumps(found).encode(), headers)

        do_GET = do_PUT = do_POST = do_DELETE = serve

    with serve_web(Secrets, find_authority().make_context()) as server:
        vault.url = server.url
        yield vault
