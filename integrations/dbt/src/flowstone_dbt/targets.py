"""Targets: a block's database connection, as fields of dbt's adapters."""

from __future__ import annotations

import base64
import binascii
import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from flowstone.errors import ConfigurationError
from flowstone_dbt.references import References, mask_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.records.access import DatabaseAccess, Masked

    Fields = dict[str, object]

#: Google's token URL, if the credentials have none.
GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
_NOTHING: Mapping[str, object] = {}
_OPTION = re.compile(r"\s*(?:-c\s*|--)([\w.]+)=((?:\\.|[^\s\\])*)\s*")
#: Names of Snowflake's authenticators in dbt, if they differ.
_SNOWFLAKE_LOGINS = {"snowflake": None, "snowflake_jwt": None}
#: Secret fields in a key or a configuration of Google.
_GOOGLE_SECRETS = ("private_key", "private_key_id", "client_secret", "refresh_token")


@dataclass(frozen=True)
class DbtTarget:
    """A database connection of dbt.

    Attributes:
        content: the entry below ``outputs`` in profiles.yml, with references for secrets.
        secrets: the environment variables that the references name.
    """

    content: Mapping[str, Any]
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)


def make_target(
    access: DatabaseAccess,
    *,
    schema: str | None,
    threads: int | str = 4,
    extras: Mapping[str, object] = _NOTHING,
    allow_overrides: bool = True,
) -> DbtTarget:
    """Return the target of a database.

    Args:
        access: the result of a block's `access`.
        schema: the schema of the models; None for the one of the access, if it has one.
        threads: the number of nodes that dbt runs at a time.
        extras: more fields of the adapter; dbt renders Jinja in them, as in `schema`.
        allow_overrides: whether extras may override fields of the access.

    Raises:
        ConfigurationError: dbt can't log in as the block does, or there is no such adapter.
        ReferenceUnresolved: a secret is a reference that can't be resolved.
    """
    make = _MAKERS.get(access.dialect)
    if make is None:
        raise ConfigurationError(
            f"a dbt target for {access.dialect!r}",
            f"the dialects {', '.join(sorted(_MAKERS))} are supported",
            "Use TargetConfigs with the adapter's own fields: "
            f"TargetConfigs(type={access.dialect!r}, schema=..., extras={{...}}).",
        )
    fields = make(access, schema)
    words: Fields = {"threads": threads}
    if schema:
        words["dataset" if "dataset" in fields else "schema"] = schema
    return build_target(fields, words, extras, allow_overrides=allow_overrides)


def build_target(
    fields: Mapping[str, object],
    words: Mapping[str, object],
    extras: Mapping[str, object] = _NOTHING,
    *,
    allow_overrides: bool = True,
) -> DbtTarget:
    """Return a target from its fields; those that are None are omitted.

    Args:
        fields: literal fields.
        words: more fields, in which dbt renders Jinja.
        extras: more fields like `words`.
        allow_overrides: whether extras may override `fields` and `words`.

    Raises:
        ConfigurationError: extras override fields and must not, or a secret can't be passed to a
            process.
        ReferenceUnresolved: a secret is a reference that can't be resolved.
    """
    given = {name: value for name, value in {**fields, **words}.items() if value is not None}
    twice = [name for name in extras if name in given]
    if twice and not allow_overrides:
        raise ConfigurationError(
            "the extras of a dbt target",
            f"{', '.join(twice)} would override other fields of the block",
            "Remove it, or set allow_field_overrides=True.",
        )
    references = References()
    literal = {n: v for n, v in given.items() if n not in words and n not in extras}
    content = references.take(literal)
    content |= references.take_words({n: v for n, v in words.items() if n in given})
    content |= references.take_words(mask_secrets(dict(extras)))
    return DbtTarget(content, references.secrets)


def _make_duckdb(access: DatabaseAccess, schema: str | None) -> Fields:
    """See https://docs.getdbt.com/docs/core/connect-data-platform/duckdb-setup."""
    return {
        "type": "duckdb",
        "path": str(Path(access.database).absolute()),  # dbt runs in the project's directory
        "schema": schema or "main",
        "config_options": dict(access.options) or None,
    }


def _make_postgres(access: DatabaseAccess, schema: str | None) -> Fields:
    """See https://docs.getdbt.com/docs/core/connect-data-platform/postgres-setup.

    To libpq, an empty string means the same as a missing argument: the default.
    """
    options = dict(access.options)
    settings = _split_settings(options.pop("options", ""))
    return {
        "type": "postgres",
        "host": access.host or "",
        "port": access.port or 5432,
        "user": access.user or "",
        "password": access.secrets.get("password", ""),
        "dbname": access.database,
        "schema": schema or "public",
        **options,
        **settings,
    }


def _split_settings(options: str) -> Fields:
    """Return the settings in libpq's ``options`` that dbt-postgres has fields for."""
    found: Fields = {}
    rest = options.strip()
    while rest:
        match = _OPTION.match(rest)
        if match is None or match[1] not in {"search_path", "role"}:
            named = match[1] if match else rest.split()[0]
            raise ConfigurationError(
                "the `options` of PostgreSQL",
                f"dbt-postgres can set search_path and role only, not {named!r}",
                "Use a block without it, or set it for the role: ALTER ROLE ... SET ...",
            )
        found[match[1]] = re.sub(r"\\(.)", r"\1", match[2])
        rest = rest[match.end() :]
    return found


def _make_redshift(access: DatabaseAccess, schema: str | None) -> Fields:
    """See https://docs.getdbt.com/docs/core/connect-data-platform/redshift-setup."""
    return {
        "type": "redshift",
        "method": "database",
        "host": access.host,
        "port": access.port or 5439,
        "user": access.user,
        "password": access.secrets.get("password", ""),
        "dbname": access.database,
        "schema": schema or "public",
        "sslmode": access.options.get("sslmode"),
    }


