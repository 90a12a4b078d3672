"""Prebuilt tasks: the service in a flow, without a line of its API."""

from __future__ import annotations

from flowstone import task
from flowstone.blocks import ObjectInfo
from flowstone_template.store import TemplateStore

__all__ = ["template_list_objects", "template_upload"]


@task
def template_upload(content: bytes, path: str, store: TemplateStore) -> str:
    """Write an object, and return its path.

    Raises:
        StorageError: the service refused, or could not be reached.
    """
    return store.write_path(path, content)


@task
def template_list_objects(store: TemplateStore, folder: str = "") -> list[ObjectInfo]:
    """Return what is in a folder and below it, ordered by path.

    Raises:
        StorageError: the service refused, or could not be reached.
    """
    return list(store.list_objects(folder))
