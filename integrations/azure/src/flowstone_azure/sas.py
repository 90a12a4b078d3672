"""What a SAS says of itself: what it is for, which rights it has, and when it is good.

https://learn.microsoft.com/rest/api/storageservices/create-service-sas
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs

_REACH = {"b": "a blob", "c": "a container", "d": "a directory"}


@dataclass(frozen=True, slots=True)
class Sas:
    """The readable part of a SAS.

    Attributes:
        reach: what it is for, in words.
        scope: its letter for that: ``c``, ``b`` …; empty for the account.
        rights: their letters, as ``rwdl``; empty where a stored policy has them.
        begins: when it begins to be good, as it says; empty where it does not.
        ends: when it ends, likewise.
    """

    reach: str
    scope: str
    rights: str
    begins: str
    ends: str

    def find_problem(self, now: datetime) -> str:
        """Return why it is not good now; "" if it is, or if a stored policy says when."""
        begins, ends = _read_moment(self.begins), _read_moment(self.ends)
        if ends is not None and ends < now:
            return f"the SAS ended at {self.ends}"
        if begins is not None and begins > now:
            return f"the SAS begins at {self.begins} only"
        return ""


def read_sas(token: str) -> Sas:
    """Return what a SAS says, without its signature."""
    fields = {name: values[0] for name, values in parse_qs(token).items()}
    scope = fields.get("sr", "")
    # What a user delegation key signed ends with that key.
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
