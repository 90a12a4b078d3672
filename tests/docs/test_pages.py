from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

import pytest

from .pages import ROOT, Block, blocks, pages, title
from .services import (
    aws_jobs,
    azure,
    azure_identities,
    bigquery,
    dask,
    dbt_cloud,
    dbt_token,
    gcs,
    google,
    index,
    mail,
    ray,
    s3,
    slack,
    snowflake,
    template_service,
    vendors,
    web,
)

#: What a page needs, by what is in its code.
CLOUDS = {
    "flowstone_aws import": s3,
    "import EcsTask": aws_jobs,
    "flowstone_gcp import": gcs,
    "import BigQueryWarehouse": bigquery,
    "flowstone_azure import": azure,
    "flowstone_dbt.cloud import": dbt_token,
    "flowstone_notify import": vendors,
}
LANGUAGES = {"python", "console", "text", "toml", "json", "yaml", "ini"}
#: How many blocks of each page do not run. These numbers may only fall.
NO_RUN = {
    "CONTRIBUTING.md": 1,
    "README.md": 1,
    "docs/clouds.md": 1,
    "docs/demo.md": 1,
    "docs/index.md": 1,
    "integrations/aws/README.md": 1,
    "integrations/azure/README.md": 1,
    "integrations/dask/README.md": 1,
    "integrations/dbt/README.md": 1,
    "integrations/email/README.md": 1,
    "integrations/gcp/README.md": 1,
    "integrations/great-expectations/README.md": 1,
    "integrations/mlflow/README.md": 1,
    "integrations/notify/README.md": 1,
    "integrations/ray/README.md": 1,
    "integrations/slack/README.md": 1,
    "integrations/snowflake/README.md": 1,
    "integrations/sqlalchemy/README.md": 1,
    "integrations/duckdb/README.md": 1,
    "integrations/testing/README.md": 1,
    "plugin-template/README.md": 1,
}


def every_block() -> list[tuple[str, Block]]:
    return [(title(path), block) for path in pages() for block in blocks(path.read_text("utf-8"))]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with web() as url:
        yield url


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a page's process sees: this Python's programs, an empty home, nothing of the desk's."""
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(tmp_path),
        "FLOWSTONE_HOME": str(tmp_path / "flowstone-home"),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": "error::DeprecationWarning:__main__",
    }


@pytest.mark.slow
@pytest.mark.parametrize("page", pages(), ids=title)
def test_a_page_does_what_it_says(
    page: Path,
    site: str,
    environment: dict[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Run each block, top to bottom, in one process and an empty directory."""
    text = page.read_text("utf-8")
    folder = tmp_path / "desk"
    folder.mkdir()
    sites = dict.fromkeys(("https://example.org", "https://hooks.slack.com"), site)
    with services(text, tmp_path, request) as more, server_of(text, tmp_path) as server:
        done = subprocess.run(
            [sys.executable, Path(__file__).parent / "run_page.py", page],
            input=json.dumps({**sites, **server, "/your/desk": str(folder)}),
            capture_output=True,
            text=True,
            cwd=folder,
            env={**environment, **more},
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr


def server_of(text: str, folder: Path) -> AbstractContextManager[dict[str, str]]:
    """Start the server whose address is in a page; return what stands for that address."""
    if "flowstone_dbt.cloud import" in text:
        return dbt_cloud()
    if "import GcpSecrets" in text:
        return google()
    if "import AzureKeyVault" in text:
        return azure_identities()
    if "import SlackCredentials" in text or "    SlackCredentials," in text:
        return slack()
    if "import DaskTaskRunner" in text:
        return dask(folder)
    if "import RayTaskRunner" in text:
        return ray()
    return mail(folder) if "flowstone_email import" in text else nullcontext({})


@contextmanager
def start_all(
    services: Iterable[AbstractContextManager[dict[str, str]]],
) -> Iterator[dict[str, str]]:
    """Start them all; yield their environments as one."""
    with ExitStack() as stack:
        found: dict[str, str] = {}
        for service in services:
            found |= stack.enter_context(service)
        yield found


def services(
    text: str, folder: Path, request: pytest.FixtureRequest
) -> AbstractContextManager[dict[str, str]]:
    """Start what the page talks to; return what its environment says of it."""
    code = "".join(block.text for block in blocks(text))
    clouds = [(name, serve) for name, serve in CLOUDS.items() if name in code]
    if clouds:
        if "flowstone_azure import" in dict(clouds):
            request.getfixturevalue("azurite")  # skips where Azurite is absent
        return start_all(serve() for _, serve in clouds)
    if "flowstone_snowflake import" in code:
        return snowflake(request.getfixturevalue("snowflake"), folder)
    if "uv run" in "".join(block.text for block in blocks(text) if block.language == "console"):
        return nullcontext(index(request.getfixturevalue("wheels")))
    if "TEMPLATE_URL" in text:
        (folder / "service").mkdir()
        return template_service(folder / "service")
    return nullcontext({})


def test_every_block_has_a_language_that_we_know() -> None:
    strange = [f"{page}:{b.line}" for page, b in every_block() if b.language not in LANGUAGES]
    assert not strange


def test_what_does_not_run_says_why_and_gets_rarer() -> None:
    still = [(page, block) for page, block in every_block() if "no-run" in block.options]
    assert not [f"{page}:{block.line}" for page, block in still if not block.reason]
    counts: dict[str, int] = {}
    for page, _ in still:
        counts[page] = counts.get(page, 0) + 1
    assert counts == NO_RUN, "write the smaller numbers down, or let the blocks run"


def test_no_file_hides_a_standard_module() -> None:
    """A script finds what is beside it first: `numbers.py` breaks what imports `numbers`."""
    files = [(page, block.file) for page, block in every_block() if block.file is not None]
    assert files
    assert not [each for each in files if Path(each[1]).stem in sys.stdlib_module_names]


def test_links_lead_somewhere() -> None:
    dead = []
    for page in pages():
        prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            path, _, anchor = target.partition("#")
            if "://" in target or target.startswith("mailto:"):
                continue
            file = (page.parent / path) if path else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                dead.append(f"{title(page)} → {target}")
    assert not dead


def anchors(file: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_can_be_found_from_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text("utf-8")
    lost = [path.name for path in (ROOT / "docs").glob("*.md") if f"({path.name}" not in index]
    assert lost in ([], ["index.md"])
