"""The table of runs: its columns are the fields of `Run`, by name."""

from __future__ import annotations

from typing import Any

from flowstone.records.codec import find_form
from flowstone.records.encoding import FORMS, dumps, loads
from flowstone.records.record import list_fields, make_reader
from flowstone.records.redaction import redact
from flowstone.records.runs import Lease, Run
from flowstone.records.states import COMPLETED, MISSING, State, StateType

Row = tuple[Any, ...]

LEASE_COLUMNS = ("lease_token", "lease_holder", "lease_until")
#: The columns that change with each step of a run.
STATE_COLUMNS = (
    "state_type", "state_name", "state_message", "state_at",
    "version", "attempt", "started", "ended",
)  # fmt: skip

_TYPES = {state.value: state for state in StateType}
#: The stored form of a state's type: a plain `str`, as database drivers may not accept subclasses.
STATE_VALUES = {state: state.value for state in StateType}


class RunTable:
    """Converts runs to rows, and rows to runs.

    Values that the database has no type for are stored as JSON, and empty ones as NULL, which
    represents the field's default. The lease and the state have their own columns.

    Attributes:
        columns: the columns, in the order of a row.
    """

    def __init__(self, record: type[Run] = Run) -> None:
        self._record = record
        columns = [field for field in list_fields(record) if field.name not in _ELSEWHERE]
        forms = {field.name: find_form(field.annotation, FORMS, field.name) for field in columns}
        self._plain = [name for name, form in forms.items() if form is None]
        self._coded = [(name, form) for name, form in forms.items() if form is not None]
        self._encoders = [form.encode for _, form in self._coded]
        self._read_plain = make_reader(self._plain)
        self._read_coded = make_reader([name for name, _ in self._coded])
        names = [*self._plain, *(name for name, _ in self._coded)]
        self.columns = (*names, *LEASE_COLUMNS, *STATE_COLUMNS)
        self._width = len(names)
        #: The most common values of encoded fields, and their stored form.
        self._empty = self._read_coded(record("", "task", "", "", "", None))
        self._nulls = (None,) * len(self._coded)

    def make_row(self, run: Run) -> Row:
        return self.make_grown_row(run, run.state, run.version, run.attempt, run.started, run.ended)

    def make_grown_row(
        self,
        run: Run,
        state: State,
        version: int,
        attempt: int,
        started: float | None,
        ended: float | None,
    ) -> Row:
        """Return the row of a run in another state, without creating that run."""
        lease, message, coded = run.lease, state.message, self._read_coded(run)
        return (
            *self._read_plain(run),
            *(self._nulls if coded == self._empty else self._encode(coded)),
            *(_NO_LEASE if lease is None else (lease.token, lease.holder, lease.until)),
            STATE_VALUES[state.type],
            state.name,
            message if message is None else redact(message),
            state.at,
            version,
            attempt,
            started,
            ended,
        )

    def _encode(self, coded: Row) -> list[str | None]:
        return [
            None if value is None or value is _EMPTY else dumps(encode(value))
            for encode, value in zip(self._encoders, coded, strict=True)
        ]

    def read_run(self, row: Row) -> Run:
        values = dict(zip(self._plain, row, strict=False))
        for (name, form), text in zip(self._coded, row[len(self._plain) :], strict=False):
            if text is not None:
                values[name] = form.decode(loads(text))
        token, holder, until, kind, name, message, at, *steps = row[self._width :]
        version, attempt, started, ended = steps
        return self._record(
            **values,
            lease=None if token is None else Lease(token, holder, until),
            state=make_state(_TYPES[kind], name, message, at),
            version=version,
            attempt=attempt,
            started=started,
            ended=ended,
        )


def make_state(kind: StateType, name: str | None, message: str | None, at: float) -> State:
    """Return a state as it is stored, without the value."""
    return State(kind, name or "", message, at, MISSING if kind is COMPLETED else None)


_NO_LEASE = (None,) * len(LEASE_COLUMNS)
#: The value that NULL represents, besides None; all empty tuples are this object.
_EMPTY = ()
#: Fields whose columns have another name, or that change with each step.
_ELSEWHERE = {"lease", "state", "version", "attempt", "started", "ended"}

RUNS = RunTable()
