"""Core's own plugin: what is built in comes through the same door as anybody's."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "duckdb-database": "flowstone.blocks.duckdb:DuckDBDatabase",
            "email-notifier": "flowstone.blocks.email:EmailNotifier",
            "email-server-credentials": "flowstone.blocks.email:EmailServerCredentials",
            "env-secrets": "flowstone.blocks.secretplaces:EnvSecrets",
            "file-secrets": "flowstone.blocks.secretplaces:FileSecrets",
            "local-directory": "flowstone.blocks.local:LocalDirectory",
            "secret": "flowstone.blocks.secret:Secret",
            "shell-operation": "flowstone.blocks.shell:ShellOperation",
            "slack-webhook": "flowstone.blocks.slack:SlackWebhook",
            "sqlite-database": "flowstone.blocks.sqlite:SqliteDatabase",
            "webhook": "flowstone.blocks.webhook:Webhook",
        },
        observers={"events-file": "flowstone.observers.events_file:EventsFile"},
        runners={
            "processes": "flowstone.task_runners:ProcessPoolTaskRunner",
            "threads": "flowstone.task_runners:ThreadPoolTaskRunner",
        },
        secret_providers={
            "env": "flowstone.blocks.secretplaces:EnvSecrets",
            "file": "flowstone.blocks.secretplaces:FileSecrets",
        },
        tasks={
            "database_execute": "flowstone.prebuilt.databases:database_execute",
            "database_fetch": "flowstone.prebuilt.databases:database_fetch",
            "database_insert": "flowstone.prebuilt.databases:database_insert",
            "shell_run_command": "flowstone.prebuilt.shell:shell_run_command",
        },
        extras={"duckdb-database": "flowstone[duckdb]"},
    )
