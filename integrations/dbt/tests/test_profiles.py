"""Profiles: secrets are variables, dbt reads the intended values, and the file is private."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from dbt.config.renderer import ProfileRenderer
from dbt_common.context import set_invocation_context
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from flowstone.errors import ConfigurationError, MissingExtra
from flowstone.records.access import DatabaseAccess
from flowstone.records.redaction import redact
from flowstone_dbt import DbtTarget, Profile, make_profile, make_target, open_profile
from flowstone_dbt.profiles import find_adapter, require_adapter
from flowstone_dbt.references import PREFIX
from flowstone_dbt.targets import build_target

if TYPE_CHECKING:
    from pathlib import Path

#: Text that can be passed to a process.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
TRICKY = st.sampled_from(
    [
        "{{ 1 + 1 }}",
        "{% if %}",
        "{#",
        "}}",
        "a\nb\r\n",
        "'\"\\",
        "DBT_ENV_SECRET",
        "1",
        "True",
        "$$",
    ]
)


def render(target: DbtTarget) -> dict[str, Any]:
    """Return a target as dbt renders it."""
    set_invocation_context({n: value.get_secret_value() for n, value in target.secrets.items()})
    found: dict[str, Any] = ProfileRenderer({}).render_data(dict(target.content))
    return found


def reach_postgres(**given: Any) -> DatabaseAccess:
    return DatabaseAccess("postgresql", "shop", "db.example.org", 5433, "loader", **given)


# -- secrets -------------------------------------------------------------------------------------


def test_a_secret_is_a_variable() -> None:
    canary = f"canary-{token_hex(12)}"
    access = reach_postgres(secrets={"password": SecretStr(canary)})
    target = make_target(access, schema="public")
    assert target.content["password"] == f"{{{{ env_var('{PREFIX}1') }}}}"
    assert {n: value.get_secret_value() for n, value in target.secrets.items()} == {
        f"{PREFIX}1": canary
    }
    profile = make_profile("shop", "dev", target, {"DBT_DEBUG": "True"})
    assert profile.reveal_environment() == {f"{PREFIX}1": canary, "DBT_DEBUG": "True"}
    with open_profile(profile) as folder:
        shown = [repr(target), repr(profile), (folder / "profiles.yml").read_text()]
    assert not [each for each in shown if canary in each]
    assert canary not in redact(f"connecting with {canary}")


@example(value="\x85")  # a line break, to YAML
@example(value="Größe \u2028")
@given(value=TEXTS | TRICKY | st.tuples(TEXTS, TRICKY, TEXTS).map("".join))
def test_dbt_reads_back_what_was_meant(value: str) -> None:
    """dbt passes any value or secret to its adapter unchanged."""
    target = build_target({"database": value, "password": SecretStr(value), "n": [value]}, {})
    with open_profile(make_profile("shop", "dev", target)) as folder:
        content = yaml.safe_load((folder / "profiles.yml").read_text("utf-8"))
    written = content["shop"]["outputs"]["dev"]
    assert render(DbtTarget(written, target.secrets)) == {
        "database": value,
        "password": value,
        "n": [value],
    }


def test_a_secret_with_a_nul_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'password' of the dbt profile: .*NUL") as caught:
        build_target({"password": SecretStr("canary\0canary")}, {})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "field",
    [
        "password", "pass", "token", "private_key", "private_key_passphrase", "client_secret",
        "refresh_token", "secret", "motherduck_token", "s3_secret_access_key", "api_key", "PWD",
        "aws_session_token", "connection_string",
    ],
)  # fmt: skip
def test_secrets_among_the_extras_are_told_by_their_names(field: str) -> None:
    target = build_target({}, {}, {"settings": [{field: "a-canary", "user": "me", "none": None}]})
    assert target.content == {
        "settings": [{field: f"{{{{ env_var('{PREFIX}1') }}}}", "user": "me", "none": None}]
    }


@pytest.mark.parametrize(
    "field", ["private_key_path", "token_uri", "oauth_client_id", "keyfile", "key_id"]
)
def test_other_extras_stay(field: str) -> None:
    assert build_target({}, {}, {field: "as it is"}).content == {field: "as it is"}


def test_a_login_in_a_url_is_secret() -> None:
    given = {"attach": [{"path": "postgres://me:a-canary@h/d"}, {"path": "password=a-canary"}]}
    target = build_target({}, {}, given)
    assert "a-canary" not in repr(target)
    assert render(target) == given


def test_variables_that_somebody_wrote_are_dbt_s() -> None:
    given = {
        "password": "{{ env_var('SHOP_PASSWORD') }}",
        "port": "{{ env_var('SHOP_PORT', '5432') | as_number }}",
    }
    target = build_target({}, {"schema": "dbt_{{ env_var('SHOP_USER') }}"}, given)
    assert not target.secrets
    set_invocation_context({"SHOP_PASSWORD": "p", "SHOP_USER": "me"})
    rendered = ProfileRenderer({}).render_data(dict(target.content))
    assert rendered == {"schema": "dbt_me", "password": "p", "port": 5432}


def test_a_secret_with_a_default_is_refused() -> None:
    with pytest.raises(ValueError, match="without a default") as caught:
        build_target({}, {}, {"password": "{{ env_var('SHOP_PASSWORD', 'a-canary') }}"})
    assert "a-canary" not in str(caught.value)


def test_extras_win_where_they_may() -> None:
    access = reach_postgres(secrets={"password": SecretStr("a-password")})
    target = make_target(access, schema="a", extras={"password": "another", "keepalives_idle": 5})
    assert render(target)["password"] == "another"
    assert [each.get_secret_value() for each in target.secrets.values()] == ["another"]
    with pytest.raises(ConfigurationError, match="password would override") as caught:
        make_target(access, schema="a", extras={"password": "another"}, allow_overrides=False)
    assert "allow_field_overrides=True" in str(caught.value)


# -- dialects ------------------------------------------------------------------------------------


def test_postgres() -> None:
    """See https://docs.getdbt.com/docs/core/connect-data-platform/postgres-setup."""
    access = reach_postgres(
        options={"sslmode": "verify-full", "sslrootcert": "/ca.pem", "options": ""},
        secrets={"password": SecretStr("a-password")},
    )
    assert render(make_target(access, schema="public", threads=8)) == {
        "type": "postgres",
        "host": "db.example.org",
        "port": 5433,
        "user": "loader",
        "password": "a-password",
        "dbname": "shop",
        "schema": "public",
        "sslmode": "verify-full",
        "sslrootcert": "/ca.pem",
        "threads": 8,
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (r"-c search_path=shop,public", {"search_path": "shop,public"}),
        (r"-crole=owner --search_path=a,\ b", {"role": "owner", "search_path": "a, b"}),
    ],
)
def test_settings_of_postgres(options: str, expected: dict[str, str]) -> None:
    target = make_target(reach_postgres(options={"options": options}), schema="s")
    assert expected.items() <= target.content.items()
    assert "options" not in target.content