def _make_snowflake(access: DatabaseAccess, schema: str | None) -> Fields:
    """See https://docs.getdbt.com/docs/core/connect-data-platform/snowflake-setup."""
    options, secrets = access.options, access.secrets
    schema = schema or options.get("schema")
    _require("Snowflake", {"account": options.get("account"), "database": access.database}, schema)
    return {
        "type": "snowflake",
        "account": options["account"],
        "host": access.host,
        "port": access.port,
        "protocol": options.get("protocol"),
        "user": access.user,
        **_make_snowflake_login(options, secrets),
        "role": options.get("role"),
        "warehouse": options.get("warehouse"),
        "database": access.database,
        "schema": schema,
    }


def _make_snowflake_login(options: Mapping[str, str], secrets: Mapping[str, Masked]) -> Fields:
    kind = options.get("authenticator", "snowflake")
    if kind == "oauth_client_credentials":
        raise ConfigurationError(
            "the Snowflake credentials",
            "dbt can't log in with authenticator 'oauth_client_credentials'",
            "Get a token from the identity provider, and set authenticator='oauth' and token; or "
            "use a key pair.",
        )
    if "private_key" in secrets and kind in _SNOWFLAKE_LOGINS:
        passphrase = secrets.get("private_key_passphrase")
        key = secrets["private_key"].get_secret_value()
        is_encrypted = passphrase is not None
        made: Fields = {"private_key": SecretStr(_make_pem(key, is_encrypted=is_encrypted))}
        return made | ({"private_key_passphrase": passphrase} if passphrase is not None else {})
    if kind == "okta_endpoint":
        kind = options.get("endpoint", kind)
    wanted = "token" if kind in {"oauth", "programmatic_access_token"} else "password"
    login: Fields = {"authenticator": _SNOWFLAKE_LOGINS.get(kind, kind)}
    if kind == "workload_identity":
        login["workload_identity_provider"] = options.get("workload_identity_provider")
        wanted = "token"
    return login | ({wanted: secrets[wanted]} if wanted in secrets else {})


def _make_pem(key: str, *, is_encrypted: bool) -> str:
    """Return a private key as PEM; it is PEM already, or DER in base64."""
    text = key.strip()
    if text.startswith("-----"):
        return text.replace("\\n", "\n") + "\n"
    try:
        der = base64.b64decode(text, validate=False)
    except binascii.Error:
        return text
    kind = "ENCRYPTED PRIVATE KEY" if is_encrypted else "PRIVATE KEY"
    lines = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n"


def _make_bigquery(access: DatabaseAccess, schema: str | None) -> Fields:
    """See https://docs.getdbt.com/docs/core/connect-data-platform/bigquery-setup."""
    options = access.options
    schema = schema or options.get("dataset")
    login = _make_google_login(access)
    # Only with this method does dbt use the project of the environment by default.
    project = access.database or ("" if login["method"] != "oauth" else None)
    _require("BigQuery", {} if project is None else {"project": project}, schema)
    limit = options.get("maximum_bytes_billed")
    priority = options.get("priority")
    return {
        "type": "bigquery",
        **login,
        "project": project,
        "dataset": schema,
        "location": options.get("location"),
        "priority": priority.lower() if priority else None,
        "maximum_bytes_billed": int(limit) if limit else None,
        "impersonate_service_account": options.get("impersonate_service_account"),
        "scopes": options["scopes"].split() if options.get("scopes") else None,
        "quota_project": options.get("quota_project"),
        "api_endpoint": options.get("endpoint"),
    }


def _make_google_login(access: DatabaseAccess) -> Fields:
    key = access.secrets.get("service_account_key")
    if key is not None:
        return {"method": "service-account-json", "keyfile_json": _split_key(key)}
    if "refresh_token" in access.secrets:
        return {
            "method": "oauth-secrets",
            "refresh_token": access.secrets["refresh_token"],
            "client_secret": access.secrets.get("client_secret"),
            "client_id": access.options.get("client_id"),
            "token_uri": access.options.get("token_uri", GOOGLE_TOKENS),
        }
    if "access_token" in access.secrets:
        return {"method": "oauth-secrets", "token": access.secrets["access_token"]}
    return {"method": "oauth"}


def _split_key(key: Masked) -> Fields:
    try:
        found = json.loads(key.get_secret_value())
    except ValueError:
        found = None  # the parser's message quotes the key
    if not isinstance(found, dict):
        problem = "it is not a JSON object"
        remedy = "Use the complete JSON of the key, as downloaded from Google."
        raise ConfigurationError("the service account's key", problem, remedy)
    return {
        name: SecretStr(value) if name in _GOOGLE_SECRETS and isinstance(value, str) else value
        for name, value in found.items()
    }


def _require(service: str, needed: Mapping[str, str | None], schema: str | None) -> None:
    """Refuse an access that lacks fields that dbt needs."""
    missing = [name for name, value in {**needed, "schema": schema}.items() if not value]
    if missing:
        names = " and ".join(missing)
        remedy = f"Set {names} in the block, or in the target configs."
        raise ConfigurationError(f"a dbt target for {service}", f"dbt needs {names}", remedy)


_MAKERS: dict[str, Callable[[DatabaseAccess, str | None], Fields]] = {
    "bigquery": _make_bigquery,
    "duckdb": _make_duckdb,
    "postgresql": _make_postgres,
    "redshift": _make_redshift,
    "snowflake": _make_snowflake,
}
