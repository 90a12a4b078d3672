"""Microsoft Entra and a machine's identity service on this machine.

The routes and answers, each asked by the official SDK:

- ``/{tenant}/v2.0/.well-known/openid-configuration``:
  https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
- ``/{tenant}/oauth2/v2.0/token``, by a secret, a certificate, or a token of another issuer:
  https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
- the signed assertion of a certificate:
  https://learn.microsoft.com/entra/identity-platform/certificate-credentials
- ``/common/discovery/instance``, which the SDK asks where an answer is a refusal:
  https://learn.microsoft.com/entra/msal/dotnet/advanced/custom-authority-aliases
- ``/metadata/identity/oauth2/token``, of a virtual machine:
  https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
- what is in a token: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference

The SDK asks Entra at its own address, through a proxy (``HTTPS_PROXY``), which answers itself.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from tests.services.certificates import find_authority
from tests.services.web import Handler, serve_web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.x509 import Certificate

HOST = "https://login.microsoftonline.com"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: The client id by which the identity that a machine has anyway is known here.
SYSTEM = "of-the-machine"
#: The tenant of a machine's identities.
MACHINE = "tenant-of-the-machine"


@dataclass(frozen=True)
class App:
    """A service principal: how it logs in to its tenant."""

    tenant: str
    secret: str | None = None
    certificate: Certificate | None = None
    federated: str | None = None


class Entra:
    """What a loopback server answers in the place of Entra and of a machine's identity service.

    Attributes:
        url: its address.
        ca: the certificate that a client has to trust.
        apps: the service principals, by client id.
        identities: client ids of the machine's identities.
        seconds: how long a token is said to be good.
        given: the tokens so far.
        asked: what was asked of each route.
    """

    def __init__(self) -> None:
        self.url = ""
        self.ca: Path = find_authority().ca
        self.apps: dict[str, App] = {}
        self.identities: set[str] = set()
        self.seconds = 86400
        self.given: list[str] = []
        self.asked: list[tuple[str, dict[str, str]]] = []

    def list_settings(self) -> dict[str, str]:
        """Return the environment in which the SDK asks here."""
        proxy = {"HTTPS_PROXY": self.url, "https_proxy": self.url}
        direct = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        return {
            **proxy,
            **direct,
            "REQUESTS_CA_BUNDLE": str(self.ca),
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": self.url,
        }

    def find_client_id(self, token: str) -> str:
        """Return who has a token."""
        claims: dict[str, str] = jwt.decode(token, options={"verify_signature": False})
        return claims["appid"]

    def is_for(self, header: str, audience: str) -> bool:
        """Return whether an ``Authorization`` has a token of ours for an audience."""
        token = header.removeprefix("Bearer ")
        if token not in self.given:
            return False
        claims = jwt.decode(token, options={"verify_signature": False})
        return bool(claims["aud"] == audience)

    def find_tenant(self, client: str) -> str:
        """Return whose a service principal is, or the machine's identity."""
        return self.apps[client].tenant if client in self.apps else MACHINE

    def answer(self, path: str, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append((path, fields))
        tenant, _, rest = path.strip("/").partition("/")
        if path == "/common/discovery/instance":
            names = ["login.microsoftonline.com", "login.windows.net", "sts.windows.net"]
            cloud = {"preferred_network": names[0], "preferred_cache": names[1], "aliases": names}
            return 200, {"api-version": "1.1", "metadata": [cloud]}
        match rest:
            case "v2.0/.well-known/openid-configuration" if self._has(tenant):
                there = f"{HOST}/{tenant}"
                return 200, {
                    "issuer": f"{there}/v2.0",
                    "authorization_endpoint": f"{there}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{there}/oauth2/v2.0/token",
                    "jwks_uri": f"{there}/discovery/v2.0/keys",
                }
            case "oauth2/v2.0/token" if self._has(tenant):
                return self._log_in(tenant, fields)
        return _refuse(
            "invalid_tenant",
            f"AADSTS90002: Tenant '{tenant}' not found. Check to make sure you have the correct "
            "tenant ID and are signing into the correct cloud.",
        )

    def identify(self, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer as the identity service of a virtual machine."""
        self.asked.append(("/metadata/identity/oauth2/token", fields))
        client = fields.get("client_id", SYSTEM)
        if client not in self.identities:
            return _refuse("invalid_request", "Identity not found")
        ends = int(time.time()) + self.seconds
        answer = {"expires_on": str(ends), "resource": fields["resource"], "client_id": client}
        return 200, {**self._make_answer(MACHINE, client, fields["resource"]), **answer}

    def _has(self, tenant: str) -> bool:
        return tenant in {app.tenant for app in self.apps.values()}

    def _log_in(self, tenant: str, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        client = fields["client_id"]
        app = self.apps.get(client)
        assert fields["grant_type"] == "client_credentials"
        audience, slash, rest = fields["scope"].split()[0].rpartition("/.default")
        assert (slash, rest) == ("/.default", "")
        if app is None or app.tenant != tenant:
            problem = f"AADSTS700016: Application with identifier '{client}' was not found in the"
            return _refuse("unauthorized_client", f"{problem} directory '{tenant}'.")
        if "client_secret" in fields:
            if fields["client_secret"] != app.secret:
                problem = "AADSTS7000215: Invalid client secret provided."
                return _refuse("invalid_client", problem, 401)
        elif problem := self._find_problem(tenant, client, app, fields):
            return _refuse("invalid_client", problem, 401)
        return 200, self._make_answer(tenant, client, audience)

    def _find_problem(self, tenant: str, client: str, app: App, fields: dict[str, str]) -> str:
        """Return what is wrong with a signed assertion; "" if it is good."""
        assert fields["client_assertion_type"] == ASSERTION
        assertion = fields["client_assertion"]
        if app.federated is not None:
            return "" if assertion == app.federated else "AADSTS700213: No matching record found."
        if app.certificate is None:
            return "AADSTS700027: The certificate with identifier used to sign is not registered."
        key = app.certificate.public_key()
        assert isinstance(key, RSAPublicKey)
        try:
            claims = jwt.decode(
                assertion,
                key,
                algorithms=["RS256", "PS256"],
                audience=f"{HOST}/{tenant}/oauth2/v2.0/token",
                issuer=client,
                subject=client,
                options={"require": ["aud", "exp", "iss", "jti", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            return f"AADSTS700027: Client assertion failed signature validation. {error}"
        # Of the certificate in DER; the SDK names it by SHA-1.
        thumb = sha1(app.certificate.public_bytes(Encoding.DER), usedforsecurity=False).digest()
        named = jwt.get_unverified_header(assertion)["x5t"]
        is_named = jwt.utils.base64url_decode(named) == thumb
        return "" if is_named and claims["jti"] else "AADSTS700027: The thumbprint is another one."

    def _make_answer(self, tenant: str, client: str, audience: str) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant}/",
            "iat": now,
            "nbf": now - 300,
            "exp": now + 3600,
            "appid": client,
            "oid": f"object-of-{client}",
            "tid": tenant,
            "uti": uuid4().hex,
        }
        self.given.append(jwt.encode(claims, "of the issuer, for nobody else" * 2))
        return {
            "token_type": "Bearer",
            "expires_in": self.seconds,
            "access_token": self.given[-1],
        }


def _refuse(error: str, problem: str, status: int = 400) -> tuple[int, dict[str, Any]]:
    return status, {"error": error, "error_description": problem}


@contextmanager
def serve_entra() -> Iterator[Entra]:
    """Hand out tokens on a free port, as a proxy on the way to Entra and as a machine's service."""
    entra, context = Entra(), find_authority().make_context()

    class Inside(Handler):
        def do_GET(self) -> None:
            self.respond_json(*entra.answer(urlsplit(self.path).path, {}))

        def do_POST(self) -> None:
            text = self.read_body().decode()
            self.respond_json(*entra.answer(urlsplit(self.path).path, _read_fields(text)))

    class Outside(Handler):
        def do_CONNECT(self) -> None:
            assert self.path == f"{urlsplit(HOST).hostname}:443"
            self.send_response(200)
            self.end_headers()
            with context.wrap_socket(self.connection, server_side=True) as inside:
                Inside(inside, self.client_address, self.server)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            assert parts.path == "/metadata/identity/oauth2/token"
            if self.headers.get("Metadata") == "true":
                self.respond_json(*entra.identify(_read_fields(parts.query)))
            else:
                self.respond_json(
                    *_refuse("bad_request_102", "Required metadata header not specified")
                )

    with serve_web(Outside) as server:
        entra.url = server.url
        yield entra


def _read_fields(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}
