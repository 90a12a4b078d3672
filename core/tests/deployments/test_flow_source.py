"""Flows as their source says, compared with what their import says."""

from __future__ import annotations

import inspect
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from flowstone.calls.flow import Flow
from flowstone.calls.parameter_schema import make_parameter_schema
from flowstone.deployments.flow_source import read_flow_source
from flowstone.errors import ConfigurationError
from flowstone.flow_runs.schemas import find_misfits

from . import flows

if TYPE_CHECKING:
    from typing import Any

FLOWS = {name: each for name, each in vars(flows).items() if isinstance(each, Flow)}
SOURCE = '''
import not_installed_anywhere
from typing import Literal, Optional
import flowstone

@flowstone.flow(name="load it", version="7", description="Loads.", validate_parameters=False)
async def etl(
    table: str,
    rows: int | None = None,
    mode: Literal["a", "b"] = "a",
    *,
    days: "list[str]" = [],
    limits: dict[str, Optional[float]] = {},
    token: SecretStr | None = None,
    model: "Model" = Model(),
    strange=object,
    **more,
):
    """Something else."""
'''


def read(tmp_path: Path, code: str, name: str = "etl") -> dict[str, Any]:
    (tmp_path / "f.py").write_text(code)
    found = read_flow_source(f"f.py:{name}" if name else "f.py", tmp_path)
    return {**found._asdict(), **found.parameter_schema}


@pytest.mark.parametrize("name", FLOWS)
def test_a_source_says_what_an_import_says(name: str) -> None:
    imported: Flow[..., object] = FLOWS[name]
    found = read_flow_source(f"{flows.__file__}:{imported.fn.__name__}", Path())
    schema = make_parameter_schema(imported.parameters)
    assert found.name == imported.name
    assert found.entrypoint == f"{flows.__file__}:{imported.fn.__name__}"
    assert found.description == (inspect.getdoc(imported.fn) or None)
    for key in ("required", "additionalProperties"):
        assert (found.parameter_schema[key] or None) == (schema.get(key) or None)
    assert set(found.parameter_schema["properties"]) == set(schema.get("properties", {}))  # type: ignore[call-overload]


def test_a_flow_is_read_without_what_it_imports(tmp_path: Path) -> None:
    found = read(tmp_path, SOURCE)
    assert (found["name"], found["version"], found["description"]) == ("load it", "7", "Loads.")
    assert found["enforces"] is False
    assert found["required"] == ["table"]
    assert found["additionalProperties"] is True
    parts = {name: {**each} for name, each in found["properties"].items()}
    assert {each.pop("title") for each in parts.values()} == set(parts)
    assert parts == {
        "table": {"type": "string"},
        "rows": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "mode": {"enum": ["a", "b"], "default": "a"},
        "days": {"type": "array", "items": {"type": "string"}, "default": []},
        "limits": {
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "default": {},
        },
        "token": {
            "anyOf": [
                {"type": "string", "format": "password", "writeOnly": True},
                {"type": "null"},
            ],
            "default": None,
        },
        "model": {"default": None},
        "strange": {"default": None},
    }


def test_parameters_are_checked_by_what_the_source_says(tmp_path: Path) -> None:
    schema = read(tmp_path, SOURCE)["parameter_schema"]
    given = {"table": "t", "rows": 1, "mode": "b", "model": [1], "strange": {}, "other": 1}
    assert find_misfits(schema, given) == {}
    wrong = {"rows": "many", "mode": "c", "days": [1], "limits": {"a": "x"}}
    assert set(find_misfits(schema, wrong)) >= {"table", "rows", "mode"}


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        ("dt.date", date),
        ("datetime | None", datetime | None),
        ("time", time),
        ("timedelta", timedelta),
        ("list[uuid.UUID]", list[UUID]),
        ("Path", Path),
    ],
)
def test_types_of_the_standard_library_are_described_as_pydantic_does(
    tmp_path: Path, hint: str, kind: Any
) -> None:
    schema = read(tmp_path, f"@flow\ndef etl(value: {hint}): ...\n")["parameter_schema"]
    described = TypeAdapter(kind).json_schema()
    assert schema["properties"]["value"] == {"title": "value", **described}
    assert kind is Path or "value" in find_misfits(schema, {"value": "2026-13-01"})


@pytest.mark.parametrize(
    ("code", "name", "problem"),
    [
        ("def etl(): ...", "etl", "it has no function 'etl' with @flow"),
        ("@flow\ndef load(): ...\n", "loud", "Did you mean 'load'"),
        ("@flow\ndef a(): ...\n@flow\ndef b(): ...\n", "", "it has 2 flows: 'a', 'b'"),
        ("x = 1", "", "it has no flow"),
        ("def (", "etl", ", line 1: invalid syntax"),
        ("\0", "etl", "null bytes"),
    ],
)
def test_bad_sources_are_refused(tmp_path: Path, code: str, name: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read(tmp_path, code, name)


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    for entrypoint in ("none.py:etl", "package.module:etl", "etl"):
        with pytest.raises(ConfigurationError, match=r"there is no file|it is not FILE\.py:FLOW"):
            read_flow_source(entrypoint, tmp_path)
