from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.records.redaction import MASK
from flowstone.settings import explain_settings, find_misspelt, list_variables

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

PROGRAM = """
from flowstone import flow

@flow
def job():
    pass

job()
"""


def test_every_setting_is_shown_with_where_it_comes_from(home: Home) -> None:
    done = home.run("settings", "--json", FLOWSTONE_LOGGING_LEVEL="debug")
    found = {each["variable"]: each for each in done.json["settings"]}
    assert list(found) == list(list_variables())
    assert found["FLOWSTONE_LOGGING_LEVEL"]["value"] == "DEBUG"
    assert found["FLOWSTONE_LOGGING_LEVEL"]["from"] == "environment"
    assert found["FLOWSTONE_HOME"]["value"] == str(home.path)
    assert found["FLOWSTONE_STORE"]["from"] == "default"
    assert not home.path.exists(), "nothing is opened"


def test_secrets_are_masked(home: Home) -> None:
    canary = "tell-nobody-of-this-canary"
    for command in (("settings",), ("settings", "--json"), ("doctor",), ("doctor", "--json")):
        for key in (canary, canary[:5]):  # the second is refused
            done = home.run(*command, FLOWSTONE_SECRET_KEY=key)
            assert key not in done.out + done.err
    done = home.run("settings", FLOWSTONE_SECRET_KEY=canary)
    assert MASK in done.out


def test_a_misspelt_variable_is_warned_about(home: Home) -> None:
    wrong = {"FLOWSTONE_LOGING_LEVEL": "DEBUG", "FLOWSTONE_GIT_TOKEN": "mine"}
    told = "FLOWSTONE_LOGING_LEVEL is not a setting"
    done = home.run("settings", **wrong)
    assert f"{told}. Did you mean FLOWSTONE_LOGGING_LEVEL?" in done.err
    assert "GIT_TOKEN" not in done.err
    assert told in home.run("run", "ls", **wrong).err
    doctor = home.run("doctor", **wrong)
    assert (doctor.code, told in doctor.out) == (1, True)


def test_near_names_only_are_suggested() -> None:
    near = {
        "FLOWSTONE_HOM": "FLOWSTONE_HOME",
        "flowstone_store": "FLOWSTONE_STORE",
        "FLOWSTONE_RESULTS_PERSIST_DEFAULT": "FLOWSTONE_RESULTS_PERSIST_BY_DEFAULT",
    }
    others = dict.fromkeys(("FLOWSTONE_HOME", "FLOWSTONE_GIT_TOKEN", "PATH", "FLOWSTONE_"), "x")
    assert find_misspelt({**dict.fromkeys(near, "x"), **others}) == near


def test_a_value_that_cannot_be_used_is_shown_beside_the_others(home: Home) -> None:
    done = home.run("settings", FLOWSTONE_STORE="oracle", FLOWSTONE_LEASE_SECONDS="9")
    assert done.code == 1
    assert "'oracle' is not 'sqlite' or 'memory'" in done.out
    found = {each.variable: each for each in explain_settings({"FLOWSTONE_STORE": "oracle"})}
    assert (found["FLOWSTONE_STORE"].value, found["FLOWSTONE_HOME"].problem) == ("sqlite", None)
    doctor = home.run("doctor", FLOWSTONE_STORE="oracle")
    assert (doctor.code, "Set it again, or unset it." in doctor.out) == (1, True)


def find(home: Home, **environ: str) -> dict[str, tuple[bool, str, str | None]]:
    done = home.run("doctor", "--json", **environ)
    checks = {c["check"]: (c["ok"], c["told"], c["remedy"]) for c in done.json["checks"]}
    assert done.json["ok"] == (done.code == 0) == all(ok for ok, _, _ in checks.values())
    return checks


def test_a_new_home_is_well(home: Home) -> None:
    found = find(home)
    assert found.keys() == {
        "python", "settings", "home", "store", "key", "clock", "plugins", "disk"
    }  # fmt: skip
    assert found["home"][1].endswith("will be created by the first run")
    assert not home.path.exists(), "looking makes nothing"


def test_a_used_home_is_well(home: Home) -> None:
    home.python(PROGRAM)
    assert home.run("block", "create", "secret", "s", "value=@-", stdin="hush").code == 0
    found = find(home)
    assert found["store"][1].startswith(f"{home.path / 'flowstone.db'}, intact: 1 run, ")
    assert "secret.key" in found["key"][1]
    assert "flowstone" in found["plugins"][1]
    assert home.run("doctor").code == 0


def test_a_home_that_others_read_is_told(home: Home) -> None:
    home.path.mkdir(mode=0o755)
    home.path.chmod(0o755)
    ok, told, remedy = find(home)["home"]
    assert (ok, remedy) == (False, f"Run `chmod 700 {home.path}`.")
    assert told.startswith("other users can read")


def test_a_home_that_is_a_file_is_told(home: Home) -> None:
    home.path.write_text("")
    assert find(home)["home"][1].endswith("is not a directory")


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0 cut"])
def test_a_store_that_is_none_is_told(home: Home, content: bytes) -> None:
    home.path.mkdir(mode=0o700)
    (home.path / "flowstone.db").write_bytes(content)
    ok, told, _ = find(home)["store"]
    assert (ok, "is not a Flowstone store" in told) == (False, True)


def test_a_key_that_is_none_is_told(home: Home) -> None:
    home.path.mkdir(mode=0o700)
    key = home.path / "secret.key"
    key.touch(mode=0o600)
    key.write_text("tell-nobody")
    ok, told, _ = find(home)["key"]
    assert not ok
    assert "tell-nobody" not in told
