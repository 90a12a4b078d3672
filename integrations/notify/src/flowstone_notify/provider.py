"""AppriseProvider: one attempt to send a note by an Apprise plugin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowstone.blocks.notifiers import Note, NotifierProvider
from flowstone.errors import NotificationInvalid
from flowstone_notify.errors import explain_failure
from flowstone_notify.forms import FORMS, MAX_SUBJECT_LENGTH, UrlForm, make_url
from flowstone_notify.log import DeliveryLog

if TYPE_CHECKING:
    from apprise import NotifyBase

    from flowstone.blocks import Block
    from flowstone_notify.services import ServiceNotifier

#: Mentions of a whole channel in Discord or Mattermost; they are broken up, as a text may come
#: from data.
_PING = re.compile(r"@(?=everyone\b|here\b|channel\b|all\b|[!&]?\d{17,20}>)")
_BROKEN_UP = "@\u200b"


class AppriseProvider(NotifierProvider):
    """A service, by Apprise."""

    max_subject_length = MAX_SUBJECT_LENGTH

    def __init__(self, notifier: ServiceNotifier) -> None:
        self._notifier, self._form = notifier, find_form(type(notifier))
        self.max_body_length = self._form.max_body_length

    @property
    def where(self) -> str:
        kind, name = self._notifier.block_type_name(), self._notifier.name
        return f"{kind}{f' {name!r}' if name else ''}"

    def deliver(self, note: Note) -> None:
        log = DeliveryLog()
        plugin = self._open(make_url(self._form, self._notifier), log)
        is_html = str(getattr(plugin.notify_format, "value", "")) == "html"
        taken = plugin.notify(
            body=self._write(note.body),
            title=self._write(note.subject or ""),
            notify_type=self._notifier.notify_type,
            # HTML mail shows plain text unchanged; Markdown may be used if the service supports it.
            body_format="text" if is_html else None,
        )
        if not taken:
            raise explain_failure(self.where, log)

    def _write(self, text: str) -> str:
        return _PING.sub(_BROKEN_UP, text) if self._form.pings else text

    def _open(self, url: str, log: DeliveryLog) -> NotifyBase:
        """Return Apprise's plugin for a URL, after checking that it accepted each field.

        Raises:
            NotificationInvalid: a field is invalid; Apprise would ignore an invalid address and
                send to the others.
        """
        try:
            plugin = _make_plugin(url, log, self._notifier.timeout_seconds)
        except (TypeError, ValueError) as error:
            problem = log.describe() or str(error)
        else:
            if plugin is not None and not log.warnings:
                return plugin
            problem = log.describe() or "Apprise does not know such a URL"
        raise NotificationInvalid(self.where, problem, "Check the fields of the block.")


def find_form(kind: type[Block]) -> UrlForm:
    """Return the form of a block type, or of its base class."""
    for parent in kind.__mro__:
        slug = parent.block_type_slug() if hasattr(parent, "block_type_slug") else ""
        if slug in FORMS:
            return FORMS[slug]
    raise NotificationInvalid(
        kind.block_type_name(),
        "it has no URL form",
        "Derive it from one of flowstone_notify's blocks.",
    )


def _make_plugin(url: str, log: DeliveryLog, seconds: float) -> NotifyBase | None:
    """Return a plugin that only uses the given log, as Apprise's own log shows secrets."""
    from apprise import AppriseAsset, NotificationManager  # the SDK: a second to load

    manager, scheme = NotificationManager(), url.partition("://")[0].lower()
    if scheme in {"http", "https"}:
        found = ((each, each.parse_native_url(url)) for each in manager.plugins())
        kind, arguments = next((pair for pair in found if pair[1]), (None, None))
    elif scheme in manager.schemas():
        kind = manager[scheme]
        arguments = kind.parse_url(url)
    else:
        return None
    if kind is None or not arguments:
        return None
    own = {
        "logger": log.logger,
        "socket_connect_timeout": seconds,
        "socket_read_timeout": seconds,
    }
    asset = AppriseAsset(app_id="Flowstone", app_desc="Flowstone", http_redirects=False)
    plugin: NotifyBase = type(kind.__name__, (kind,), own)(**{**arguments, "asset": asset})
    return plugin
