"""Each way to log in: the connector itself sends it, to a login endpoint that keeps what it gets.

Shapes: `auth/_auth.py`, `auth/keypair.py`, `auth/oauth_credentials.py`, `auth/webbrowser.py` and
`auth/workload_identity.py` of snowflake-connector-python 4.8;
https://docs.snowflake.com/en/developer-guide/python-connector/python-connector-connect
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from tests.services.certificates import make_key, write_key
from tests.services.web import Handler, serve_web

from flowstone.errors import CredentialsError, DatabaseDenied, DatabaseUnreachable
from flowstone_snowflake import SnowflakeConnector, SnowflakeCredentials

PASSPHRASE = "correct horse battery staple"
SSO = "token-of-the-identity-provider"
GOOD = {
    "token": "t",
    "masterToken": "m",
    "masterValidityInSeconds": 14400,
    "sessionId": 1,
    "parameters": [{"name": "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY", "value": 3600}],
    "sessionInfo": {},
}


class LoginEndpoint(Handler):
    """Snowflake's login, an OAuth server, and an identity provider's page."""

    logins: list[dict[str, Any]]
    tokens: list[dict[str, list[str]]]
    refusal: tuple[str, str] | None

    def do_GET(self) -> None:
        # The identity provider sends the browser back to the program that waits for it.
        port = parse_qs(urlsplit(self.path).query)["port"][0]
        self.send_response(302)
        self.send_header("location", f"http://localhost:{port}/?token={SSO}")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.read_body()
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        path = urlsplit(self.path).path
        if path == "/oauth/token":
            form = parse_qs(body.decode())
            self.tokens.append({**form, "authorization": [self.headers.get("authorization", "")]})
            self.respond_json(200, {"access_token": "token-of-oauth", "token_type": "Bearer"})
        elif path == "/session/v1/login-request":
            query = parse_qs(urlsplit(self.path).query)
            self.logins.append({**json.loads(body)["data"], "query": query})
            if self.refusal is None:
                self.respond_json(
                    200, {"success": True, "code": None, "message": None, "data": GOOD}
                )
            else:
                code, words = self.refusal
                self.respond_json(
                    200, {"success": False, "code": code, "message": words, "data": {}}
                )
        elif path == "/session/authenticator-request":
            port = json.loads(body)["data"]["BROWSER_MODE_REDIRECT_PORT"]
            host = self.headers["host"]
            data = {"ssoUrl": f"http://{host}/sso?port={port}", "proofKey": "proof"}
            self.respond_json(200, {"success": True, "data": data})
        else:
            self.respond_json(200, {"success": True, "code": None, "message": None, "data": None})


@pytest.fixture
def endpoint() -> Iterator[str]:
    LoginEndpoint.logins, LoginEndpoint.tokens, LoginEndpoint.refusal = [], [], None
    with serve_web(LoginEndpoint) as server:
        yield server.url


@pytest.fixture(scope="session")
def key() -> RSAPrivateKey:
    return make_key()


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that goes where it is sent."""
    script = tmp_path / "browser"
    go = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1])"
    script.write_text(f"#!/bin/sh\n({sys.executable} -c '{go}' \"$1\" &) > /dev/null 2>&1\n")
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setattr("webbrowser._browsers", {})


def make_fields(kind: str, key: RSAPrivateKey, folder: Path, url: str) -> dict[str, Any]:
    """Return the fields of each way to log in."""
    path = folder / "key.p8"
    path.write_bytes(write_key(key, PASSPHRASE, Encoding.DER))
    workload = jwt.encode({"iss": "https://issuer.example.com", "sub": "loader"}, "k" * 32)
    found: dict[str, dict[str, Any]] = {
        "password": {"password": "a-password"},
        "mfa": {
            "authenticator": "username_password_mfa",
            "password": "a-password",
            "passcode": "123456",
        },
        "pat": {"authenticator": "programmatic_access_token", "token": "a-pat"},
        "key_pem": {"private_key": write_key(key).decode()},
        "key_pem_in_one_line": {"private_key": write_key(key).decode().replace("\n", "\\n")},
        "key_pem_encrypted": {
            "private_key": write_key(key, PASSPHRASE),
            "private_key_passphrase": PASSPHRASE,
        },
        "key_der": {"private_key": write_key(key, encoding=Encoding.DER)},
        "key_file_der_encrypted": {"private_key_path": path, "private_key_passphrase": PASSPHRASE},
        "oauth": {"authenticator": "oauth", "token": "an-oauth-token"},
        "oauth_client": {
            "authenticator": "oauth_client_credentials",
            "oauth_client_id": "an-id",
            "oauth_client_secret": "a-secret",
            "oauth_token_request_url": f"{url}/oauth/token",
            "role": "LOADER",
        },
        "browser": {"authenticator": "externalbrowser"},
        "workload": {
            "authenticator": "workload_identity",
            "workload_identity_provider": "OIDC",
            "token": workload,
        },
    }
    return found[kind]


