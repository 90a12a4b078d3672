"""No secret of any block type is in anything that the command writes."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowstone import catalog
from flowstone.blocks import Block
from flowstone.plugins import registry
from flowstone.secrets.fields import hides

from .test_blocks import DoorCredentials

if TYPE_CHECKING:
    from .conftest import InProcess

#: No shorter, or it would be found in words that have nothing to do with it.
canaries = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_characters="\\\"'"),
    min_size=12,
    max_size=40,
).map("canary-{}".format)


def forms(canary: str) -> set[str]:
    return {canary, json.dumps(canary)[1:-1], base64.b64encode(canary.encode()).decode()}


OWN = DoorCredentials.block_type_slug()


@pytest.mark.parametrize("slug", [*[offer.name for offer in catalog.offers("block")], OWN])
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(canary=canaries)
def test_no_output_has_a_secret_in_it(cli: InProcess, slug: str, canary: str) -> None:
    fields = {
        name: canary if is_secret(field.annotation) else "x"
        for name, field in registry.find_block_type(slug).model_fields.items()
        if field.is_required() or is_secret(field.annotation)
    }
    outputs = [
        cli("block", "create", slug, "given", "--overwrite", *pairs(fields)),
        cli(
            "block", "create", slug, "piped", "--overwrite", "--json-file", "-", stdin=dump(fields)
        ),
        cli("block", "create", slug, "wrong", *pairs({**fields, "no-such-field": canary})),
        cli("block", "create", slug, "wrong", "--json-file", "-", stdin=dump(fields)[:-1]),
        cli("block", "create", slug, "wrong", *json_pairs(fields, canary)),
        cli("block", "create", slug, "wrong", canary),
        cli("block", "ls"),
        cli("block", "ls", "--json"),
        *[cli("block", "show", f"{slug}/{name}", *more) for name, *more in shown()],
        # Others would really connect.
        *[cli("block", "check", f"{OWN}/{name}", *more) for name, *more in shown()],
        cli("block", "delete", f"{slug}/piped", "--json"),
    ]
    written = "".join(each.out + each.err for each in outputs)
    assert not [form for form in forms(canary) if form in written]


def is_secret(annotation: object) -> bool:
    """Return whether a field takes a secret itself; for a block, the name of the block is taken."""
    kinds = (annotation, *get_args(annotation))
    return hides(annotation) and not any(
        isinstance(kind, type) and issubclass(kind, Block) for kind in kinds
    )


def shown() -> list[tuple[str, ...]]:
    return [("given",), ("given", "--json"), ("piped",), ("piped", "--json")]


def pairs(fields: dict[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in fields.items()]


def json_pairs(fields: dict[str, Any], canary: str) -> list[str]:
    """Return secret fields as JSON that is none; what is no secret may be quoted in the error."""
    return [f"{name}:={canary}" for name, value in fields.items() if value == canary]


def dump(fields: dict[str, Any]) -> str:
    return json.dumps(fields)
