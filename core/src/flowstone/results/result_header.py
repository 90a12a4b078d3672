"""The header of a persisted result: two lines before its value, with its metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flowstone.records.encoding import loads

if TYPE_CHECKING:
    from typing import BinaryIO

#: The first line of the header. The second line has the fields, separated by tabs.
MAGIC = b"flowstone-result 2\n"
#: The first line in earlier versions, whose fields are a JSON object.
_JSON_MAGIC = b"flowstone-result 1\n"
#: Maximum length of a header's second line.
_MAX_BYTES = 4096


class ResultHeader(NamedTuple):
    """The metadata of a persisted result.

    Attributes:
        serializer: the type of the serializer that wrote the value.
        python: the version of Python that wrote it, as ``3.11``.
        flowstone: the version of Flowstone that wrote it.
        type: the class of the value, with its module.
        run_id: the run that wrote it.
        created: the time, in seconds since the epoch.
        expires: the time at which it expires, in seconds since the epoch; None for never.
    """

    serializer: str
    python: str
    flowstone: str
    type: str
    run_id: str
    created: float
    expires: float | None

    def encode(self) -> bytes:
        """Return the header as bytes; the value follows it."""
        # A name may contain any character, but must stay on the line and in its column.
        *names, created, expires = self
        facts = [str(name).encode("unicode_escape").decode() for name in names]
        facts += [repr(created), "" if expires is None else repr(expires)]
        return MAGIC + "\t".join(facts).encode() + b"\n"


def split_header(content: bytes) -> tuple[ResultHeader, bytes]:
    """Return the header of a persisted result, and the serialized value.

    Raises:
        ValueError: it is not a result.
    """
    start = len(MAGIC)
    line, _, body = content[start:].partition(b"\n")
    return _parse(content[:start], line), body


def read_header(file: BinaryIO) -> ResultHeader:
    """Read the header of a persisted result from the beginning of its file.

    Raises:
        ValueError: it is not a result.
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
        raise ValueError("it is not a Flowstone result")
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
