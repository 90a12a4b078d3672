"""Target configs and profiles as blocks: saved, loaded, shown, and read from a profiles.yml."""

from __future__ import annotations

import asyncio
import pickle
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from flowstone.blocks import Block, SqliteDatabase
from flowstone.context.current import services
from flowstone.errors import BlockInvalid, ConfigurationError
from flowstone.records.encoding import dumps
from flowstone_dbt import (
    BaseTargetConfigs,
    BigQueryTargetConfigs,
    DbtCliProfile,
    DuckDBTargetConfigs,
    GlobalConfigs,
    PostgresTargetConfigs,
    SnowflakeTargetConfigs,
    TargetConfigs,
)
from flowstone_dbt.references import PREFIX
from flowstone_duckdb import DuckDBDatabase
from flowstone_gcp import GcpCredentials
from flowstone_snowflake import SnowflakeConnector, SnowflakeCredentials
from flowstone_sqlalchemy import SqlAlchemyConnector

if TYPE_CHECKING:
    from pathlib import Path

CANARY = f"canary-{token_hex(12)}"
URL = f"postgresql://loader:{CANARY}@db.example.org/shop"

#: One of each kind, with a secret.
CONFIGS: dict[str, BaseTargetConfigs] = {
    "any": TargetConfigs(type="trino", schema_="shop", extras={"password": CANARY, "host": "h"}),
    "duckdb": DuckDBTargetConfigs(
        credentials=DuckDBDatabase(path="shop.duckdb"),
        extras={"secrets": [{"type": "s3", "key_id": "me", "secret": CANARY}]},
    ),
    "postgres": PostgresTargetConfigs(
        schema_="shop", credentials=SqlAlchemyConnector(connection_info=URL)
    ),
    "snowflake": SnowflakeTargetConfigs(
        connector=SnowflakeConnector(
            credentials=SnowflakeCredentials(account="acme", user="me", password=SecretStr(CANARY)),
            database="SALES",
            schema_="PUBLIC",
        )
    ),
    "bigquery": BigQueryTargetConfigs(
        schema_="shop",
        credentials=GcpCredentials(project="p"),
        extras={"keyfile_json": {"private_key": CANARY}},
    ),
}


def make_profile(configs: BaseTargetConfigs, **fields: Any) -> DbtCliProfile:
    return DbtCliProfile(name="shop", target="dev", target_configs=configs, **fields)


# -- blocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("saved_by_itself", [False, True])
def test_nothing_is_lost_in_a_saved_profile(kind: str, saved_by_itself: bool) -> None:
    """A known issue of prefect-dbt: credentials in target configs were lost after a load."""
    configs = CONFIGS[kind].model_copy()
    profile = make_profile(configs, global_configs=GlobalConfigs(use_colors=False))
    if saved_by_itself:
        configs.save("configs")
    profile.save("profile")
    loaded = DbtCliProfile.load("profile")
    assert loaded == profile
    assert type(loaded.target_configs) is type(configs)
    assert loaded.get_profile() == profile.get_profile()
    assert loaded.make_profile() == profile.make_profile()
    assert pickle.loads(pickle.dumps(loaded)) == profile


@pytest.mark.parametrize("kind", CONFIGS)
def test_no_secret_is_shown(kind: str) -> None:
    profile = make_profile(CONFIGS[kind])
    profile.save("profile")
    made = profile.make_profile()
    assert CANARY in made.reveal_environment().values()
    bodies = [dumps(dict(found.body)) for found in services().documents.find("", prefix=True)]
    shown = [repr(profile), repr(profile.model_dump()), profile.model_dump_json(), repr(made)]
    shown += [repr(profile.get_profile()), repr(profile.target_configs.get_configs()), *bodies]
    assert not [each for each in shown if CANARY in each]


