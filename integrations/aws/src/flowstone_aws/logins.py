"""Logins: a session and its clients for a set of values, opened once per process and shared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from flowstone.blocks import LoginCache
from flowstone.errors import CredentialsError, suggest_names
from flowstone.records.redaction import register
from flowstone_aws.connections import watch_connections
from flowstone_aws.errors import translate_errors
from flowstone_aws.logs import keep_secrets
from flowstone_aws.uploads import watch_uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import boto3
    import botocore.session
    from botocore.config import Config
    from botocore.credentials import Credentials
    from botocore.loaders import Loader

T = TypeVar("T")

#: Number of clients that a login caches; the least recently used one is dropped first.
MOST_CLIENTS = 32
#: Attempts per request, and attempts for services that throttle when many runs poll them.
ATTEMPTS, MORE_ATTEMPTS = 4, 10
#: Services that throttle: the SDK's adaptive mode also slows down before it sends a request.
_THROTTLING = frozenset({"batch", "ecs", "logs"})
#: The region for calls to STS if none is set.
FALLBACK_REGION = "us-east-1"
_PLAIN = (str, bool, int, dict, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFields:
    """The values of a login; equal values share it.

    Attributes:
        client: arguments of every client, as sorted pairs; the config as its `repr`.
        role: arguments of AssumeRole, likewise.
        around: the environment, and the modification times of the files that the SDK reads.
    """

    who: str
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    profile: str | None = None
    region: str | None = None
    role_arn: str | None = None
    role: str = field(default="", repr=False)
    client: str = ""
    around: str = field(default="", repr=False)


class Login:
    """A session and its clients; thread-safe."""

    def __init__(
        self, values: LoginFields, parameters: Mapping[str, Any], role: Mapping[str, Any]
    ) -> None:
        self._values, self._parameters, self._role = values, parameters, role
        self._lock = threading.RLock()
        self._core: botocore.session.Session | None = None
        self._session: boto3.Session | None = None
        self._clients: OrderedDict[Any, Any] = OrderedDict()
        self._kept: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Login of {self._values.who}>"

    def who(self) -> str:
        """Return a description of the credentials, without secrets."""
        if self._values.access_key or self._session is None:
            return self._values.who
        found = self._session.get_credentials()
        how = getattr(found, "method", None)
        key = getattr(found, "access_key", "") if type(found).__name__ == "Credentials" else ""
        told = f"{how} …{key[-4:]}" if how and key else how
        return f"{self._values.who} ({told})" if told else self._values.who

    def session(self) -> boto3.Session:
        """Return the session of boto3, which renews temporary credentials.

        Raises:
            CredentialsError: there is no such profile, or the SDK's files can't be read.
        """
        with self._lock:
            if self._session is None:
                with translate_errors("AWS", lambda: self._values.who):
                    self._session = self._open_session()
                keep_secrets()
            return self._session

    def client(self, service: str, **overrides: Any) -> Any:
        """Return a client, the same one for the same plain arguments."""
        if not all(isinstance(value, _PLAIN) for value in overrides.values()):
            return self._new_client(self.session(), service, overrides)
        key = (service, repr(sorted(overrides.items())))
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                client = self._clients[key] = self._new_client(self.session(), service, overrides)
                keep_secrets()
                if len(self._clients) > MOST_CLIENTS:
                    self._clients.popitem(last=False)
            self._clients.move_to_end(key)
            return client

    def get_or_make(self, name: str, make: Callable[[], T]) -> T:
        """Return the cached object of this name; create it at first."""
        with self._lock:
            if name not in self._kept:
                self._kept[name] = make()
            found: T = self._kept[name]
            return found

    def find_ca_bundle(self) -> str | None:
        """Return the CA bundle that the SDK's environment or files specify."""
        self.session()
        assert self._core is not None
        found: str | None = self._core.get_config_variable("ca_bundle")
        return found

    def _open_session(self) -> boto3.Session:
        # The SDK takes 0.2 s to load, which a flow that only names a block does not need.
        import boto3
        import botocore.session

        values = self._values
        core = self._core = botocore.session.Session(profile=values.profile)
        if values.profile and values.profile not in core.available_profiles:
            near = suggest_names(values.profile, core.available_profiles)
            raise CredentialsError(
                f"AWS, with {values.who}",
                "there is no such profile in the SDK's files",
                f"{near} `aws configure list-profiles` lists them.".strip(),
            )
        core.get_scoped_config()  # detects errors in the files now
        _share_loader(core)
        session = boto3.Session(
            values.access_key,
            values.secret_key,
            values.token,
            region_name=values.region,
            botocore_session=core,
        )
        if values.role_arn is None:
            return session
        assumed = botocore.session.Session(profile=values.profile)
        _share_loader(assumed)
        _provide_credentials(assumed, self._assume_role(session, values.role_arn))
        return boto3.Session(region_name=values.region, botocore_session=assumed)

    def _assume_role(self, source: boto3.Session, arn: str) -> Credentials:
        """Return credentials of a role, which are requested at first use and before they expire."""
        from botocore.credentials import (  # see above
            AssumeRoleCredentialFetcher,
            DeferredRefreshableCredentials,
        )

        own = source.get_credentials()
        if own is None:
            raise CredentialsError(
                f"AWS, with {self._values.who}",
                "no credentials were found to assume the role",
                "Set keys or profile_name together with assume_role_arn.",
            )

        def sts(service: str, **keys: object) -> Any:
            where = {"region_name": source.region_name or FALLBACK_REGION}
            return self._new_client(source, service, {**where, **keys})

        code = self._role.get("TokenCode", "")
        fetcher = AssumeRoleCredentialFetcher(
            sts,
            own,
            arn,
            extra_args={k: v for k, v in self._role.items() if k != "TokenCode"},
            mfa_prompter=lambda _: code,
        )

        def fetch() -> Any:
            with translate_errors(f"the role {arn}", lambda: self._values.who):
                found = fetcher.fetch_credentials()
            for secret in ("secret_key", "token"):
                register(found[secret])
            return found

        return DeferredRefreshableCredentials(refresh_using=fetch, method="assume-role")

    def _new_client(
        self, session: boto3.Session, service: str, overrides: Mapping[str, object]
    ) -> object:
        new_client: Any = session.client  # its type stubs have an overload per service
        merged = {**self._parameters, **overrides}
        with translate_errors(f"AWS's {service}", lambda: self._values.who):
            try:
                endpoint = merged.get("endpoint_url") or self._find_endpoint()
                merged["config"] = self._config(service, endpoint, overrides.get("config"))
                client = new_client(service, **merged)
                watch_connections(client)
                watch_uploads(client)
                return client
            except (TypeError, ValueError) as error:
                if type(error).__module__.startswith("botocore"):
                    raise
                raise CredentialsError(
                    f"a client of AWS's {service}",
                    f"it can't be created: {error}",
                    "Check aws_client_parameters and the arguments.",
                ) from error

    def _find_endpoint(self) -> str | None:
        """Return the endpoint of S3 from the environment or the profile; None for AWS's own."""
        from botocore.configprovider import ConfiguredEndpointProvider  # see above

        core = self._core
        assert core is not None
        if core.get_config_variable("ignore_configured_endpoint_urls"):
            return None
        scoped = core.get_scoped_config()
        provider = ConfiguredEndpointProvider(core.full_config, scoped, client_name="s3")
        found: str | None = provider.provide()
        return found

    def _config(self, service: str, endpoint: object, override: Any) -> Config:
        from botocore.config import Config  # see above

        config = Config(**self._defaults(service))
        if service == "s3" and endpoint and not is_aws(str(endpoint)):
            # Other services refuse the checksums that the SDK adds by default.
            needed = Config(
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            )
            config = config.merge(needed)
        for given in (self._parameters.get("config"), override):
            if given is not None:
                config = config.merge(given if isinstance(given, Config) else _make_config(given))
        return config

    def _defaults(self, service: str) -> dict[str, Any]:
        assert self._core is not None
        retries: dict[str, Any] = {}
        throttles = service in _THROTTLING
        mode = self._core.get_config_variable("retry_mode")
        if mode == "legacy":
            mode = retries["mode"] = "standard"
        if mode == "standard" and throttles:  # the default; the block's own config has precedence
            retries["mode"] = "adaptive"
        if self._core.get_config_variable("max_attempts") is None:
            retries["total_max_attempts"] = MORE_ATTEMPTS if throttles else ATTEMPTS
        defaults = {
            "retries": retries,
            # Enough for the transfers of a folder, the parts of large objects and a few more.
            "max_pool_connections": 50,
            "connect_timeout": 10,
            "tcp_keepalive": True,
            "user_agent_extra": "flowstone-aws",
        }
        # Otherwise boto3 signs URLs with a version that newer regions and KMS refuse.
        return {**defaults, "signature_version": "s3v4"} if service == "s3" else defaults


