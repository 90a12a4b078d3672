"""What the pages talk to: a web server, an S3 endpoint, the template's service; all local."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from azure.storage.blob import BlobServiceClient

from ..services.aws_jobs import serve_aws_jobs
from ..services.azure import azurite
from ..services.bigquery import bigquery as serve_bigquery
from ..services.cloud_run import serve_cloud_run
from ..services.container_instances import serve_container_instances
from ..services.dask_processes import serve_dask
from ..services.dbt_cloud import TOKEN, Plan, serve_dbt_cloud
from ..services.drongo import drongo
from ..services.entra import App, serve_entra
from ..services.gcs import gcs as serve_gcs
from ..services.key_vault import serve_key_vault
from ..services.mail import mail_desk
from ..services.ray import ray_cluster
from ..services.s3 import moto
from ..services.slack import serve_slack
from ..services.snowflake import ACCOUNT, PASSWORD, USER, Snowflake
from ..services.vendors import open_vendors
from ..services.web import Handler, serve_web
from ..template.workshop import with_wheels
from .pages import ROOT


class Web(Handler):
    """Answers any path with JSON about it: https://example.org in the pages."""

    def do_GET(self) -> None:
        name = self.path.strip("/").rpartition("/")[2] or "index"
        found = {"name": name, "size": len(name), "stars": 100 * len(name)}
        self.respond_json(404 if name == "missing" else 200, found)

    def do_POST(self) -> None:
        self.read_body()
        self.do_GET()


@contextmanager
def web() -> Iterator[str]:
    with serve_web(Web) as server:
        yield server.url


@contextmanager
def template_service(folder: Path) -> Iterator[dict[str, str]]:
    """Start the service that the template's own tests use; yield its environment."""
    tests = sys.modules["template_tests"] = ModuleType("template_tests")
    tests.__path__ = [str(ROOT / "plugin-template/tests")]
    module: Any = importlib.import_module("template_tests.server")
    with module.serving(folder, token="a-token-for-the-docs") as service:
        yield {"TEMPLATE_URL": service.url, "TEMPLATE_TOKEN": service.token}


@contextmanager
def mail(folder: Path) -> Iterator[dict[str, str]]:
    """Start a mail server; yield what stands for its address."""
    with mail_desk(folder, "STARTTLS", "an-app-password") as desk:
        here = f'smtp_server="127.0.0.1", smtp_port={desk.port}, verify=False'
        yield {'smtp_server="mail.example.org"': here}


def index(wheels: Path) -> dict[str, str]:
    """Return the environment that finds our wheels as if they were on the index."""
    found = with_wheels(wheels)
    programs = str(Path(sys.executable).parent)
    return {**found, "PATH": os.pathsep.join([programs, found["PATH"]])}


@contextmanager
def gcs() -> Iterator[dict[str, str]]:
    """Start a Cloud Storage that has the bucket `raw`; yield the environment that finds it."""
    with serve_gcs() as url:
        body = json.dumps({"name": "raw"}).encode()
        kind = {"Content-Type": "application/json"}
        with urlopen(Request(f"{url}/storage/v1/b", body, kind)):
            yield {"STORAGE_EMULATOR_HOST": url, "GOOGLE_CLOUD_PROJECT": "example-project"}


@contextmanager
def snowflake(account: Snowflake, home: Path) -> Iterator[dict[str, str]]:
    """Write the default connection of a home; yield the environment that the connector wants."""
    where = urlsplit(account.url)
    file = home / ".snowflake" / "connections.toml"
    file.parent.mkdir()
    facts = {
        "account": ACCOUNT,
        "user": USER,
        "password": PASSWORD,
        "host": where.hostname,
        "port": where.port,
        "protocol": "http",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in facts.items()]
    file.write_text("\n".join(["[default]", *lines, ""]))
    file.chmod(0o600)
    yield {"SNOWFLAKE_DISABLE_PLATFORM_DETECTION": "true"}


@contextmanager
def bigquery() -> Iterator[dict[str, str]]:
    """Start a BigQuery; yield the environment that finds it."""
    with serve_bigquery() as emulator:
        yield {"BIGQUERY_EMULATOR_HOST": emulator.url}


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """Start an S3 endpoint that has the bucket `raw`; yield the environment that finds it."""
    with moto() as service:
        service.make_bucket("raw")
        yield service.environment


