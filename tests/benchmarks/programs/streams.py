"""How much memory the rows of a query take at the most, while they are streamed."""

import json
import resource
import sys
from importlib import import_module

module, url, how, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
database = import_module(f"{module}_sqlalchemy").SqlAlchemyConnector(connection_info=url)
QUERY = "SELECT n, 'text ' || n FROM generate_series(1, {}) AS n"


def read(wanted: int) -> int:
    query = QUERY.format(wanted)
    if how == "rows":
        return sum(1 for _ in database.stream(query))
    return sum(batch.num_rows for batch in database.stream_arrow(query))


def peak() -> int:
    """Return the most memory that this process has had, in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


read(max(1, count // 20))
before = peak()
assert read(count) == count
database.close()
print(json.dumps({"kb": peak() - before}))
