"""Export saved documents as a YAML file that can be applied again."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.manifests.sections import find_documents
from flowstone.manifests.source import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowstone.manifests.sections import Section


def export_sections(wanted: Iterable[Section]) -> str:
    """Return YAML of all documents of some sections.

    A secret is exported as its reference, or as ``{set: true}``, which keeps the saved secret.
    """
    # Takes 30 ms to import; only needed by commands that write files.
    from ruamel.yaml import YAML

    content: dict[str, Any] = {"flowstone": FORMAT}
    for section in wanted:
        found = find_documents(current.services().documents, section)
        if found:
            content[section.name] = {section.key(each): section.entry(each) for each in found}
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 100
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()
