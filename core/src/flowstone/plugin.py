"""Core's own plugin: what is built in comes through the same door as anybody's."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "email-notifier": "flowstone.blocks.email:EmailNotifier",
            "email-server-credentials": "flowstone.blocks.email:EmailServerCredentials",
            "env-secrets": "flowstone.blocks.secretplaces:EnvSecrets",
            "file-secrets": "flowstone.blocks.secretplaces:FileSecrets",
            "local-directory": "flowstone.blocks.local:LocalDirectory",
            "secret": "flowstone.blocks.secret:Secret",
            "shell-operation": "flowstone.blocks.shell:ShellOperation",
            "slack-webhook": "flowstone.blocks.slack:SlackWebhook",
            "webhook": "flowstone.blocks.webhook:Webhook",
        },
        observers={"events-file": "flowstone.observers.eventsfile:EventsFile"},
        secret_providers={
            "env": "flowstone.blocks.secretplaces:EnvSecrets",
            "file": "flowstone.blocks.secretplaces:FileSecrets",
        },
        tasks={"shell_run_command": "flowstone.shell:shell_run_command"},
    )
