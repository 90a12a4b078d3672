"""BlockSuite: the standard tests of all block types."""

# ruff: noqa: S301, SLF001, PT011 - it reads private names and unpickles its own pickles

from __future__ import annotations

import ast
import copy
import json
import logging
import pickle
from contextlib import closing
from traceback import format_exception
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from pydantic import Field

from flowstone.blocks import Block
from flowstone.blocks.display import apply_redacted, redact_fields
from flowstone.context.current import services as current_services
from flowstone.context.current import use_services
from flowstone.errors import BlockInvalid, DocumentInvalid
from flowstone.plugins import get_host
from flowstone.records.encoding import describe_as_json, dumps
from flowstone.records.redaction import redact
from flowstone.secrets.fields import hides
from flowstone.secrets.walk import secret_texts
from flowstone.testing.memory import memory_services
from flowstone_testing.conformance.block_references import BlockReferences
from flowstone_testing.conformance.golden import KEY, Golden, describe_shape, locate, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from flowstone.context.current import Services

#: Minimum length of secrets in examples: shorter ones could occur by chance.
SHORTEST = 12


class Holder(Block):
    """A block that holds another one, for tests of nesting."""

    _block_type_slug: ClassVar[str | None] = "conformance-holder"

    inner: Block
    several: dict[str, list[Block]] = Field(default_factory=dict)


class Odd:
    """A value that fits no field and whose `repr` shows its content."""

    def __init__(self, inside: str) -> None:
        self.inside = inside

    def __repr__(self) -> str:
        return f"Odd({self.inside})"


