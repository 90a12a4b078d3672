"""Formatters of log records: lines for people, and JSON for programs."""

from __future__ import annotations

import logging

from flowstone.records.redaction import redact

#: The logger of the engine's own messages about runs.
ENGINE = "flowstone.runs"

#: Attributes of a record for its run, and the flow run and task run that it belongs to.
PLACES = (
    "run_id",
    "run_name",
    "flow_run_id",
    "flow_run_name",
    "flow_name",
    "task_run_id",
    "task_run_name",
    "task_name",
)
#: The attributes of every record, and those that we add: all others come from `extra=`.
OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "unit", *PLACES}
OWN |= {"flowstone_run", "flowstone_kept", "flowstone_shown"}

#: Terminal escape codes by level: each applies from its number on.
_COLORS = {
    logging.CRITICAL: "\x1b[1;31m",
    logging.ERROR: "\x1b[31m",
    logging.WARNING: "\x1b[33m",
    logging.INFO: "\x1b[32m",
    logging.NOTSET: "\x1b[2m",
}
_DIM, _BOLD, _OFF = "\x1b[2m", "\x1b[1m", "\x1b[0m"


def format_text(record: logging.LogRecord, form: logging.Handler | logging.Formatter) -> str:
    """Return a record's text; if its arguments don't match its format, join them.

    A log call with wrong arguments must not fail the run.
    """
    try:
        return form.format(record)
    except Exception as error:  # noqa: BLE001 - whatever a foreign __str__ raises
        from flowstone.records.encoding import describe_as_json  # see `read_extra`

        said, args = describe_as_json(record.msg), describe_as_json(record.args)
        return f"{said} % {args} (can't be formatted: {type(error).__name__})"


def read_extra(record: logging.LogRecord) -> dict[str, object] | None:
    """Return the values of `extra=` as JSON values, or None."""
    said = record.__dict__.keys() - OWN
    if not said:
        return None
    # Importing JSON takes 5 ms, which most programs save.
    from flowstone.records.encoding import describe_as_json

    return {name: describe_as_json(record.__dict__[name]) for name in sorted(said)}


class LineFormatter(logging.Formatter):
    """Formats lines for the console: the time, the level, the run, the text.

    Args:
        colors: whether to color lines by their level, for a terminal.
    """

    def __init__(self, *, colors: bool = False) -> None:
        super().__init__()
        self._colors = colors

    def format(self, record: logging.LogRecord) -> str:
        when = f"{self.formatTime(record, '%H:%M:%S')}.{int(record.msecs):03d}"
        level, who = f"{record.levelname:<7}", getattr(record, "run_name", record.name)
        text = record.getMessage()
        # The engine's own errors are raised to the caller, with their traceback.
        if record.name != ENGINE:
            if record.exc_info and not record.exc_text:
                record.exc_text = self.formatException(record.exc_info)
            text = f"{text}\n{record.exc_text}" if record.exc_text else text
        if not self._colors:
            return f"{when} | {level} | {who} | {text}"
        color = next(code for number, code in _COLORS.items() if record.levelno >= number)
        if record.levelno >= logging.WARNING or record.levelno < logging.INFO:
            text = f"{color}{text}{_OFF}"
        bar = f"{_DIM}|{_OFF}"
        return (
            f"{_DIM}{when}{_OFF} {bar} {color}{level}{_OFF} {bar} {_BOLD}{who}{_OFF} {bar} {text}"
        )


class JsonFormatter(logging.Formatter):
    """Formats records as JSON, one object per line, with the ids of the run; secrets are masked.

    The setting FLOWSTONE_LOGGING_FORMAT=json writes such lines to standard error. To use it with
    your own handler, call ``handler.setFormatter(JsonFormatter())``.
    """

    def format(self, record: logging.LogRecord) -> str:
        # Takes 6 ms to import; only needed for JSON.
        import json
        from datetime import UTC, datetime

        when = datetime.fromtimestamp(record.created, UTC)
        said: dict[str, object] = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(format_text(record, _BARE)),
        }
        for name in PLACES:
            value = getattr(record, name, None)
            if value is not None:
                said[name] = redact(str(value))
        if fields := read_extra(record):
            said["fields"] = fields
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            said["traceback"] = redact(record.exc_text)
        return json.dumps(said, ensure_ascii=False)


class _Bare(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage()


_BARE = _Bare()
