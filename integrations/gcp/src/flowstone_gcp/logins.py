"""Logins: credentials and clients for a set of values, opened once per process and shared."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstone.blocks import LoginCache
from flowstone.errors import CredentialsError, suggest_names
from flowstone.records.redaction import register
from flowstone_gcp.bigquery_clients import open_bigquery
from flowstone_gcp.errors import is_passing, is_refused, translate_errors
from flowstone_gcp.rest_clients import SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.api_core.retry import Retry
    from google.auth.credentials import Credentials
    from google.auth.transport.requests import AuthorizedSession

#: Number of attempts of a transfer; each has its share of the credentials' timeout.
ATTEMPTS = 3
CONNECT_SECONDS = 10.0
#: Number of retries of a refused connection, in one attempt.
REFUSALS = 2
#: The names of clients that `client` accepts.
STORAGE = frozenset({"storage", "cloud_storage"})
KINDS = STORAGE | {"bigquery"} | SERVICES.keys()
#: Secret fields of a key or a configuration.
_SECRET = ("private_key", "private_key_id", "client_secret", "refresh_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpLoginFields:
    """The values of a login; logins with equal values are shared.

    Attributes:
        info: a key or configuration of Google's, as JSON.
        file: a file with one.
        project: the project, whatever the credentials specify.
        usual_project: the project, if the credentials do not specify one.
        chain: service accounts to impersonate, each by the previous one; the last one is used.
        around: the environment, and the modification times of the files that the SDK reads.
    """

    info: str | None = field(default=None, repr=False)
    file: str | None = None
    project: str | None = None
    usual_project: str | None = None
    chain: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    quota_project: str | None = None
    endpoint: str | None = None
    anonymous: bool = False
    timeout: float = 60.0
    around: str = field(default="", repr=False)


class GcpLogin:
    """Google's credentials and their clients; thread-safe."""

    def __init__(self, values: GcpLoginFields) -> None:
        self._values = values
        self._lock = threading.RLock()
        self._opened: tuple[Credentials, str | None] | None = None
        self._clients: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Login of {self.who()}>"

    @property
    def own_endpoint(self) -> str | None:
        """The custom endpoint of Cloud Storage; None for Google's."""
        return self._values.endpoint

    @property
    def endpoint(self) -> str:
        """The address of Cloud Storage."""
        return self._values.endpoint or "https://storage.googleapis.com"

    @property
    def is_anonymous(self) -> bool:
        """Whether requests are anonymous."""
        return self._values.anonymous

    @property
    def timeout(self) -> tuple[float, float]:
        """Seconds to connect, and to wait for each response."""
        return min(CONNECT_SECONDS, self._values.timeout), self._values.timeout

    def who(self) -> str:
        """Describe the credentials in use, without secrets."""
        values = self._values
        if values.anonymous:
            return "no credentials (anonymous)"
        kind = "a key" if values.info or values.file else "application default credentials"
        opened = self._opened
        email = getattr(opened[0], "service_account_email", None) if opened else None
        if values.chain:
            return f"service account {values.chain[-1]}, impersonated by {kind}"
        if email and email != "default":
            return f"service account {email} by {kind}"
        return f"{kind} in {values.file}" if values.file else kind

    def credentials(self) -> Credentials:
        """Return Google's credentials, which renew themselves.

        Raises:
            CredentialsError: there are none, or they can't be read.
        """
        return self._open()[0]

    def project(self) -> str | None:
        """Return the project: the field's, the key's, or the environment's."""
        return self._values.project or self._open()[1]

    def find_payer(self) -> str | None:
        """Return the project to bill for requests to other projects' buckets."""
        return self._values.quota_project or self.project()

    @property
    def usual_project(self) -> str | None:
        """The project of the fields or the environment, without opening the login."""
        return self._values.project or self._values.usual_project

    def find_project(self) -> str | None:
        """Return the project of the fields, the key or the environment."""
        info = self.find_info()
        if self._values.project or info is None:
            return self._values.project or self._values.usual_project or self.project()
        return info.get("project_id") or self._values.usual_project

    @property
    def chain(self) -> tuple[str, ...]:
        """The service accounts to impersonate, each by the previous one."""
        return self._values.chain

    @property
    def scopes(self) -> tuple[str, ...]:
        """The OAuth scopes of tokens."""
        return self._values.scopes

    @property
    def quota_project(self) -> str | None:
        """The project to bill, if the fields set one."""
        return self._values.quota_project

    def find_info(self) -> dict[str, str] | None:
        """Return the key or configuration that the fields set; None for the default chain.

        Raises:
            CredentialsError: it can't be read.
        """
        return None if self._values.anonymous else _read_info(self._values)

    def ensure_token(self) -> None:
        """Request a token if there is no valid one, so that refused credentials raise here."""
        if not self._values.anonymous and not self.credentials().valid:
            self.refresh()

    def find_key(self) -> str | None:
        """Return the service account's key as JSON, if there is nothing else in the credentials."""
        info = None if self._values.anonymous or self._values.chain else _read_info(self._values)
        is_key = info is not None and info.get("type") == "service_account"
        return json.dumps(info) if is_key else None

    def client(self, kind: str, **overrides: Any) -> Any:
        """Return a client; without overrides, the same one each time."""
        if kind not in KINDS:
            near = suggest_names(kind, KINDS)
            raise CredentialsError(
                f"a client of Google's {kind!r}",
                f"flowstone-gcp opens clients of {', '.join(sorted(KINDS))} only.{near}",
                "Make it with the SDK: Client(credentials=login.get_credentials(), "
                "project=login.find_project()).",
            )
        if kind in SERVICES:
            return self._find_service(kind, **overrides)
        make = self._new_client if kind in STORAGE else partial(open_bigquery, self)
        if overrides:
            return make(overrides)
        name = "storage" if kind in STORAGE else kind
        with self._lock:
            if name not in self._clients:
                self._clients[name] = make({})
            return self._clients[name]

    def _find_service(self, kind: str, endpoint: str | None = None) -> Any:
        """Return a client of a service; the same one each time for the same address."""
        name = f"{kind} {endpoint or ''}"
        with self._lock:
            if name not in self._clients:
                self._clients[name] = SERVICES[kind](self, endpoint)
            return self._clients[name]

    def session(self) -> AuthorizedSession:
        """Return the HTTP session of the clients, for streams, which they do not support."""
        # The SDK takes 0.3 s to load, which a flow that only names a bucket does not need.
        from flowstone_gcp.sessions import open_session

        with self._lock:
            if "session" not in self._clients:
                with translate_errors("Cloud Storage", self.who):
                    self._clients["session"] = open_session(self.credentials())
            session: AuthorizedSession = self._clients["session"]
            return session

    def retry(self, note: Callable[[], None] | None = None) -> Retry:
        """Return the retry policy of a request: exponential backoff within a part of the timeout.

        Refused connections are only retried a few times.

        Args:
            note: called before a request that may have arrived is sent again.
        """
        from google.api_core.retry import Retry  # see above

        patience, chances = self._values.timeout / ATTEMPTS, iter(range(REFUSALS))

        def may_help(error: Exception) -> bool:
            if is_refused(error):
                return next(chances, None) is not None
            passing = is_passing(error)
            if passing and note is not None:
                note()
            return passing

        return Retry(may_help, 0.2, patience / 2, 2, patience)

    def refresh(self) -> str | None:
        """Request a new token and return it; None for an anonymous access."""
        from google.auth.transport.requests import Request  # see above

        if self._values.anonymous:
            return None
        credentials, request = self.credentials(), partial(Request(), timeout=self._values.timeout)
        with translate_errors("the token service", self.who):
            credentials.refresh(request)
        token = str(credentials.token)
        register(token)
        return token

    def _open(self) -> tuple[Credentials, str | None]:
        with self._lock:
            if self._opened is None:
                with translate_errors("Google Cloud", self.who):
                    self._opened = self._find_credentials()
            return self._opened

    def _find_credentials(self) -> tuple[Credentials, str | None]:
        # See `session`.
        import google.auth
        from google.auth.credentials import AnonymousCredentials, with_scopes_if_required

        values = self._values
        if values.anonymous:
            return AnonymousCredentials(), values.usual_project
        found: Any
        info = _read_info(values)
        if info is None:
            found, project = google.auth.default(scopes=values.scopes)
        else:
            found, project = _make_credentials(info), info.get("project_id") or values.usual_project
            found = with_scopes_if_required(found, values.scopes)
        if values.chain:
            from google.auth import impersonated_credentials  # see above

            found = impersonated_credentials.Credentials(
                found,
                values.chain[-1],
                list(values.scopes),
                delegates=[f"projects/-/serviceAccounts/{name}" for name in values.chain[:-1]],
            )
        if values.quota_project:
            found = found.with_quota_project(values.quota_project)
        return found, project

    def _new_client(self, overrides: Mapping[str, Any]) -> Any:
        from google.cloud.storage import Client  # see above

        endpoint = self._values.endpoint
        given: dict[str, Any] = {"credentials": self.credentials(), "project": self.project()}
        if "credentials" not in overrides:
            given["_http"] = self.session()
        if endpoint:
            given["client_options"] = {"api_endpoint": endpoint}
        with translate_errors("Cloud Storage", self.who):
            try:
                return Client(**{**given, **overrides})
            except (TypeError, ValueError) as error:
                raise CredentialsError(
                    "a client of Cloud Storage",
                    f"it can't be created: {error}",
                    "Check the arguments.",
                ) from error


