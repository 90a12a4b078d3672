"""The sections of a manifest: how documents of a kind are written to and read from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from flowstone.blocks import Block
from flowstone.blocks.display import find_new_secrets, from_redacted, redact_fields
from flowstone.blocks.migrations import migrate_fields
from flowstone.blocks.variable import KIND as VARIABLE
from flowstone.blocks.variable import Variable
from flowstone.context import current
from flowstone.errors import BlockInvalid, FlowstoneError, ObjectNotFound, suggest_names
from flowstone.manifests.references import escape
from flowstone.plugins import registry
from flowstone.ports.paging import iterate_documents
from flowstone.records.limits import KIND as LIMIT
from flowstone.records.limits import Limit, check_limit, encode_limit, is_own, read_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.ports import DocumentStore
    from flowstone.records.documents import Document

    #: Called with the keys of a location in the entry, and the problem there.
    Refuse = Callable[[tuple[str, ...], str], None]


class Section(Protocol):
    """One kind of documents in a file; the key there is the entry's name.

    Attributes:
        name: the name of the section in a file.
        kind: the kind of its documents; if it ends with a colon, the prefix of their kinds.
    """

    name: str
    kind: str

    def key(self, document: Document) -> str:
        """Return the entry's name in a file."""

    def entry(self, document: Document) -> Any:
        """Return the entry for a file, with its texts escaped."""

    def describe(self, document: Document) -> dict[str, object]:
        """Return the fields for display, for a comparison."""

    def put(self, key: str, entry: Any, refuse: Refuse) -> None:
        """Save an entry to the current documents, or report its problems."""

    def needs(self, entry: Any) -> set[str]:
        """Return the entries of this section that must exist before."""


def find_documents(documents: DocumentStore, section: Section) -> list[Document]:
    """Return the documents of a section."""
    found = iterate_documents(documents, section.kind, prefix=section.kind.endswith(":"))
    return [each for each in found if each.kind != LIMIT or not is_own(each.name)]


class _Independent:
    """A section whose entries refer to nothing else."""

    def needs(self, entry: Any) -> set[str]:  # noqa: ARG002 - none has any
        return set()


class Variables(_Independent):
    """``name: value``, or ``name: {value: …, tags: […]}``."""

    name, kind = "variables", VARIABLE

    def key(self, document: Document) -> str:
        return document.name

    def entry(self, document: Document) -> Any:
        value, tags = escape(document.body["value"]), document.body["tags"]
        if tags or isinstance(value, dict):
            return {"value": value, **({"tags": list(tags)} if tags else {})}
        return value

    def describe(self, document: Document) -> dict[str, object]:
        return {"value": document.body["value"], "tags": document.body["tags"]}

    def put(self, key: str, entry: Any, refuse: Refuse) -> None:
        value: Any = entry
        tags: Any = []
        if isinstance(entry, dict):
            if "value" not in entry or not set(entry) <= {"value", "tags"}:
                refuse((), "write `value: …`, and `tags: […]` if you like, for a value with keys")
                return
            value, tags = entry["value"], entry.get("tags", [])
        if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
            refuse(("tags",), "tags are a list of strings")
            return
        Variable.set(key, value, tags, overwrite=True)


class Limits(_Independent):
    """``name: {slots: 5}``, optionally with ``active`` and ``slot_decay_per_second``."""

    name, kind = "limits", LIMIT

    def key(self, document: Document) -> str:
        return document.name

    def entry(self, document: Document) -> Any:
        limit = read_limit(document)
        plain = encode_limit(Limit(limit.name, limit.slots))
        own = encode_limit(limit).items()
        return {field: each for field, each in own if field == "slots" or each != plain[field]}

    def describe(self, document: Document) -> dict[str, object]:
        return dict(encode_limit(read_limit(document)))

    def put(self, key: str, entry: Any, refuse: Refuse) -> None:
        given = entry if isinstance(entry, dict) else {}
        wrong = {field: _find_problem(field, value) for field, value in given.items()}
        for field, problem in wrong.items():
            if problem:
                refuse((field,), problem)
        if "slots" not in given:
            refuse((), "write `slots: NUMBER`")
        elif not any(wrong.values()):
            limit = check_limit(Limit(key, **given))
            current.services().documents.put(LIMIT, key, encode_limit(limit))


