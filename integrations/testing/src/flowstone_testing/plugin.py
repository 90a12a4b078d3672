"""The plugin of this package: commands for package authors."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        commands={
            "plugin check": "flowstone_testing.cli.command:check_package",
            "plugin new": "flowstone_testing.cli.newplugin:new",
        },
        command_help={
            "plugin check": "Run the conformance suites on an installed package.",
            "plugin new": "Create a package from the template.",
        },
    )
