"""dbt Cloud on this machine; there is no official SDK, so our own clients ask it.

The routes and answers are those of the vendor's pages:

- the envelope (``status``, ``data``), the header ``Authorization: Token …`` or ``Bearer …``, and
  below ``/api/v2/accounts/{account_id}/`` the account (Retrieve Account), ``jobs/`` (Create Job),
  ``jobs/{id}/`` (Retrieve Job, Destroy Job), ``jobs/{id}/run/`` (Trigger Job Run),
  ``jobs/{id}/artifacts/{path}`` (Retrieve Job Artifact), ``runs/{id}/`` (Retrieve Run, with
  ``include_related``), ``runs/{id}/cancel/`` (Cancel Run), ``runs/{id}/artifacts/`` (List Run
  Artifacts) and ``runs/{id}/artifacts/{path}`` (Retrieve Run Artifact, with ``step``), and
  ``projects/`` (List Projects): https://docs.getdbt.com/dbt-cloud/api-v2, from
  https://github.com/dbt-labs/dbt-cloud-openapi-spec/blob/master/openapi-v2.yaml
- ``/graphql``: https://docs.getdbt.com/docs/dbt-cloud-apis/discovery-querying
- ``include_related=["run_steps"]``, and what is in a step:
  https://docs.getdbt.com/guides/zapier-slack
- 429: https://docs.getdbt.com/docs/dbt-cloud-apis/rate-limits

A run goes on by one stage each time that it is asked for, so nothing here takes time.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.services.web import Handler, serve_web

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = 12345
TOKEN = "dbtc-a-token-of-the-tests"
QUEUED, STARTING, RUNNING, SUCCESS, ERROR, CANCELLED = 1, 2, 3, 10, 20, 30
WORDS = {1: "Queued", 2: "Starting", 3: "Running", 10: "Success", 20: "Error", 30: "Cancelled"}
SKIPPED = "Skipped"
#: The steps that each run begins with.
SETUP = ("Clone git repository", "Create profile from connection Warehouse")
NOW = "2026-05-01 06:00:00.000000+00:00"
MISSING = "The requested resource was not found. Please check that you have the proper permissions."
#: A unique id, its status, and what dbt says.
Result = tuple[str, str, str]
Answer = tuple[int, object]


@dataclass
class Plan:
    """How a run of a job goes.

    Attributes:
        results: of a command that begins with this, the results of its nodes.
        broken: the names of steps, or beginnings of commands, that fail without any result.
        is_endless: whether it goes on until it is cancelled.
        logs: what a step that fails has written.
    """

    results: dict[str, list[Result]] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    is_endless: bool = False
    logs: str = ""


@dataclass
class Step:
    """A step of a run: what it is called, how it will end, and what it leaves."""

    name: str
    ends: str
    results: list[Result] | None = None
    logs: str = ""


@dataclass
class Hiccup:
    """How the next requests that fit are answered, instead of being served.

    Attributes:
        status: of the answer; 0 for none: the connection is closed.
        after: whether it is served first, and only the answer is lost.
        headers: of the answer.
        left: how many of them.
    """

    fits: re.Pattern[str]
    status: int
    headers: dict[str, str]
    after: bool = False
    left: int = 1


class Run:
    """A run: its stages are those of its steps, one after the other."""

    def __init__(
        self, number: int, job: dict[str, Any], trigger: dict[str, Any], plan: Plan
    ) -> None:
        self.number, self.job, self.trigger, self.plan = number, job, trigger, plan
        self.commands: list[str] = trigger.get("steps_override") or job["execute_steps"]
        self.steps = [*self._make_steps()]
        # One without an end runs at once, so who asks twice gets the same status.
        self.stage = 2 if plan.is_endless else 0
        self.was_cancelled = False
        #: So often it is still unknown where somebody asks for it.
        self.hidden = 0

    def _make_steps(self) -> Iterator[Step]:
        has_failed = False
        for name in (
            *SETUP,
            *(f"Invoke dbt with `{each}`" for each in ("dbt deps", *self.commands)),
        ):
            command = name.partition("`")[2].rpartition("`")[0]
            known = [found for begin, found in self.plan.results.items() if _begins(command, begin)]
            results = known[0] if known else None
            fails = any(_begins(command or name, each) for each in self.plan.broken)
            fails = fails or any(each[1] in {"error", "fail"} for each in results or ())
            if has_failed:
                yield Step(name, SKIPPED)
            elif fails:
                yield Step(name, "Error", results, self.plan.logs)
            else:
                yield Step(name, "Success", results)
            has_failed = has_failed or fails

    @property
    def status(self) -> int:
        if self.was_cancelled:
            return CANCELLED
        if self.stage < 2:
            return (QUEUED, STARTING)[self.stage]
        if self.stage - 2 < len(self.steps) or self.plan.is_endless:
            return RUNNING
        return ERROR if any(step.ends == "Error" for step in self.steps) else SUCCESS

    def advance(self) -> None:
        last = len(self.steps) + (1 if self.plan.is_endless else 2)
        if not self.was_cancelled and self.stage < last:
            self.stage += 1

    def describe(self, url: str, related: list[str]) -> dict[str, Any]:
        status = self.status
        found: dict[str, Any] = {
            "id": self.number,
            "job_definition_id": self.job["id"],
            "project_id": self.job["project_id"],
            "account_id": ACCOUNT,
            "status": status,
            "status_humanized": WORDS[status],
            "status_message": None,
            "is_complete": status >= SUCCESS,
            "href": f"{url}/deploy/{ACCOUNT}/projects/1/runs/{self.number}/",
            "created_at": NOW,
            "dequeued_at": NOW if self.stage > 0 else None,
            "started_at": NOW if self.stage > 1 else None,
            "finished_at": NOW if status >= SUCCESS else None,
        }
        if "run_steps" in related:
            found["run_steps"] = [*self._describe_steps()]
        if "trigger" in related:
            found["trigger"] = {"id": 1, "git_branch": None, "schema_override": "", **self.trigger}
        if "job" in related:
            found["job"] = self.job
        return found

    def _describe_steps(self) -> Iterator[dict[str, Any]]:
        begun = self.stage - 1 if self.stage > 1 else 0
        for index, step in enumerate(self.steps[:begun], 1):
            ends = step.ends if index < begun or self.status in {SUCCESS, ERROR} else "Running"
            if ends == "Running" and self.was_cancelled:
                ends = "Cancelled"
            yield {
                "index": index,
                "name": step.name,
                "status": next((code for code, word in WORDS.items() if word == ends), CANCELLED),
                "status_humanized": ends,
                "logs": step.logs,
            }

    def list_artifacts(self, index: int | None) -> dict[str, str]:
        """Return the artifacts of a step, by default of the last that has any, by path."""
        chosen = self.steps if index is None else self.steps[index - 1 : index]
        for step in reversed(chosen):
            if step.results is not None:
                return {"manifest.json": "{}", "run_results.json": _dump_results(step.results)}
        return {}


def _dump_results(results: list[Result]) -> str:
    found = [{"unique_id": node, "status": how, "message": told} for node, how, told in results]
    return json.dumps({"results": found, "args": {}})


def _begins(text: str, begin: str) -> bool:
    return f"{text} ".startswith(f"{begin} ")


class DbtCloud:
    """What a loopback server answers in the place of dbt Cloud.

    Attributes:
        url: its address.
        token: the one that is let in; `unprivileged` is known, and may not do anything.
        jobs: by number.
        plans: of each job, how its runs go; the last one holds for all that follow.
        runs: by number.
        asked: the requests so far: method, path with its query, and body.
        hidden: how often a new run is unknown.
    """

    def __init__(self, token: str = TOKEN) -> None:
        self.url, self.token, self.unprivileged = "", token, "dbtc-a-token-without-rights"
        self.jobs: dict[int, dict[str, Any]] = {}
        self.plans: dict[int, list[Plan]] = {}
        self.runs: dict[int, Run] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.hidden = 0
        self._hiccups: list[Hiccup] = []
        self._lock = RLock()

    def make_job(self, *plans: Plan, steps: list[str] | None = None, **fields: Any) -> int:
        """Make a job whose runs go as planned, the first as the first plan says."""
        with self._lock:
            number = 500 + len(self.jobs)
            commands = ["dbt build"] if steps is None else steps
            body = {"name": f"job {number}", "project_id": 1, "execute_steps": commands}
            self.jobs[number] = {**body, **fields, "id": number, "account_id": ACCOUNT}
            self.plans[number] = [*plans] or [Plan()]
            return number

    def fail_next(
        self,
        fits: str,
        status: int,
        *,
        times: int = 1,
        after: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answer the next requests whose ``METHOD path`` fits a pattern by a status."""
        found = {"Retry-After": "0"} if headers is None else headers
        self._hiccups.append(Hiccup(re.compile(fits), status, found, after, times))

    def find_asked(self, fits: str) -> list[Any]:
        """Return the bodies of the requests whose ``METHOD path`` fits a pattern."""
        return [body for method, path, body in self.asked if re.search(fits, f"{method} {path}")]

    def is_alive(self, number: int) -> bool:
        return self.runs[number].status < SUCCESS

    def take_hiccup(self, request: str) -> Hiccup | None:
        with self._lock:
            for hiccup in self._hiccups:
                if hiccup.left and hiccup.fits.search(request):
                    hiccup.left -= 1
                    return hiccup
        return None

    def answer(self, method: str, path: str, login: str, body: Any) -> Answer:
        """Return a status, and the data or the text."""
        with self._lock:
            self.asked.append((method, path, body))
            kind, _, token = login.partition(" ")
            if kind not in {"Token", "Bearer"} or token not in {self.token, self.unprivileged}:
                return 401, "Invalid token"
            if token == self.unprivileged:
                return 403, "User does not have permission"
            parts = urlsplit(path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path == "/graphql":
                return self._query(body)
            root = f"/api/v2/accounts/{ACCOUNT}"
            if not parts.path.startswith(f"{root}/"):
                return 404, MISSING
            return self._find(method, parts.path.removeprefix(root), query, body)

    def _find(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if (method, path) == ("GET", "/"):
            return 200, {"id": ACCOUNT, "name": "Acme Analytics", "plan": "enterprise"}
        if (method, path) == ("GET", "/projects/"):
            return 200, [{"id": 1, "name": "Shop"}]
        if (method, path) == ("POST", "/jobs/"):
            if not {"project_id", "environment_id", "name", "execute_steps"} <= body.keys():
                return 400, "This field is required."
            return 201, self.jobs[self.make_job(**{"steps": body["execute_steps"], **body})]
        match = re.fullmatch(r"/(jobs|runs)/(\d+)/(.*)", path)
        if not match:
            return 404, MISSING
        number, rest = int(match[2]), match[3]
        if match[1] == "jobs":
            return self._find_job(method, number, rest, body)
        run = self.runs.get(number)
        if run is not None and run.hidden:
            run.hidden -= 1
            run = None
        return (404, MISSING) if run is None else self._find_run(method, run, rest, query)

    def _find_job(self, method: str, number: int, rest: str, body: Any) -> Answer:
        job = self.jobs.get(number)
        if job is None:
            return 404, MISSING
        match method, rest:
            case "GET", "":
                return 200, job
            case "DELETE", "":
                del self.jobs[number]
                return 204, None
            case "POST", "run/":
                return self._trigger(job, body)
            case "GET", _ if rest.startswith("artifacts/"):
                runs = [run for run in self.runs.values() if run.job["id"] == number]
                name = rest.removeprefix("artifacts/")
                found = [
                    run.list_artifacts(None).get(name) for run in runs if run.status >= SUCCESS
                ]
                return (200, found[-1]) if found and found[-1] else (404, MISSING)
        return 404, MISSING

    def _trigger(self, job: dict[str, Any], body: dict[str, Any]) -> Answer:
        if not body.get("cause"):
            return 400, "cause: This field is required."
        plans, number = self.plans[job["id"]], 9000 + len(self.runs)
        plan = plans[0] if len(plans) == 1 else plans.pop(0)
        run = self.runs[number] = Run(number, job, body, plan)
        run.hidden = self.hidden
        return 200, run.describe(self.url, [])

    def _find_run(self, method: str, run: Run, rest: str, query: dict[str, str]) -> Answer:
        step = int(query["step"]) if "step" in query else None
        match method, rest:
            case "GET", "":
                found = run.describe(self.url, json.loads(query.get("include_related", "[]")))
                run.advance()
                return 200, found
            case "POST", "cancel/":
                if run.status >= SUCCESS:
                    return 400, "This run is already complete."
                run.was_cancelled = True
                return 200, run.describe(self.url, [])
            case "GET", "artifacts/":
                return 200, sorted(run.list_artifacts(step))
            case "GET", _ if rest.startswith("artifacts/"):
                content = run.list_artifacts(step).get(rest.removeprefix("artifacts/"))
                return (404, MISSING) if content is None else (200, content)
        return 404, MISSING

    def _query(self, body: dict[str, Any]) -> Answer:
        query, variables = body["query"], body["variables"]
        if "nonsense" in query:
            return 200, {"errors": [{"message": 'Cannot query field "nonsense" on type "Query".'}]}
        names = [{"uniqueId": "model.shop.orders", "status": "success"}]
        return 200, {"data": {"job": {"id": variables.get("jobId"), "models": names}}}


@contextmanager
def serve_dbt_cloud(token: str = TOKEN) -> Iterator[DbtCloud]:
    """Answer in the place of dbt Cloud on a free port."""
    cloud = DbtCloud(token)

    class Cloud(Handler):
        def serve(self) -> None:
            text = self.read_body()
            hiccup = cloud.take_hiccup(f"{self.command} {self.path}")
            login, body = self.headers.get("Authorization", ""), json.loads(text or b"null")
            if hiccup is None:
                return self.tell(*cloud.answer(self.command, self.path, login, body))
            if hiccup.after:
                cloud.answer(self.command, self.path, login, body)
            else:
                cloud.asked.append((self.command, self.path, body))
            if hiccup.status:
                return self.respond(hiccup.status, b"<html>busy</html>", hiccup.headers)
            self.close_connection = True
            return None

        def tell(self, status: int, found: object) -> None:
            is_good = status < 400
            if isinstance(found, str) and is_good:
                return self.respond(status, found.encode(), {"Content-Type": "application/json"})
            if urlsplit(self.path).path == "/graphql" and is_good:
                return self.respond_json(status, found)
            if status == 204:
                return self.respond(status)
            words = "Success!" if is_good else str(found)
            facts = {"code": status, "is_success": is_good, "user_message": words}
            told = {"status": facts, "data": found if is_good else None}
            return self.respond_json(status, told)

        do_GET = do_POST = do_DELETE = do_PUT = serve

    with serve_web(Cloud) as server:
        cloud.url = server.url
        yield cloud