_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "slots": ((int,), "a whole number"),
    "active": ((bool,), "true or false"),
    "slot_decay_per_second": ((int, float), "a number"),
}


def _find_problem(field: str, value: object) -> str:
    """Return the problem of a field of a limit; an empty string if there is none."""
    if field not in _TYPES:
        return f"there is no such field.{suggest_names(field, _TYPES)}"
    types, words = _TYPES[field]
    is_number = not isinstance(value, bool) or types == (bool,)
    return "" if isinstance(value, types) and is_number else f"{value!r} is not {words}"


class Blocks:
    """``type/name: {fields: {…}}``, with the ``schema`` version of the fields."""

    name, kind = "blocks", "block:"

    def key(self, document: Document) -> str:
        return f"{document.kind.removeprefix(self.kind)}/{document.name}"

    def entry(self, document: Document) -> Any:
        fields = escape(redact_fields(document.body))
        return {"schema": document.body["schema"], "fields": fields}

    def describe(self, document: Document) -> dict[str, object]:
        return redact_fields(document.body)

    def put(self, key: str, entry: Any, refuse: Refuse) -> None:
        slug, slash, name = key.partition("/")
        if not slash:
            refuse((), "its key must be TYPE/NAME, such as local-directory/raw")
            return
        if not isinstance(entry, dict) or not set(entry) <= {"schema", "fields"}:
            refuse((), "write `fields:`, and `schema:` with the version that they are of")
            return
        if not isinstance(entry.get("fields", {}), (dict, type(None))):
            refuse(("fields",), "fields are names with values")
            return
        kind = registry.find_block_type(slug)
        given: dict[str, Any] = entry
        newest = kind.schema_version
        schema = given.get("schema", newest)
        if type(schema) is not int or not 1 <= schema <= newest:
            told = f"{schema!r} is not a version of {slug}: the installed one is {newest}"
            is_newer = type(schema) is int and schema > newest
            hint = ", so upgrade its package" if is_newer else ""
            refuse(("schema",), f"{told}{hint}")
            return
        body = {"schema": schema, "fields": given.get("fields") or {}}
        fields = migrate_fields(body, (slug, name), kind.schema_version, kind.migrations)
        self._save(kind, registry.check_name("block", name), fields, refuse)

    def _save(
        self, kind: type[Block], name: str, fields: Mapping[str, object], refuse: Refuse
    ) -> None:
        old, body = _load_saved(kind, name)
        try:
            block = from_redacted(kind, fields, old, body)
        except BlockInvalid as error:
            for place, problem in error.problems.items():
                refuse(("fields", *place.split(".")), problem)
            return
        for place in find_new_secrets(block, old):
            problem = "a secret must not be in a file in plain text: write a reference (env:NAME)"
            refuse(("fields", *place.split(".")), problem)
        if block != old:
            block.save(name, overwrite=True)

    def needs(self, entry: Any) -> set[str]:
        if isinstance(entry, dict):
            own = {str(entry["block"])} if set(entry) == {"block"} else set()
            return own.union(*map(self.needs, entry.values()))
        return set().union(*map(self.needs, entry)) if isinstance(entry, list) else set()


def _load_saved(kind: type[Block], name: str) -> tuple[Block | None, Mapping[str, object] | None]:
    """Return the block saved under a name; None if there is none, or if it can't be loaded."""
    try:
        document = current.services().documents.get(f"block:{kind.block_type_slug()}", name)
    except ObjectNotFound:
        return None, None
    try:
        return kind.load(name), document.body
    except FlowstoneError:
        return None, None


#: In the order in which they are applied: what others refer to comes first.
SECTIONS: tuple[Section, ...] = (Variables(), Limits(), Blocks())


def find_sections(only: tuple[str, ...] = ()) -> list[Section]:
    """Return the sections of these names; all of them without names."""
    return [section for section in SECTIONS if not only or section.name in only]