#: What is sent, besides the user's name; keys of tokens are looked at apart.
SENT: dict[str, dict[str, str | None]] = {
    "password": {"PASSWORD": "a-password"},
    "mfa": {
        "PASSWORD": "a-password",
        "PASSCODE": "123456",
        "EXT_AUTHN_DUO_METHOD": "passcode",
    },
    "pat": {"AUTHENTICATOR": "PROGRAMMATIC_ACCESS_TOKEN", "TOKEN": "a-pat"},
    "key_pem": {"AUTHENTICATOR": "SNOWFLAKE_JWT"},
    "key_pem_in_one_line": {"AUTHENTICATOR": "SNOWFLAKE_JWT"},
    "key_pem_encrypted": {"AUTHENTICATOR": "SNOWFLAKE_JWT"},
    "key_der": {"AUTHENTICATOR": "SNOWFLAKE_JWT"},
    "key_file_der_encrypted": {"AUTHENTICATOR": "SNOWFLAKE_JWT"},
    "oauth": {"AUTHENTICATOR": "OAUTH", "TOKEN": "an-oauth-token"},
    "oauth_client": {"AUTHENTICATOR": "OAUTH", "TOKEN": "token-of-oauth"},
    "browser": {"AUTHENTICATOR": "EXTERNALBROWSER", "TOKEN": SSO, "PROOF_KEY": "proof"},
    "workload": {"AUTHENTICATOR": "WORKLOAD_IDENTITY", "PROVIDER": "OIDC"},
}


