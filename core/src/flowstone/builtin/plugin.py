"""The core's own plugin: its built-in blocks and tasks use the same hook as any package."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "env-secrets": "flowstone.blocks.secret_providers.local:EnvSecrets",
            "file-secrets": "flowstone.blocks.secret_providers.local:FileSecrets",
            "local-directory": "flowstone.blocks.object_stores.local:LocalDirectory",
            "null-file-system": "flowstone.blocks.object_stores.null:NullFileSystem",
            "remote-file-system": "flowstone.blocks.object_stores.remote:RemoteFileSystem",
            "secret": "flowstone.blocks.secret_providers.secret:Secret",
            "shell-operation": "flowstone.blocks.jobs.shell:ShellOperation",
            "sqlite-database": "flowstone.blocks.databases.sqlite:SqliteDatabase",
            "webhook": "flowstone.blocks.notifiers.webhook:Webhook",
        },
        observers={"events-file": "flowstone.observers.events_file:EventsFile"},
        runners={
            "processes": "flowstone.task_runners.process_runner:ProcessPoolTaskRunner",
            "threads": "flowstone.task_runners.base:ThreadPoolTaskRunner",
        },
        infrastructures={"process": "flowstone.infrastructure.process:ProcessInfrastructure"},
        schemes={"file": "flowstone.blocks.object_stores.local:LocalDirectory"},
        secret_providers={
            "env": "flowstone.blocks.secret_providers.local:EnvSecrets",
            "file": "flowstone.blocks.secret_providers.local:FileSecrets",
        },
        tasks={
            "database_execute": "flowstone.builtin.database_tasks:database_execute",
            "database_fetch": "flowstone.builtin.database_tasks:database_fetch",
            "database_insert": "flowstone.builtin.database_tasks:database_insert",
            "shell_run_command": "flowstone.builtin.shell_tasks:shell_run_command",
        },
    )
