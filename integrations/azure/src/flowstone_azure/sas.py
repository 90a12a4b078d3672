"""Parsing of a SAS: its scope, permissions and validity.

https://learn.microsoft.com/rest/api/storageservices/create-service-sas
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs

_REACH = {"b": "a blob", "c": "a container", "d": "a directory"}


@dataclass(frozen=True, slots=True)
class Sas:
    """The fields of a SAS, without its signature.

    Attributes:
        reach: a description of what it gives access to.
        scope: the same as a letter, such as ``c`` or ``b``; empty for the account.
        rights: the letters of its permissions, such as ``rwdl``; empty if a stored policy has
            them.
        begins: when it becomes valid, in its own format; empty if not specified.
        ends: when it expires, in its own format; empty if not specified.
    """

    reach: str
    scope: str
    rights: str
    begins: str
    ends: str

    def find_problem(self, now: datetime) -> str:
        """Return why it is not valid now; "" if it is, or if a stored policy has its dates."""
        begins, ends = _read_moment(self.begins), _read_moment(self.ends)
        if ends is not None and ends < now:
            return f"the SAS expired at {self.ends}"
        if begins is not None and begins > now:
            return f"the SAS is not valid before {self.begins}"
        return ""


def read_sas(token: str) -> Sas:
    """Parse a SAS token."""
    fields = {name: values[0] for name, values in parse_qs(token).items()}
    scope = fields.get("sr", "")
    # A SAS signed by a user delegation key expires with the key.
    ends = {_read_moment(fields.get(name, "")): fields.get(name, "") for name in ("se", "ske")}
    known = [moment for moment in ends if moment is not None]
    return Sas(
        reach=_REACH.get(scope, "a part of it") if scope else "the account",
        scope=scope,
        rights=fields.get("sp", ""),
        begins=fields.get("st", ""),
        ends=ends[min(known)] if known else "",
    )


def _read_moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
