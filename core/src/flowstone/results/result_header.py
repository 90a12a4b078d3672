"""The header of a kept result: two lines before its value, with how it was made and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flowstone.records.encoding import loads

if TYPE_CHECKING:
    from typing import BinaryIO

#: The first line of what is written. The facts follow on the next one, with tabs between.
MAGIC = b"flowstone-result 2\n"
#: The first line of what earlier versions wrote, whose facts are a JSON object.
_JSON_MAGIC = b"flowstone-result 1\n"
#: A header's second line is shorter than this.
_MAX_BYTES = 4096


class ResultHeader(NamedTuple):
    """How a kept result was made.

    Attributes:
        serializer: the type of the serializer that wrote the value.
        python: the version of Python that wrote it, as ``3.11``.
        flowstone: the version of Flowstone that wrote it.
        type: the class of the value, with its module.
        run_id: the run that kept it.
        created: when, in seconds since the epoch.
        expires: when it is no longer used, likewise; None for never.
    """

    serializer: str
    python: str
    flowstone: str
    type: str
    run_id: str
    created: float
    expires: float | None

    def encode(self) -> bytes:
        """Return the header as bytes, to be followed by the value."""
        # A name may hold anything, and must stay on the line and in its column.
        *names, created, expires = self
        facts = [str(name).encode("unicode_escape").decode() for name in names]
        facts += [repr(created), "" if expires is None else repr(expires)]
        return MAGIC + "\t".join(facts).encode() + b"\n"


def split_header(content: bytes) -> tuple[ResultHeader, bytes]:
    """Return the header of a kept result, and its value as it was written.

    Raises:
        ValueError: it is no result.
    """
    start = len(MAGIC)
    line, _, body = content[start:].partition(b"\n")
    return _parse(content[:start], line), body


def read_header(file: BinaryIO) -> ResultHeader:
    """Read the header of a kept result from the beginning of its file.

    Raises:
        ValueError: it is no result.
        OSError: the file can't be read.
    """
    return _parse(file.read(len(MAGIC)), file.readline(_MAX_BYTES).rstrip(b"\n"))


def _parse(magic: bytes, line: bytes) -> ResultHeader:
    if magic == _JSON_MAGIC:
        facts = loads(line.decode())
        try:
            return ResultHeader(**facts)
        except TypeError as error:
            raise ValueError(f"its header is damaged: {error}") from error
    if magic != MAGIC:
        raise ValueError("it is no result of Flowstone's")
    text = line.decode()
    if "\\" in text:
        *names, created, expires = (_unescape(fact) for fact in text.split("\t"))
    else:
        *names, created, expires = text.split("\t")
    serializer, python, flowstone, kind, run_id = names
    until = float(expires) if expires else None
    return ResultHeader(serializer, python, flowstone, kind, run_id, float(created), until)


def _unescape(fact: str) -> str:
    return fact.encode().decode("unicode_escape")