def is_aws(endpoint: str) -> bool:
    """Return whether an endpoint is one of AWS's own."""
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _make_config(options: Mapping[str, Any]) -> Config:
    import botocore  # see above
    from botocore.config import Config  # see above

    unknown = [name for name in options if name not in Config.OPTION_DEFAULTS]
    if unknown:
        near = suggest_names(unknown[0], Config.OPTION_DEFAULTS)
        raise CredentialsError(
            "aws_client_parameters.config",
            f"there is no option {unknown[0]!r}.{near}",
            "botocore's documentation of Config lists them.",
        )
    given = dict(options)
    if given.get("signature_version") == "unsigned":
        given["signature_version"] = botocore.UNSIGNED
    return Config(**given)


def _share_loader(session: botocore.session.Session) -> None:
    """Let sessions share the SDK's descriptions of services, which take 50 ms to read."""
    loader = _find_loader(session.get_config_variable("data_path"))
    session.register_component("data_loader", loader)


@cache
def _find_loader(data_path: str | None) -> Loader:
    from botocore.loaders import create_loader  # takes long to load, as above

    return create_loader(data_path)


def _provide_credentials(session: botocore.session.Session, credentials: Credentials) -> None:
    """Replace a session's chain of credential providers by the given credentials."""
    # The SDK is loaded with the first client, not with the package.
    from botocore.credentials import CredentialProvider, CredentialResolver

    class Given(CredentialProvider):
        METHOD = CANONICAL_NAME = "flowstone"

        def load(self) -> Credentials:
            return credentials

    session.register_component("credential_provider", CredentialResolver([Given()]))


#: The logins of this process.
LOGINS: LoginCache[Login] = LoginCache()
