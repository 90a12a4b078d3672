"""The first look at what installed packages offer."""

import json
from time import perf_counter

from flowstone import catalog

began = perf_counter()
tasks = len(catalog.offers("task"))
took = perf_counter() - began
assert not [plugin for plugin in catalog.plugins() if plugin.error]
print(json.dumps({"ms": 1000 * took, "tasks": tasks}))
