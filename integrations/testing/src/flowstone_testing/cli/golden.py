"""Golden documents of a new package: a sealed secret is bound to a slug, so it is resealed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from flowstone.secrets.vault import GOLDEN_KEY, Vault
from flowstone.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable


def reseal(folder: Path, earlier: Callable[[str], str]) -> None:
    """Seal the secrets in golden documents for the slugs that they have now.

    Args:
        folder: the directory of the documents.
        earlier: maps a slug to the one that the secrets were sealed for.
    """
    vault = Vault(Settings(home=folder, secret_key=GOLDEN_KEY))
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_text("utf-8"))
        content["documents"] = _reseal_value(content["documents"], vault, earlier, "")
        text = json.dumps(content, indent=1, ensure_ascii=False)
        file.write_text(f"{text}\n", "utf-8")


def _reseal_value(value: object, vault: Vault, earlier: Callable[[str], str], slug: str) -> object:
    if isinstance(value, list):
        return [_reseal_value(item, vault, earlier, slug) for item in value]
    if not isinstance(value, dict):
        return value
    if "$secret" in value:
        clear = vault.open(value["$secret"], f"block:{earlier(slug)}")
        return {**value, "$secret": vault.seal(clear, f"block:{slug}")}
    slug = value["type"] if "fields" in value else slug
    return {name: _reseal_value(item, vault, earlier, slug) for name, item in value.items()}
