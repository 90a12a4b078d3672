"""What paused runs wait for, kept as documents, and what they were answered."""

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
        run_id: of the run.
        key: which of the run's pauses it is, the same in each attempt.
        asked: when, in seconds since the epoch.
        until: when it is too late to answer; None for never.
        schema: the JSON schema of the input that it waits for; None for none.
        description: what a person should know, as Markdown.
        answers: sealed input by the id of the event that resumed the run with it. Several may
            have tried, and one event is kept: so one answer counts.
        problems: what the run itself said of the last answer, by field.
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
        """What it asks for, field by field."""
        return list_fields(self.schema) if self.schema else []

    def find_winner(self) -> Event | None:
        """Return the event that resumed the run from here last; None where none has."""
        if not self.answers:
            return None
        kept = services().runs.events(run_id=self.run_id, kinds=_RESUMED)
        found = [event for _, event in kept if event.id in self.answers]
        return found[-1] if found else None

    def is_open(self) -> bool:
        """Tell whether it was not answered since it was asked."""
        winner = self.find_winner()
        return winner is None or winner.at <= self.asked

    def open_input(self, event_id: str) -> Json:
        """Return the input that an event brought.

        Raises:
            SecretUnreadable: it was sealed with another key.
        """
        # JSON takes 3 ms to import; a program that never pauses does without.
        from flowstone.records.encoding import loads

        token = self.answers[event_id]
        if token is None:
            return {}
        found: Json = loads(services().sealer.open(token, _make_purpose(self.run_id, self.key)))
        return found


class Field(NamedTuple):
    """A field of a question, for a person."""

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
    """Return what a part of a schema refers to; itself where it does not."""
    found: Schema = definitions.get(part.get("$ref", "").rpartition("/")[2], part)
    return found


def is_secret(part: Schema, definitions: Schema) -> bool:
    """Tell whether a field is a secret, or may be one."""
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


# ---------------------------------------------------------------- asked, answered, read


def ask(question: Question) -> Question:
    """Keep a question, over what was asked under its key before; the answers to that stay."""
    _put(question.run_id, question.key, lambda old: {**_encode(question), **_keep_answers(old)})
    return question


def answer(question: Question, event_id: str, given: Mapping[str, object] | None) -> None:
    """Keep what an event that is about to be recorded brings; sealed, as it may be secret."""
    from flowstone.records.encoding import dumps  # see above

    token = None
    if given is not None:
        purpose = _make_purpose(question.run_id, question.key)
        token = services().sealer.seal(dumps(dict(given)).encode(), purpose)
    _change_answers(question, lambda answers: {**answers, event_id: token})


def withdraw(question: Question, event_id: str) -> None:
    """Forget an answer whose event was not kept."""
    _change_answers(question, lambda old: {key: old[key] for key in old if key != event_id})


def refuse(question: Question, problems: Mapping[str, str]) -> None:
    """Say what the run itself finds wrong in the last answer."""
    _put(question.run_id, question.key, lambda old: {**old, "problems": dict(problems)})


def find_question(run_id: str, key: str) -> Question | None:
    """Return a question by its key."""
    try:
        return _read(services().documents.get(_make_kind(run_id), key))
    except ObjectNotFound:
        return None


def find_open_question(run_id: str) -> Question | None:
    """Return what a paused run waits for; None where somebody else has suspended it."""
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
    """Change a document by what it is then, however many change it at the same time."""
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
