"""A frame validated by Great Expectations alone, or by us, in turn; each figure is the least."""

import json
import sys
from collections.abc import Callable
from time import perf_counter

import great_expectations as gx
import great_expectations.expectations as gxe
import numpy as np
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig

from flowstone_great_expectations import validate

rows, rounds = map(int, sys.argv[2:4])
random = np.random.default_rng(1)
frame = pd.DataFrame(
    {
        "id": np.arange(rows),
        "price": random.normal(10, 4, rows),
        "kind": random.choice(["tea", "coffee", "cocoa"], rows),
        "name": [f"name {number % 1000}" for number in range(rows)],
    }
)
frame.loc[::1000, "price"] = None


def make_expectations() -> list[gxe.Expectation]:
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        gxe.ExpectColumnValuesToNotBeNull(column="price"),
        gxe.ExpectColumnValuesToBeBetween(column="price", min_value=-2, max_value=22),
        gxe.ExpectColumnMeanToBeBetween(column="price", min_value=9, max_value=11),
        gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=["tea", "coffee", "cocoa"]),
        gxe.ExpectColumnValuesToMatchRegex(column="name", regex="^name [0-9]+$"),
    ]


def validate_plainly() -> int:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("source").add_dataframe_asset("asset")
    batch = asset.add_batch_definition_whole_dataframe("all")
    suite = gx.ExpectationSuite(name="suite", expectations=make_expectations())
    result = batch.get_batch(batch_parameters={"dataframe": frame}).validate(suite)
    return sum(not each.success for each in result.results)


def validate_by_us() -> int:
    return len(validate(frame, make_expectations(), name="rows", on_failure="warn").failed)


def measure(work: Callable[[], int]) -> float:
    began = perf_counter()
    assert work() == 2
    return perf_counter() - began


times: dict[str, list[float]] = {"plain": [], "ours": []}
for _ in range(rounds + 1):
    times["plain"].append(measure(validate_plainly))
    times["ours"].append(measure(validate_by_us))
print(json.dumps({name: min(found[1:]) for name, found in times.items()}))
