"""Prebuilt tasks: the service in a flow, without a line of its API."""

from __future__ import annotations

from flowstone import task
from flowstone.blocks import ObjectInfo
from flowstone_template.store import TemplateStore

__all__ = ["template_list_objects", "template_upload"]


@task
def template_upload(content: bytes, path: str, store: TemplateStore) -> str:
    """Write an object, and return its path.

    Args:
        content: the whole of it.
        path: where to, in the store's folder.
        store: the space, with its login.

    Raises:
        StorageError: the service refused, or could not be reached.

    Example:
        template_upload(b"hello", "greetings/hello.txt", store)
    """
    return store.write_path(path, content)


@task
def template_list_objects(store: TemplateStore, folder: str = "") -> list[ObjectInfo]:
    """Return what is in a folder and below it, ordered by path.

    Args:
        store: the space, with its login.
        folder: in the store's folder; all of it by default.

    Raises:
        StorageError: the service refused, or could not be reached.

    Example:
        paths = [info.path for info in template_list_objects(store, "greetings")]
    """
    return list(store.list_objects(folder))
