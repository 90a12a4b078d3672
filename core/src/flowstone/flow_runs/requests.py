"""The questions of paused runs, stored as documents, and the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from flowstone.context.current import services
from flowstone.errors import ObjectNotFound, StaleDocument
from flowstone.records.events import KINDS
from flowstone.records.states import SCHEDULED

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.records.documents import Document
    from flowstone.records.events import Event

Json = dict[str, Any]
#: A JSON schema, or a part of one.
Schema = Mapping[str, Any]

_RESUMED = (KINDS["flow"][SCHEDULED],)


@dataclass(frozen=True, slots=True)
class Question:
    """One pause of a run.

    Attributes:
        run_id: the id of the run.
        key: identifies the pause within the run; the same in each attempt.
        asked: when it was asked, in seconds since the epoch.
        until: when it is too late to answer; None for never.
        schema: the JSON schema of the input that it waits for; None for none.
        description: instructions for the person who answers, in Markdown.
        answers: sealed input by the id of the event that resumes the run with it. Several
            processes may try; only one event is stored, so one answer counts.
        problems: the run's own validation errors for the last answer, by field.
    """

    run_id: str
    key: str
    asked: float
    until: float | None
    schema: Schema | None
    description: str | None
    answers: Mapping[str, str | None]
    problems: Mapping[str, str]

    @property
    def fields(self) -> list[Field]:
        """Return the fields that it asks for."""
        return list_fields(self.schema) if self.schema else []

    def find_winner(self) -> Event | None:
        """Return the event that last resumed the run from this pause; None if there is none."""
        if not self.answers:
            return None
        kept = services().runs.events(run_id=self.run_id, kinds=_RESUMED)
        found = [event for _, event in kept if event.id in self.answers]
        return found[-1] if found else None

    def is_open(self) -> bool:
        """Return whether it has not been answered since it was asked."""
        winner = self.find_winner()
        return winner is None or winner.at <= self.asked

    def open_input(self, event_id: str) -> Json:
        """Return the input of an event.

        Raises:
            SecretUnreadable: it was sealed with another key.
        """
        # JSON takes 3 ms to import; a program that never pauses doesn't need it.
        from flowstone.records.encoding import loads

        token = self.answers[event_id]
        if token is None:
            return {}
        found: Json = loads(services().sealer.open(token, _make_purpose(self.run_id, self.key)))
        return found


class Field(NamedTuple):
    """A field of a question, for display."""

    name: str
    kind: str
    is_required: bool
    is_secret: bool
    choices: tuple[object, ...]
    default: object
    description: str | None


def list_fields(schema: Schema) -> list[Field]:
    """Return the fields of a model's JSON schema."""
    required = schema.get("required", ())
    definitions = schema.get("$defs", {})
    found = []
    for name, part in schema.get("properties", {}).items():
        whole = {**resolve_reference(part, definitions), **part}
        found.append(
            Field(
                name,
                _describe_kind(part, definitions),
                name in required,
                is_secret(part, definitions),
                tuple(whole.get("enum", ())),
                whole.get("default"),
                whole.get("description"),
            )
        )
    return found


def resolve_reference(part: Schema, definitions: Schema) -> Schema:
    """Return the part of a schema that a part refers to, or that part if it refers to none."""
    found: Schema = definitions.get(part.get("$ref", "").rpartition("/")[2], part)
    return found


def is_secret(part: Schema, definitions: Schema) -> bool:
    """Return whether a field is a secret, or may be one."""
    part = resolve_reference(part, definitions)
    choices = part.get("anyOf", ())
    return bool(part.get("writeOnly")) or any(is_secret(each, definitions) for each in choices)


def _describe_kind(part: Schema, definitions: Schema) -> str:
    part = resolve_reference(part, definitions)
    if "enum" in part:
        return "one of " + ", ".join(map(str, part["enum"]))
    if "const" in part:
        return str(part["const"])
    if "anyOf" in part:
        return " or ".join(_describe_kind(each, definitions) for each in part["anyOf"])
    if part.get("type") == "array" and "items" in part:
        return f"array of {_describe_kind(part['items'], definitions)}"
    return str(part.get("format") or part.get("type") or "anything")


# ---------------------------------------------------------------- asking, answering, reading


def ask(question: Question) -> Question:
    """Store a question, replacing an earlier one with its key; answers to that one are kept."""
    _put(question.run_id, question.key, lambda old: {**_encode(question), **_keep_answers(old)})
    return question


def answer(question: Question, event_id: str, given: Mapping[str, object] | None) -> None:
    """Store the input of an event that is about to be recorded; sealed, as it may be secret."""
    from flowstone.records.encoding import dumps  # see above

    token = None
    if given is not None:
        purpose = _make_purpose(question.run_id, question.key)
        token = services().sealer.seal(dumps(dict(given)).encode(), purpose)
    _change_answers(question, lambda answers: {**answers, event_id: token})


def withdraw(question: Question, event_id: str) -> None:
    """Delete an answer whose event was not stored."""
    _change_answers(question, lambda old: {key: old[key] for key in old if key != event_id})


def refuse(question: Question, problems: Mapping[str, str]) -> None:
    """Store the run's own validation errors for the last answer."""
    _put(question.run_id, question.key, lambda old: {**old, "problems": dict(problems)})


def find_question(run_id: str, key: str) -> Question | None:
    """Return a question by its key."""
    try:
        return _read(services().documents.get(_make_kind(run_id), key))
    except ObjectNotFound:
        return None


def find_open_question(run_id: str) -> Question | None:
    """Return the question of a paused run; None if the run was suspended from outside."""
    kind = _make_kind(run_id)
    found = [_read(each) for each in services().documents.find(kind)]
    newest = max(found, key=lambda question: question.asked, default=None)
    return newest if newest is not None and newest.is_open() else None


def _change_answers(question: Question, change: Callable[[Json], Json]) -> None:
    _put(
        question.run_id,
        question.key,
        lambda old: {**old, "answers": change(old.get("answers", {})), "problems": {}},
    )


def _put(run_id: str, key: str, change: Callable[[Json], Json]) -> None:
    """Update a document by a function of its content, even with concurrent updates."""
    documents = services().documents
    while True:
        try:
            found = documents.get(_make_kind(run_id), key)
            body, version = dict(found.body), found.version
        except ObjectNotFound:
            body, version = {}, 0
        try:
            documents.put(_make_kind(run_id), key, change(body), expected=version)
        except StaleDocument:
            continue
        return


def _encode(question: Question) -> Json:
    return {
        "asked": question.asked,
        "until": question.until,
        "schema": question.schema,
        "description": question.description,
        "answers": {},
        "problems": {},
    }


def _keep_answers(old: Json) -> Json:
    return {key: old[key] for key in ("answers", "problems") if key in old}


def _read(document: Document) -> Question:
    run_id = document.kind.partition(":")[2]
    return Question(run_id, document.name, **document.body)


def _make_kind(run_id: str) -> str:
    return f"pause:{run_id}"


def _make_purpose(run_id: str, key: str) -> str:
    return f"input of {run_id}/{key}"
