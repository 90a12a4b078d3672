"""Method names of `prefect-snowflake`, as aliases."""

from __future__ import annotations

from flowstone.blocks.databases.queries import Queries


class KnownNames(Queries):
    """Aliases of methods of every `Database`."""

    execute_async = Queries.aexecute
    execute_many_async = Queries.aexecute_many
    fetch_all_async = Queries.afetch_all
    fetch_many_async = Queries.afetch_many
    fetch_one_async = Queries.afetch_one

    def reset_cursors(self) -> None:
        """Do nothing: each call runs its query again."""
