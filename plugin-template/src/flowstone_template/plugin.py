"""The plugin of this package."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "template-credentials": "flowstone_template.credentials:TemplateCredentials",
            # % if interface == "database"
            "template-database": "flowstone_template.database:TemplateDatabase",
            # % endif
            # % if interface == "job"
            "template-job": "flowstone_template.job:TemplateJob",
            # % endif
            # % if interface == "notifier"
            "template-notifier": "flowstone_template.notifier:TemplateNotifier",
            # % endif
            # % if interface == "secrets"
            "template-secrets": "flowstone_template.secrets:TemplateSecrets",
            # % endif
            # % if interface == "store"
            "template-store": "flowstone_template.store:TemplateStore",
            # % endif
        },
        # % if interface == "secrets"
        secret_providers={"template-secrets": "flowstone_template.secrets:TemplateSecrets"},
        # % endif
        tasks={
            # % if interface == "store"
            "template_list_objects": "flowstone_template.tasks:template_list_objects",
            # % endif
            # % if interface == "database"
            "template_query": "flowstone_template.tasks:template_query",
            # % endif
            # % if interface == "job"
            "template_run": "flowstone_template.tasks:template_run",
            # % endif
            # % if interface == "notifier"
            "template_send": "flowstone_template.tasks:template_send",
            # % endif
            # % if interface == "store"
            "template_upload": "flowstone_template.tasks:template_upload",
            # % endif
            "template_whoami": "flowstone_template.tasks:template_whoami",
        },
    )