class BlockSuite(BlockReferences):
    """Join with a fixture `examples`: blocks of one type, created as a user would.

    Every secret field must be set in at least one of them, to a random string of 12 or more
    characters, which the suite searches for in outputs. Set ``in_catalog = False`` for a type that
    no package lists.

    Each version of a type has a golden document in the folder `golden` beside the tests;
    ``pytest --write-golden`` writes those of new versions.
    """

    kind = "block"
    interface = Block
    in_catalog: ClassVar[bool] = True

    @pytest.fixture
    def golden(self, request: pytest.FixtureRequest) -> Path:
        """The directory of the golden documents."""
        return request.path.parent / "golden"

    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        raise NotImplementedError("give the suite a fixture `examples`")

    @pytest.fixture(autouse=True)
    def services(self, tmp_path: Path) -> Iterator[Services]:
        current = memory_services(tmp_path / "flowstone-home")
        with use_services(current), closing(current):
            yield current

    def test_it_comes_back_as_it_was_saved(self, examples: Sequence[Block]) -> None:
        """Look at the fields that differ: JSON or a validator changes them."""
        for block in examples:
            assert block.name is None or "name" in type(block).model_fields
            assert block.save("kept") == 1
            loaded = type(block).load("kept")
            assert type(loaded) is type(block)
            assert loaded == block
            by_slug = Block.load(f"{block.block_type_slug()}/kept")
            assert type(by_slug) is type(block)
            assert by_slug == block
            type(block).delete("kept")

    def test_it_comes_back_from_inside_another_block(self, examples: Sequence[Block]) -> None:
        """Look at the slug: is it the type's own, and does it resolve to the type?"""
        for block in examples:
            holder = Holder(inner=block, several={"a": [block]})
            holder.save("inline", overwrite=True)
            block.save("kept", overwrite=True)
            holder.save("by-reference", overwrite=True)
            for name in ("inline", "by-reference"):
                loaded = Holder.load(name)
                assert type(loaded.inner) is type(block), name
                assert loaded == holder, name

    def test_it_travels_by_pickle(self, examples: Sequence[Block]) -> None:
        """Look at private attributes and `__reduce__`: only the fields are pickled."""
        for block in examples:
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
                arrived = pickle.loads(pickle.dumps(block, protocol))
                assert type(arrived) is type(block)
                assert arrived == block

    def test_a_copy_is_equal(self, examples: Sequence[Block]) -> None:
        """Look at what the block holds besides its fields: can it be copied?"""
        for block in examples:
            assert copy.copy(block) == block
            assert copy.deepcopy(block) == block
            assert block.model_copy() == block

    def test_every_secret_field_is_set_in_an_example(self, examples: Sequence[Block]) -> None:
        """Set the named fields to a random string, or the tests below can't detect a leak."""
        for model in {type(block) for block in examples}:
            secret = [name for name, field in model.model_fields.items() if hides(field.annotation)]
            same = [block for block in examples if type(block) is model]
            unset = [n for n in secret if not any(_list_long_texts(getattr(b, n)) for b in same)]
            assert not unset

    def test_secrets_are_masked_where_a_block_is_shown(self, examples: Sequence[Block]) -> None:
        """Look for a `__repr__`, serializer or computed field that shows the plain value."""
        for block in examples:
            shown = [repr(block), str(block), f"{block}", repr(block.model_dump())]
            shown += [dumps(block.model_dump(mode="json")), block.model_dump_json()]
            shown += [repr(list(block)), repr(vars(block)), dumps(describe_as_json({"x": [block]}))]
            _assert_hidden(block, *shown)

    def test_secrets_are_sealed_in_documents(
        self, examples: Sequence[Block], services: Services
    ) -> None:
        """Look for a field that should be a SecretStr, SecretBytes or SecretDict, and is not."""
        for block in examples:
            block.save("kept", overwrite=True)
            Holder(inner=block).save("holder", overwrite=True)
            bodies = [dumps(dict(found.body)) for found in services.documents.find("", prefix=True)]
            _assert_hidden(block, *bodies)

    def test_secrets_are_sealed_in_pickles(self, examples: Sequence[Block]) -> None:
        """Look for a `__reduce__` or `__getstate__` that the block defines."""
        for block in examples:
            for thing in (block, Holder(inner=block), [block]):
                for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                    _assert_hidden(block, pickle.dumps(thing, protocol).decode("latin-1"))

    def test_secrets_are_not_in_errors(self, examples: Sequence[Block]) -> None:
        """Look at the messages of the type's own validators: do they quote the value?"""
        for block in examples:
            fields = {name: getattr(block, name) for name in type(block).model_fields}
            for secret in _list_long_texts(block):
                wrong = [{**fields, "no_such_field": secret}]
                wrong += [
                    {**fields, name: [Odd(secret), {"": secret}]}
                    for name, field in type(block).model_fields.items()
                    if hides(field.annotation)
                ]
                for given in wrong:
                    if not _takes(type(block), given):
                        _assert_hidden(block, *_list_problems(type(block), given))

    def test_secrets_are_known_to_redaction(
        self, examples: Sequence[Block], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Look for a block that is created without `__init__`: its secrets are not registered."""
        for block in examples:
            for secret in _list_long_texts(block):
                assert secret not in redact(f"connecting with {secret} failed")
            with caplog.at_level(logging.DEBUG):
                logging.getLogger("conformance").warning("%s %r %s", block, block, [block])
            _assert_hidden(block, caplog.text)

    def test_an_unknown_field_is_refused_by_name(self, examples: Sequence[Block]) -> None:
        """Look at `model_config`: `extra` must stay "forbid"."""
        for block in examples:
            fields = {name: getattr(block, name) for name in type(block).model_fields}
            with pytest.raises(BlockInvalid, match="no_such_field"):
                type(block)(**fields, no_such_field=1)

    def test_a_leftover_in_a_document_is_refused_by_name(
        self, examples: Sequence[Block], services: Services
    ) -> None:
        """Look for a validator or a migration that drops unknown fields."""
        for block in examples:
            _change(block, services, {"no_such_field": 1}, block.schema_version)
            with pytest.raises(DocumentInvalid, match="no_such_field"):
                type(block).load("kept")

    def test_a_document_of_a_newer_package_is_refused(
        self, examples: Sequence[Block], services: Services
    ) -> None:
        """Look for a `load` that the type defines."""
        for block in examples:
            _change(block, services, {}, block.schema_version + 1)
            with pytest.raises(DocumentInvalid, match="upgrade"):
                type(block).load("kept")

    def test_migrations_lead_to_the_schema_version(self, examples: Sequence[Block]) -> None:
        """Look at `migrations`: each key must be an earlier, released version."""
        for model in {type(block) for block in examples}:
            assert model.schema_version >= 1
            assert set(model.migrations) <= set(range(1, model.schema_version))

    def test_the_fields_are_those_of_the_version(
        self, examples: Sequence[Block], golden: Path, request: pytest.FixtureRequest
    ) -> None:
        """Fields have changed: increase `schema_version`, write the migration, and save a document.

        ``pytest --write-golden`` writes the document of a new version or type. Leave the old file
        as it is: users have such documents.

        Args:
            examples: blocks of the type.
            golden: the directory of the golden documents.
            request: the request of the test, for its options.
        """
        if not self.in_catalog:
            return
        for model in {type(block) for block in examples}:
            slug, version = model.block_type_slug(), model.schema_version
            file = locate(golden, slug, version)
            if not file.exists() and request.config.getoption("--write-golden"):
                sealed = memory_services(key=KEY)
                with use_services(sealed), closing(sealed):
                    same = [block for block in examples if type(block) is model]
                    bodies = [_body(block, sealed) for block in same]
                    Golden(describe_shape(model), bodies).write(file)
            assert file.exists(), _describe_missing_golden(slug, version)
            assert describe_shape(model) == read(file).shape

    def test_documents_of_every_released_version_load(
        self, examples: Sequence[Block], golden: Path
    ) -> None:
        """Look at the migration from the version that the file is named after."""
        if not self.in_catalog:
            return
        for model in {type(block) for block in examples}:
            slug = model.block_type_slug()
            for version in range(1, model.schema_version + 1):
                file = locate(golden, slug, version)
                released = version < model.schema_version
                gone = f"{file.name} is missing: users have such documents"
                assert file.exists(), gone if released else _describe_missing_golden(slug, version)
                opening = memory_services(key=KEY)
                with use_services(opening), closing(opening):
                    for number, body in enumerate(read(file).documents):
                        opening.documents.put(f"block:{slug}", f"golden-{number}", body)
                        assert type(model.load(f"golden-{number}")) is model

    def test_what_is_shown_and_put_back_changes_nothing(
        self, examples: Sequence[Block], services: Services
    ) -> None:
        """Look at fields that refuse their own JSON form, or hold a secret in a plain type."""
        for block in examples:
            for kept in (block, Holder(inner=block, several={"a": [block]})):
                kept.save("kept", overwrite=True)
                body = _body(kept, services)
                loaded = type(kept).load("kept")
                shown = json.loads(json.dumps(redact_fields(body)))
                _assert_hidden(block, dumps(shown))
                assert apply_redacted(loaded, body, shown) is loaded
                for name, value in shown.items():  # each set alone, as after an edit
                    assert apply_redacted(loaded, body, {name: value}) is loaded

    def test_a_mask_is_not_taken_for_a_secret(self, examples: Sequence[Block]) -> None:
        """Look for a field that should be a SecretStr, SecretBytes or SecretDict, and is not."""
        for block in examples:
            for name, field in type(block).model_fields.items():
                if hides(field.annotation) and _list_long_texts(getattr(block, name)):
                    shown = json.loads(block.model_dump_json())[field.alias or name]
                    with pytest.raises(BlockInvalid):
                        block.model_copy(update={name: shown})

    def test_its_fields_are_described(self, examples: Sequence[Block]) -> None:
        """Give each named field a ``Field(description=...)``; forms and docs show it."""
        for model in {type(block) for block in examples}:
            bare = [name for name, field in model.model_fields.items() if not field.description]
            assert not bare

    def test_it_says_what_it_is(self, examples: Sequence[Block]) -> None:
        """Give the type a `_description` that ends in a full stop, and a `_code_example`."""
        for model in {type(block) for block in examples}:
            description, example = model._description, model._code_example
            assert description
            assert description.endswith(".")
            assert example
            assert ast.parse(example).body

    def test_it_is_in_the_catalog(self, examples: Sequence[Block]) -> None:
        """List the type under its slug in the `blocks` of the package's `Collection`."""
        if not self.in_catalog:
            return
        for model in {type(block) for block in examples}:
            assert get_host().load("block", model.block_type_slug()) is model


def _list_long_texts(value: object) -> list[str]:
    return [text for text in secret_texts(value) if len(text) >= SHORTEST]


def _assert_hidden(block: Block, *shown: str) -> None:
    for secret in _list_long_texts(block):
        for form in {secret, repr(secret)[1:-1], dumps(secret)[1:-1]}:
            found = [text.replace(form, "<<here>>") for text in shown if form in text]
            assert not found


def _takes(model: type[Block], given: dict[str, object]) -> bool:
    """Return whether a type accepts these fields; a `Secret[Any]` accepts everything."""
    try:
        model(**given)
    except BlockInvalid:
        return False
    return True


def _list_problems(model: type[Block], given: dict[str, object]) -> list[str]:
    with pytest.raises(BlockInvalid) as caught:
        model(**given)
    with pytest.raises(BlockInvalid) as nested:
        Holder(inner=given, several={"a": [given]})
    with pytest.raises(ValueError) as pydantic:
        model.model_validate(given)
    errors = [caught.value, nested.value, pydantic.value]
    told = ["".join(format_exception(error)) for error in errors]
    contexts = [repr(error.__context__) + repr(error.__dict__) for error in errors]
    return [*told, *map(repr, errors), *contexts, repr(pydantic.value.errors())]  # type: ignore[attr-defined]


def _describe_missing_golden(slug: str, version: int) -> str:
    written = "`pytest --write-golden` writes one"
    return f"there is no golden document of {slug!r}, schema version {version}: {written}"


def _body(block: Block, services: Services) -> dict[str, Any]:
    block.save("kept", overwrite=True)
    return dict(services.documents.get(f"block:{block.block_type_slug()}", "kept").body)


def _change(block: Block, services: Services, fields: dict[str, object], version: int) -> None:
    body, kind = _body(block, services), f"block:{block.block_type_slug()}"
    changed = {**body, "schema": version, "fields": {**body["fields"], **fields}}
    current_services().documents.put(kind, "kept", changed)