@contextmanager
def aws_jobs() -> Iterator[dict[str, str]]:
    """Start ECS, Batch, Lambda and CloudWatch Logs; yield the environment that finds them."""
    with serve_aws_jobs() as jobs:
        loader = {
            "jobDefinitionName": "loader",
            "type": "container",
            "containerProperties": {"image": "python:3.12", "command": ["echo", "Ref::day"]},
        }
        jobs.serve("RegisterJobDefinition", loader)
        jobs.functions.programs["resize"] = (
            'def handler(event, context):\n    return {"width": event["width"] // 2}\n'
        )
        names = ("BATCH", "CLOUDWATCH_LOGS", "ECS", "LAMBDA")
        yield {f"AWS_ENDPOINT_URL_{name}": jobs.url for name in names}


@contextmanager
def azure() -> Iterator[dict[str, str]]:
    """Start a Blob service that has the container `raw`; yield the environment that finds it."""
    with azurite() as service:
        client = BlobServiceClient.from_connection_string(service.connection_string)
        with client:
            client.create_container("raw")
        yield {"AZURE_STORAGE_CONNECTION_STRING": service.connection_string}


@contextmanager
def dbt_token() -> Iterator[dict[str, str]]:
    """Yield the environment that has the token of `dbt_cloud`."""
    yield {"DBT_CLOUD_TOKEN": TOKEN}


@contextmanager
def dbt_cloud() -> Iterator[dict[str, str]]:
    """Start a dbt Cloud; yield what stands for its domain.

    Its job 500 fails, succeeds in the retry, and does both once more.
    """
    with serve_dbt_cloud() as cloud:
        node = "model.shop.orders"
        failing = Plan({"dbt build": [(node, "error", "Database Error: no such table")]})
        built = Plan({"dbt build": [(node, "success", "OK")], "dbt seed": []})
        cloud.make_job(failing, built, failing, built)
        yield {'domain="ab123.us1.dbt.com"': f'domain="{cloud.url}"'}


#: What stands for the program of an image.
PROGRAM = ["/bin/sh", "-c", 'echo "$MODE: loading as ${#DB_PASSWORD} letters say"']


@contextmanager
def google() -> Iterator[dict[str, str]]:
    """Start a Secret Manager and a Cloud Run; yield what stands for their addresses."""
    with drongo() as secrets, serve_cloud_run() as run:
        run.secrets["db-password"] = "s3cr3t-of-the-database"
        where = f"endpoint={run.url!r}, logging_endpoint={run.url!r}"
        image = 'image="europe-docker.pkg.dev/shop/jobs/load:7",'
        yield {
            "GcpSecrets()": f"GcpSecrets(endpoint={secrets!r})",
            image: f"{image} {where}, command={PROGRAM!r}, poll_seconds=0.1, log_delay_seconds=0,",
        }


@contextmanager
def azure_identities() -> Iterator[dict[str, str]]:
    """Start a key vault and Container Instances; yield what stands for their addresses."""
    with (
        serve_entra() as entra,
        serve_key_vault(entra, "shop") as vault,
        serve_container_instances(entra) as containers,
    ):
        entra.apps["loader"] = App("shop", secret="s3cr3t-of-the-loader")
        login = {
            "tenant_id": "shop",
            "client_id": "loader",
            "client_secret": "s3cr3t-of-the-loader",
            "credential_kwargs": {
                "connection_verify": str(entra.ca),
                "proxies": {"https": entra.url},
            },
            "client_options": {
                "connection_verify": str(entra.ca),
                "verify_challenge_resource": False,
            },
        }
        manager = {**login, "management_url": containers.url}
        address, group = 'vault_url="https://shop.vault.azure.net"', 'resource_group_name="jobs",'
        more = f"command={PROGRAM!r}, task_watch_poll_interval=0.1"
        yield {
            address: f"vault_url={vault.url!r}, credentials={login!r}",
            group: f"{group} aci_credentials={manager!r}, {more},",
            '"env:DB_PASSWORD"': '"s3cr3t-of-the-database"',
        }


@contextmanager
def vendors() -> Iterator[dict[str, str]]:
    """Start the services that take notes; yield the environment that leads to them."""
    with open_vendors() as found:
        yield found.environment


@contextmanager
def dask(folder: Path) -> Iterator[dict[str, str]]:
    """Start a Dask cluster; yield what stands for its scheduler's address."""
    (folder / "dask").mkdir()
    with serve_dask(folder / "dask") as found:
        yield {"tcp://10.0.0.4:8786": found.address}


@contextmanager
def ray() -> Iterator[dict[str, str]]:
    """Start a Ray cluster; yield what stands for its address."""
    with ray_cluster() as found:
        yield {"ray://10.0.0.4:10001": found.client_address}


@contextmanager
def slack() -> Iterator[dict[str, str]]:
    """Start a Slack with the bot of the pages; yield what stands for its addresses."""
    with serve_slack("xoxb-1234") as found:
        token = 'token="xoxb-1234"'
        yield {
            "https://hooks.slack.com": found.url,
            token: f'{token}, base_url="{found.url}/api/"',
        }