def test_other_settings_of_postgres_are_refused() -> None:
    access = reach_postgres(options={"options": "-c role=me -c statement_timeout=5"})
    with pytest.raises(ConfigurationError, match=r"not 'statement_timeout'\. Use a block"):
        make_target(access, schema="s")


def test_redshift() -> None:
    """See https://docs.getdbt.com/docs/core/connect-data-platform/redshift-setup."""
    secrets = {"password": SecretStr("a-password")}
    access = DatabaseAccess("redshift", "dev", "h", None, "me", secrets=secrets)
    assert render(make_target(access, schema="s")) == {
        "type": "redshift",
        "method": "database",
        "host": "h",
        "port": 5439,
        "user": "me",
        "password": "a-password",
        "dbname": "dev",
        "schema": "s",
        "threads": 4,
    }


def test_duckdb() -> None:
    access = DatabaseAccess("duckdb", "/data/shop {{x}}.duckdb", options={"threads": "2"})
    assert render(make_target(access, schema=None)) == {
        "type": "duckdb",
        "path": "/data/shop {{x}}.duckdb",
        "schema": "main",
        "config_options": {"threads": "2"},
        "threads": 4,
    }


def test_a_database_that_dbt_is_not_known_to_reach() -> None:
    with pytest.raises(ConfigurationError, match=r"'mysql'.*Use TargetConfigs with the adapter's"):
        make_target(DatabaseAccess("mysql", "shop"), schema="s")


# -- the file ------------------------------------------------------------------------------------


def make_simple(kind: str = "duckdb") -> Profile:
    return make_profile("shop", "dev", DbtTarget({"type": kind, "path": "shop.duckdb"}))


def test_the_file_is_private_and_gone_at_the_end() -> None:
    with open_profile(make_simple()) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        file = folder / "profiles.yml"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert yaml.safe_load(file.read_text()) == {
            "shop": {
                "target": "dev",
                "outputs": {"dev": {"type": "duckdb", "path": "shop.duckdb"}},
            }
        }
        (folder / ".user.yml").write_text("dbt's own")
    assert not folder.exists()


def test_the_file_is_gone_after_an_error() -> None:
    with pytest.raises(OSError, match="not ours"), open_profile(make_simple()) as folder:
        raise OSError("not ours")
    assert not folder.exists()


def test_a_directory_that_can_t_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with (
        pytest.raises(ConfigurationError, match=r"profiles\.yml: it can't be written: No such"),
        open_profile(make_simple()),
    ):
        pass


# -- adapters ------------------------------------------------------------------------------------


def test_the_adapter_is_found() -> None:
    assert require_adapter(make_simple()) == "duckdb"
    assert require_adapter(make_simple("postgres")) == "postgres"


def test_an_adapter_that_is_not_installed() -> None:
    assert find_adapter(make_simple("bigquery")) == "bigquery"
    with pytest.raises(MissingExtra, match=r"pip install 'flowstone-dbt\[bigquery\]'"):
        require_adapter(make_simple("bigquery"))
    with pytest.raises(MissingExtra, match=r"'redshift'.*pip install 'dbt-redshift'"):
        require_adapter(make_simple("redshift"))


def test_dbt_is_not_imported_to_look_for_an_adapter() -> None:
    code = (
        "import sys\n"
        "from flowstone_dbt.profiles import DbtTarget, make_profile, require_adapter\n"
        "require_adapter(make_profile('shop', 'dev', DbtTarget({'type': 'duckdb'})))\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'dbt'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, r"profile 'shop': it has no target 'dev'\. Add one\."),
        ({"shop": {"outputs": {"prod": {}}}}, r"no target 'dev'\. Choose one of 'prod'\."),
        ({"shop": {"outputs": {"dev": {}}}}, r"its type is None\. Set it to the name of an"),
        ({"shop": {"outputs": {"dev": {"type": "a.b"}}}}, r"its type is 'a\.b'"),
    ],
)
def test_a_profile_without_an_adapter(content: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        find_adapter(Profile("shop", "dev", content))
