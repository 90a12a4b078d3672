"""Prebuilt tasks for the service."""

from __future__ import annotations

from flowstone import task

# % if interface == "store"
from flowstone.blocks import ObjectInfo

# % endif
from flowstone_template.credentials import TemplateCredentials

# % if interface == "database"
from flowstone_template.database import TemplateDatabase

# % endif
# % if interface == "job"
from flowstone_template.job import TemplateJob

# % endif
# % if interface == "notifier"
from flowstone_template.notifier import TemplateNotifier

# % endif
# % if interface == "store"
from flowstone_template.store import TemplateStore

# % endif
__all__ = [
    # % if interface == "store"
    "template_list_objects",
    # % endif
    # % if interface == "database"
    "template_query",
    # % endif
    # % if interface == "job"
    "template_run",
    # % endif
    # % if interface == "notifier"
    "template_send",
    # % endif
    # % if interface == "store"
    "template_upload",
    # % endif
    "template_whoami",
]


# % if interface == "store"
@task
def template_upload(content: bytes, path: str, store: TemplateStore) -> str:
    """Write an object and return its path.

    Args:
        content: the content of the object.
        path: its path, in the store's folder.
        store: the store.

    Raises:
        StorageError: the service refused, or could not be reached.

    Example:
        template_upload(b"hello", "greetings/hello.txt", store)
    """
    return store.write_path(path, content)


@task
def template_list_objects(store: TemplateStore, folder: str = "") -> list[ObjectInfo]:
    """Return the objects in a folder and below it, ordered by path.

    Args:
        store: the store.
        folder: the folder, in the store's folder.

    Raises:
        StorageError: the service refused, or could not be reached.

    Example:
        paths = [info.path for info in template_list_objects(store, "greetings")]
    """
    return list(store.list_objects(folder))


# % endif
# % if interface == "database"
@task
def template_query(
    query: str, database: TemplateDatabase, parameters: dict[str, object] | None = None
) -> list[tuple[object, ...]]:
    """Return all rows of a query.

    Args:
        query: the statement, with ``:name`` for each value.
        database: the database.
        parameters: the values, by name.

    Raises:
        DatabaseError: the service refused it, or could not be reached.

    Example:
        rows = template_query("SELECT item FROM orders WHERE id = :id", database, {"id": 1})
    """
    return list(database.fetch_all(query, parameters))


# % endif
# % if interface == "job"
@task
def template_run(job: TemplateJob) -> str:
    """Run a program until it ends, and return its output.

    Args:
        job: the program.

    Raises:
        JobError: it failed, or could not be started.

    Example:
        text = template_run(job)
    """
    text: str = job.run()
    return text


# % endif
# % if interface == "notifier"
@task
def template_send(body: str, notifier: TemplateNotifier, subject: str | None = None) -> None:
    """Send a note.

    Args:
        body: the text, of one or several lines.
        notifier: the channel.
        subject: the subject, one line.

    Raises:
        NotificationFailed: the service refused it, or could not be reached.

    Example:
        template_send("3 rows are missing", notifier, subject="Orders")
    """
    notifier.notify(body, subject)


# % endif
@task
def template_whoami(credentials: TemplateCredentials) -> str:
    """Return the name of the user that credentials belong to.

    Args:
        credentials: the credentials of the service.

    Raises:
        CredentialsError: the service refused them.
        Unreachable: the service did not answer.

    Example:
        user = template_whoami(credentials)
    """
    return credentials.whoami()