def test_the_content_of_profiles_yml() -> None:
    profile = make_profile(CONFIGS["postgres"])
    assert profile.get_profile() == {
        "shop": {
            "target": "dev",
            "outputs": {
                "dev": {
                    "type": "postgres",
                    "host": "db.example.org",
                    "port": 5432,
                    "user": "loader",
                    "password": f"{{{{ env_var('{PREFIX}1') }}}}",
                    "dbname": "shop",
                    "schema": "shop",
                    "threads": 4,
                }
            },
        }
    }


def test_a_password_by_reference_is_read_when_a_profile_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configs = TargetConfigs(type="trino", extras={"password": "env:SHOP_PASSWORD"})
    configs.save("shop")
    assert "env:SHOP_PASSWORD" in repr(configs)
    monkeypatch.setenv("SHOP_PASSWORD", CANARY)
    made = make_profile(TargetConfigs.load("shop")).make_profile()
    assert list(made.reveal_environment().values()) == [CANARY]


def test_extras_replace_fields_only_where_they_may() -> None:
    configs = TargetConfigs(type="trino", schema_="shop", extras={"schema": "other"})
    with pytest.raises(ConfigurationError, match="schema would override"):
        configs.get_configs()
    configs.allow_field_overrides = True
    assert configs.get_configs()["schema"] == "other"
    flags = GlobalConfigs(debug=True, extras={"debug": False})
    with pytest.raises(ConfigurationError, match="debug would override"):
        flags.get_configs()


def test_threads_are_a_number_or_jinja() -> None:
    assert TargetConfigs(type="duckdb", threads="8").threads == 8
    jinja = "{{ env_var('THREADS') | as_number }}"
    assert TargetConfigs(type="duckdb", threads=jinja).get_configs()["threads"] == jinja
    for wrong in (0, "many", "-1"):
        with pytest.raises(BlockInvalid, match="a number from 1 up"):
            TargetConfigs(type="duckdb", threads=wrong)


def test_a_block_of_another_database_is_refused() -> None:
    configs = PostgresTargetConfigs(schema_="s", credentials=SqliteDatabase(path="shop.db"))
    with pytest.raises(ConfigurationError, match="but the block connects to sqlite"):
        configs.get_configs()


def test_coroutines_make_the_same() -> None:
    async def make() -> None:
        profile = make_profile(CONFIGS["postgres"])
        assert await profile.amake_profile() == profile.make_profile()
        assert await profile.aget_profile() == profile.get_profile()
        configs = profile.target_configs
        assert await configs.amake_target() == configs.make_target()
        assert await configs.aget_configs() == configs.get_configs()

    asyncio.run(make())


def test_a_login_that_reaches_no_bigquery_is_refused() -> None:
    login: Block = SnowflakeCredentials()
    with pytest.raises(BlockInvalid, match="must be a BigQueryWarehouse or GcpCredentials"):
        BigQueryTargetConfigs(schema_="s", credentials=login)


def test_a_profile_has_a_plain_name() -> None:
    for wrong in ("", "{{ env_var('NAME') }}"):
        with pytest.raises(BlockInvalid, match="it must be a name"):
            DbtCliProfile(name=wrong, target="dev", target_configs=CONFIGS["any"])


# -- flags ---------------------------------------------------------------------------------------


def test_flags() -> None:
    flags = GlobalConfigs(use_colors=False, printer_width=60, extras={"warn_error_options": {}})
    assert flags.get_configs() == {
        "use_colors": False, "printer_width": 60, "warn_error_options": {},
    }  # fmt: skip
    profile = make_profile(CONFIGS["duckdb"], global_configs=flags)
    assert profile.get_profile()["config"] == flags.get_configs()
    made = profile.make_profile()
    assert made.flags == {
        "DBT_USE_COLORS": "False", "DBT_PRINTER_WIDTH": "60", "DBT_WARN_ERROR_OPTIONS": "{}",
    }  # fmt: skip
    assert "config" not in made.content


def test_a_flag_is_no_secret() -> None:
    with pytest.raises(BlockInvalid, match="a flag can't hold a secret"):
        GlobalConfigs(extras={"token": "a-canary"})