@pytest.mark.parametrize("kind", SENT)
def test_each_way_to_log_in(
    kind: str,
    endpoint: str,
    key: RSAPrivateKey,
    tmp_path: Path,
    browser: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The connector shows what vouches for a workload to Snowflake's hosts alone, and to these.
    monkeypatch.setenv("SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES", "127.0.0.1")
    fields = make_fields(kind, key, tmp_path, endpoint)
    login = SnowflakeCredentials(account="acme-prod", user="loader", server_url=endpoint, **fields)
    login.client().close()
    [sent] = LoginEndpoint.logins
    expected = SENT[kind]
    assert {name: sent.get(name) for name in expected} == expected
    assert (sent["ACCOUNT_NAME"], sent["LOGIN_NAME"]) == ("acme-prod", "loader")
    if kind.startswith("key"):
        told = jwt.decode(
            sent["TOKEN"], key.public_key(), algorithms=["RS256"], options={"verify_iat": False}
        )
        assert told["sub"] == "ACME-PROD.LOADER"
        assert "PASSWORD" not in sent or sent["PASSWORD"] is None
    if kind == "oauth_client":
        [asked] = LoginEndpoint.tokens
        assert asked["grant_type"] == ["client_credentials"]
        assert asked["scope"] == ["session:role:LOADER"]
    if kind == "workload":
        assert jwt.decode(sent["TOKEN"], options={"verify_signature": False})["sub"] == "loader"


def test_the_context_of_a_session_is_sent(endpoint: str) -> None:
    login = SnowflakeCredentials(
        account="acme-prod",
        user="loader",
        password="a-password",
        server_url=endpoint,
        role="READER",
    )
    connector = SnowflakeConnector(
        credentials=login,
        database="SALES",
        warehouse="LOADING",
        schema_="PUBLIC",
        role="LOADER",
        secondary_roles="all",
        session_parameters={"TIMEZONE": "Europe/Oslo"},
        keep_alive=True,
    )
    connector.get_connection().close()
    [sent] = LoginEndpoint.logins
    asked = {name: values[0] for name, values in sent["query"].items() if name != "request_id"}
    names = {"databaseName": "SALES", "schemaName": "PUBLIC", "warehouse": "LOADING"}
    assert {name: asked[name] for name in names} == names
    assert asked["roleName"] == "LOADER"
    assert sent["SECONDARY_ROLES"] == "ALL"
    parameters = sent["SESSION_PARAMETERS"]
    assert parameters["TIMEZONE"] == "Europe/Oslo"
    for name in ("ABORT_DETACHED_QUERY", "CLIENT_SESSION_KEEP_ALIVE", "AUTOCOMMIT"):
        assert parameters[name] is True


def test_a_named_connection_of_the_connector_is_used(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = urlsplit(endpoint)
    text = (
        '[default]\naccount = "from-file"\nuser = "filed"\npassword = "of-the-file"\n'
        f'host = "{parts.hostname}"\nport = {parts.port}\nprotocol = "http"\n'
    )
    file = tmp_path / "connections.toml"
    file.write_text(text)
    file.chmod(0o600)
    SnowflakeCredentials(connections_file=file).client().close()
    SnowflakeCredentials(connections_file=file, user="another").client().close()
    assert [each["LOGIN_NAME"] for each in LoginEndpoint.logins] == ["filed", "another"]
    assert {each["ACCOUNT_NAME"] for each in LoginEndpoint.logins} == {"from-file"}


Change = Callable[[RSAPrivateKey], dict[str, Any]]
WRONG: dict[str, tuple[Change, str]] = {
    "no password": (lambda key: {}, "needs password"),
    "a token alone": (lambda key: {"token": "t"}, "programmatic_access_token"),
    "an encrypted key": (
        lambda key: {"private_key": write_key(key, PASSPHRASE)},
        "Set private_key_passphrase",
    ),
    "a wrong passphrase": (
        lambda key: {
            "private_key": write_key(key, PASSPHRASE),
            "private_key_passphrase": "wrong-passphrase",
        },
        "private_key_passphrase is wrong",
    ),
    "a passphrase too many": (
        lambda key: {
            "private_key": write_key(key),
            "private_key_passphrase": PASSPHRASE,
        },
        "is not encrypted",
    ),
    "no key": (lambda key: {"private_key": "what is this"}, "can't be read"),
    "no key file": (lambda key: {"private_key_path": Path("/nowhere/key.p8")}, "/nowhere/key.p8"),
    "two keys": (lambda key: {"private_key": "a", "private_key_path": "/b"}, "both set"),
    "no client": (lambda key: {"authenticator": "oauth_client_credentials"}, "oauth_client_id"),
    "no provider": (lambda key: {"authenticator": "workload_identity"}, "provider"),
    "no workload's token": (
        lambda key: {
            "authenticator": "workload_identity",
            "workload_identity_provider": "OIDC",
        },
        "needs token",
    ),
    "no okta": (lambda key: {"authenticator": "okta_endpoint", "password": "p"}, "endpoint"),
}


@pytest.mark.parametrize("name", WRONG)
def test_fields_that_make_no_login_are_told(name: str, key: RSAPrivateKey, endpoint: str) -> None:
    change, words = WRONG[name]
    login = SnowflakeCredentials(
        account="acme-prod", user="loader", server_url=endpoint, **change(key)
    )
    with pytest.raises(CredentialsError, match=words) as caught:
        login.client()
    assert PASSPHRASE not in str(caught.value)
    assert not LoginEndpoint.logins


@pytest.mark.parametrize(
    ("code", "words", "kind", "remedy"),
    [
        (
            "390100",
            "Incorrect username or password was specified.",
            DatabaseDenied,
            "Check the user",
        ),
        ("394301", "JWT token has expired.", DatabaseDenied, "DESC USER"),
        ("390318", "OAuth access token expired.", DatabaseDenied, "get a new one"),
        ("390189", "Role 'NOBODY' does not exist.", DatabaseDenied, "Check `role`"),
        ("390422", "Incoming request with IP 1.2.3.4 is not allowed.", DatabaseDenied, "policy"),
        ("390144", "JWT token is invalid.", DatabaseDenied, "Check the user"),
        ("250001", "Something.", DatabaseUnreachable, "status.snowflake.com"),
    ],
)
def test_a_refused_login_is_told(
    code: str, words: str, kind: type[Exception], remedy: str, endpoint: str
) -> None:
    LoginEndpoint.refusal = code, words
    login = SnowflakeCredentials(
        account="acme-prod", user="loader", password="a-password", server_url=endpoint
    )
    with pytest.raises(kind) as caught:
        login.client()
    text = str(caught.value)
    assert words.rstrip(".") in text
    assert f"code {code}" in text
    assert remedy in text
    assert "a-password" not in text
    assert not login.check().ok


def test_a_connection_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = tmp_path / "connections.toml"
    file.write_text('[other]\naccount = "acme-prod"\n')
    file.chmod(0o600)
    for login in (
        SnowflakeCredentials(connections_file=file),
        SnowflakeCredentials(connections_file=file, connection_name="default"),
    ):
        with pytest.raises(CredentialsError, match="'default'"):
            login.client()


def test_a_key_is_resolved_to_der(key: RSAPrivateKey) -> None:
    der = write_key(key, encoding=Encoding.DER)
    login = SnowflakeCredentials(private_key=write_key(key))
    assert login.resolve_private_key() == der
    assert SnowflakeCredentials().resolve_private_key() is None