def _read_info(values: GcpLoginFields) -> dict[str, Any] | None:
    """Return the key or configuration that the fields set; None for the default chain."""
    if values.info:
        where, text = "service_account_info", values.info
    elif values.file:
        where = values.file
        try:
            text = Path(values.file).expanduser().read_text("utf-8")
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a text file"
            remedy = "Check the path in service_account_file, and its permissions."
            raise CredentialsError(where, f"it can't be read: {reason}", remedy) from error
    else:
        return None
    try:
        info = json.loads(text)
    except ValueError:
        info = None  # the text may be a secret, so the parser's message is not used
    if not isinstance(info, dict):
        remedy = "Use the complete JSON of the key, as downloaded from Google."
        raise CredentialsError(where, "it is not a JSON object", remedy)
    for secret in (info.get(name) for name in _SECRET):
        if isinstance(secret, str):
            register(secret)
    return info


def _make_credentials(info: dict[str, Any]) -> Any:
    """Return Google's credentials for a key or configuration, by its type."""
    # `load_credentials_from_dict` of the SDK is deprecated: it accepts types that are not expected.
    # The modules are the SDK's; see `GcpLogin.session`.
    from google.auth import aws, identity_pool, impersonated_credentials, pluggable
    from google.oauth2 import credentials, service_account

    kinds: dict[str, Callable[[dict[str, Any]], Any]] = {
        "service_account": service_account.Credentials.from_service_account_info,
        "authorized_user": credentials.Credentials.from_authorized_user_info,
        "impersonated_service_account": (
            impersonated_credentials.Credentials.from_impersonated_service_account_info
        ),
        "external_account": identity_pool.Credentials.from_info,
    }
    kind = info.get("type")
    source = info.get("credential_source")
    if isinstance(source, Mapping) and "executable" in source:
        kinds["external_account"] = pluggable.Credentials.from_info
    elif isinstance(source, Mapping) and "environment_id" in source:
        kinds["external_account"] = aws.Credentials.from_info
    if kind not in kinds:
        raise CredentialsError(
            "the key of Google Cloud",
            f"its type is {kind!r}",
            f"It may be one of {', '.join(sorted(kinds))}.",
        )
    try:
        return kinds[kind](info)
    except (KeyError, TypeError, ValueError) as error:
        # Its message may quote the key.
        raise CredentialsError(
            f"the key of Google Cloud, a {kind}",
            f"it is incomplete or malformed ({type(error).__name__})",
            "Use the JSON as downloaded from Google, or create a new key.",
        ) from None


#: The logins of this process.
LOGINS: LoginCache[GcpLogin] = LoginCache()
