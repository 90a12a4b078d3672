"""Logins: sessions and clients of one set of values, opened once per process and shared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
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

T = TypeVar("T")

#: Clients of a login that are kept; the one that was used longest ago goes first.
MOST_CLIENTS = 32
#: How often a request is sent at most, and how often one to a service that many runs ask at a time.
ATTEMPTS, MORE_ATTEMPTS = 4, 10
#: Services that throttle: the SDK's adaptive mode also slows down before it sends.
_THROTTLING = frozenset({"batch", "ecs", "logs"})
#: A login without a region is asked who it is here.
FALLBACK_REGION = "us-east-1"
_PLAIN = (str, bool, int, dict, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFields:
    """What makes a login; equal values share it.

    Attributes:
        client: arguments of every client, as sorted pairs; the config as its `repr`.
        role: arguments of AssumeRole, likewise.
        around: the environment and the times of the files that the SDK reads.
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
    """A session and its clients; safe to use from several threads."""

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
        """Return which credentials are used, in words, without a secret."""
        if self._values.access_key or self._session is None:
            return self._values.who
        found = self._session.get_credentials()
        how = getattr(found, "method", None)
        key = getattr(found, "access_key", "") if type(found).__name__ == "Credentials" else ""
        told = f"{how} …{key[-4:]}" if how and key else how
        return f"{self._values.who} ({told})" if told else self._values.who

    def session(self) -> boto3.Session:
        """Return the session of boto3; its credentials renew themselves.

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
        """Return what is kept with this login under a name, made at first."""
        with self._lock:
            if name not in self._kept:
                self._kept[name] = make()
            found: T = self._kept[name]
            return found

    def find_ca_bundle(self) -> str | None:
        """Return the file of authorities that the SDK's environment or files name."""
        self.session()
        assert self._core is not None
        found: str | None = self._core.get_config_variable("ca_bundle")
        return found

    def _open_session(self) -> boto3.Session:
        # The SDK takes 0.2 s to load; a flow that only names a block need not wait for it.
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
        core.get_scoped_config()  # what is wrong with the files is noticed now
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
        _provide_credentials(assumed, self._assume_role(session, values.role_arn))
        return boto3.Session(region_name=values.region, botocore_session=assumed)

    def _assume_role(self, source: boto3.Session, arn: str) -> Credentials:
        """Return credentials of a role, which AWS is asked for at first use and before they end."""
        from botocore.credentials import (  # see above
            AssumeRoleCredentialFetcher,
            DeferredRefreshableCredentials,
        )

        own = source.get_credentials()
        if own is None:
            raise CredentialsError(
                f"AWS, with {self._values.who}",
                "no login was found that could assume the role",
                "Give keys or a profile_name besides assume_role_arn.",
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
        new_client: Any = session.client  # its types list each service by name
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
                    f"it can't be made: {error}",
                    "Check aws_client_parameters and the options that were given.",
                ) from error

    def _find_endpoint(self) -> str | None:
        """Return the endpoint of S3 that the environment or the profile sets; None for AWS's."""
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
            # Other services refuse the checksums that the SDK adds of its own accord.
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
        if mode == "standard" and throttles:  # the default; a block's own config goes before it
            retries["mode"] = "adaptive"
        if self._core.get_config_variable("max_attempts") is None:
            retries["total_max_attempts"] = MORE_ATTEMPTS if throttles else ATTEMPTS
        defaults = {
            "retries": retries,
            # As many as a folder's transfers, the parts of large objects and some more take.
            "max_pool_connections": 50,
            "connect_timeout": 10,
            "tcp_keepalive": True,
            "user_agent_extra": "flowstone-aws",
        }
        # Else boto3 signs URLs in a way that regions since 2014, and encrypted buckets, refuse.
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


def _provide_credentials(session: botocore.session.Session, credentials: Credentials) -> None:
    """Make a session's chain of credentials one link long."""
    # The SDK is loaded with the first client, not with the package.
    from botocore.credentials import CredentialProvider, CredentialResolver

    class Given(CredentialProvider):
        METHOD = CANONICAL_NAME = "flowstone"

        def load(self) -> Credentials:
            return credentials

    session.register_component("credential_provider", CredentialResolver([Given()]))


#: The logins of this process.
LOGINS: LoginCache[Login] = LoginCache()
