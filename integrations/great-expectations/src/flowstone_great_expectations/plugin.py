"""The plugin of this package; it does not import Great Expectations."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "expectation-suite": "flowstone_great_expectations.suite_block:ExpectationSuiteBlock"
        },
        tasks={
            "gx_run_checkpoint": "flowstone_great_expectations.gx_tasks:gx_run_checkpoint",
            "gx_validate": "flowstone_great_expectations.gx_tasks:gx_validate",
        },
    )