# -- profiles.yml --------------------------------------------------------------------------------

PROFILES = """
config: {use_colors: false}
shop:
  target: dev
  outputs:
    dev:
      type: postgres
      host: "{{ env_var('SHOP_HOST') }}"
      user: loader
      password: "{{ env_var('SHOP_PASSWORD') }}"
      port: 5432
      dbname: shop
      schema: dbt_{{ env_var('USER') }}
      threads: 8
    prod: {type: bigquery, method: oauth, dataset: shop, project: p}
    secret: {type: trino, password: a-canary, schema: s, threads: "{{ env_var('N') }}"}
    bare: {}
other:
  outputs: {default: {type: duckdb, path: other.duckdb}}
chosen:
  target: "{{ env_var('TARGET', 'dev') }}"
  outputs: {dev: {type: duckdb}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "profiles.yml").write_text(PROFILES)
    return tmp_path


def test_a_profiles_yml_is_read_as_it_is(folder: Path) -> None:
    configs = TargetConfigs.from_profiles_yml(profiles_dir=folder)
    assert configs.get_configs() == {
        "type": "postgres",
        "host": "{{ env_var('SHOP_HOST') }}",
        "user": "loader",
        "password": "{{ env_var('SHOP_PASSWORD') }}",
        "port": 5432,
        "dbname": "shop",
        "schema": "dbt_{{ env_var('USER') }}",
        "threads": 8,
    }
    configs.save("shop")
    assert TargetConfigs.load("shop") == configs


def test_other_profiles_and_targets(folder: Path) -> None:
    def read(profile: str, target: str | None = None) -> TargetConfigs:
        return TargetConfigs.from_profiles_yml(profile, target, profiles_dir=str(folder))

    assert read("shop", "prod").schema_ == "shop"
    assert read("other").get_configs() == {
        "type": "duckdb", "path": "other.duckdb", "threads": 1,
    }  # fmt: skip
    secret = read("shop", "secret")
    assert secret.threads == "{{ env_var('N') }}"
    assert "a-canary" not in repr(secret) + repr(secret.get_configs())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("absent", None), r"no profile 'absent'\. Choose one of 'shop', 'other', 'chosen'\."),
        (("shop", "absent"), r"no target 'absent'\. Choose one of 'dev', 'prod',"),
        (("shop", "bare"), r"the target 'bare' has no type\. Add it"),
        (("chosen", None), r"its target is set by Jinja, .*\. Set target_name\."),
    ],
)
def test_what_is_not_in_a_profiles_yml(
    folder: Path, names: tuple[str, str | None], expected: str
) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        TargetConfigs.from_profiles_yml(*names, folder)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, r"there is no such file\. Set profiles_dir"),
        (b"\xff\xfe", r"it is not UTF-8 text"),
        (b"shop:\n  password: *a-canary\n", r"not valid YAML at line 2, column 13"),
        (b"shop: [a-canary\n", r"not valid YAML at line"),
        (b"- a-canary\n", r"it contains no profiles"),
        (b"", r"it contains no profiles"),
        (b"{}", r"it is empty\. Add a profile"),
    ],
)
def test_a_profiles_yml_that_can_t_be_read(
    tmp_path: Path, content: bytes | None, expected: str
) -> None:
    if content is not None:
        (tmp_path / "profiles.yml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=expected) as caught:
        TargetConfigs.from_profiles_yml(profiles_dir=tmp_path)
    assert "a-canary" not in str(caught.value)


def test_where_dbt_looks_for_a_profiles_yml(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)
    monkeypatch.chdir(folder)
    assert TargetConfigs.from_profiles_yml().threads == 8
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    monkeypatch.setenv("HOME", str(folder))
    with pytest.raises(ConfigurationError, match=r"\.dbt/profiles\.yml: there is no such file"):
        TargetConfigs.from_profiles_yml()
    monkeypatch.setenv("DBT_PROFILES_DIR", str(folder))
    assert TargetConfigs.from_profiles_yml().threads == 8
