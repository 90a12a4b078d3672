"""Snowflake's HTTP as its Python connector speaks it; run as a program, on the port it is given.

The shapes are those that `snowflake-connector-python` 4.8 sends and reads:

- login: `auth/_auth.py`, `Auth.authenticate`; tokens renewed, heartbeat: `network.py`
- a query: `connection.py`, `cmd_query`; in the background: `network.py`, code 333334
- its status: `connection.py`, `_get_query_status`; its result: `cursor.py`, `query_result`
- to end one: `cursor.py`, `abort_query`, and `connection.py`, `_cancel_query`
- results in parts: `result_batch.py`, `create_batches_from_response`
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import sys
from itertools import count
from typing import Any
from uuid import uuid4

import uvicorn
from fakesnow.instance import FakeSnow
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.services.snowflake import PASSWORD, USER
from tests.services.snowflake_engine import Query, Refused, Session, parts, queries, run
from tests.services.snowflake_stages import OF_USER

#: Seconds that an answer is waited for before "still running" is said.
LONGEST = 30.0
STILL = {"code": "333333", "success": True, "message": None}

lake = FakeSnow()
sessions: dict[str, Session] = {}
numbers = count(1)
#: Queries that go on after their answer; the loop alone would forget them.
background: list[asyncio.Future[None]] = []


async def read(request: Request) -> dict[str, Any]:
    body = await request.body()
    if request.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    found: dict[str, Any] = json.loads(body) if body else {}
    return found


def refuse(code: str, words: str, data: object = None) -> JSONResponse:
    return JSONResponse({"success": False, "code": code, "message": words, "data": data})


async def log_in(request: Request) -> JSONResponse:
    data, query = (await read(request))["data"], request.query_params
    user = str(data.get("LOGIN_NAME", ""))
    if (user, data.get("PASSWORD")) != (USER, PASSWORD):
        return refuse("390100", "Incorrect username or password was specified.")
    if query.get("roleName", "").upper() == "NOBODY":
        words = "specified in the connect string does not exist or not authorized."
        return refuse("390189", f"Role '{query['roleName']}' {words}")
    database, schema = query.get("databaseName"), query.get("schemaName")
    connection = await run_in_threadpool(open_connection, database, schema)
    parameters = data.get("SESSION_PARAMETERS") or {}
    token, number = uuid4().hex, next(numbers)
    found = Session(connection, user, number, dict(parameters))
    found.names = {"ROLE": query.get("roleName", ""), "WAREHOUSE": query.get("warehouse", "")}
    sessions[token] = found
    told = {
        "token": token,
        "masterToken": uuid4().hex,
        "validityInSeconds": 3600,
        "masterValidityInSeconds": 14400,
        "sessionId": number,
        "serverVersion": "9.0.0",
        "parameters": [
            {"name": "AUTOCOMMIT", "value": True},
            {"name": "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD", "value": 0},
            {"name": "CLIENT_TELEMETRY_ENABLED", "value": False},
            {"name": "TIMEZONE", "value": "Etc/UTC"},
        ],
        "sessionInfo": {"databaseName": database, "schemaName": schema,
            "warehouseName": query.get("warehouse"), "roleName": query.get("roleName")},
    }  # fmt: skip
    return JSONResponse({"success": True, "code": None, "message": None, "data": told})


def open_connection(database: str | None, schema: str | None) -> Any:
    connection = lake.connect(database, schema)
    if database and schema:
        connection.cursor().execute(f"CREATE STAGE IF NOT EXISTS {OF_USER}")
    return connection


def find_session(request: Request) -> Session | None:
    token = request.headers.get("authorization", "").partition('Token="')[2].rstrip('"')
    return sessions.get(token)


async def run_query(request: Request) -> JSONResponse:
    session = find_session(request)
    if session is None:
        return refuse("390104", "User must login again to access the service.")
    body = await read(request)
    parameters = {**session.parameters, **(body.get("parameters") or {})}
    made = Query(
        session,
        body["sqlText"],
        request.query_params.get("requestId", ""),
        str(parameters.get("QUERY_TAG", "")),
        parameters,
    )
    queries[made.id] = made
    if body.get("describeOnly"):
        return refuse("001003", "not here: describeOnly")
    work = run_in_threadpool(run, made, body.get("bindings"))
    if not body.get("asyncExec"):
        await work
        return tell(request, made)
    background.append(asyncio.ensure_future(work))
    data = {
        "queryId": made.id,
        "getResultUrl": f"/queries/{made.id}/result",
        "queryAbortsAfterSecs": 300,
    }
    return JSONResponse({"success": True, "code": "333334", "message": None, "data": data})


def tell(request: Request, query: Query) -> JSONResponse:
    if query.refused is not None:
        refused: Refused = query.refused
        data = {"queryId": query.id, "sqlState": refused.state, "errorCode": refused.code}
        return refuse(refused.code, refused.words, data)
    told = dict(query.answer or {})
    if "chunks" in told:
        base = f"{request.url.scheme}://{request.url.netloc}"
        told["chunks"] = [{**part, "url": base + part["url"]} for part in told["chunks"]]
    return JSONResponse({"success": True, "code": None, "message": None, "data": told})


async def send_result(request: Request) -> JSONResponse:
    found = queries.get(request.path_params["id"])
    if found is None:
        return refuse("000709", "Statement not found", {"sqlState": "02000"})
    asking = find_session(request)
    if asking is None:
        return refuse("390104", "User must login again to access the service.")
    found.asked += 1
    longest = float(asking.parameters.get("TESTS_LONGEST_SECONDS", LONGEST))
    if not await run_in_threadpool(found.done.wait, longest):
        return JSONResponse({**STILL, "data": {"getResultUrl": f"/queries/{found.id}/result"}})
    return tell(request, found)


async def send_status(request: Request) -> JSONResponse:
    found = queries.get(request.path_params["id"])
    told: list[dict[str, Any]] = []
    if found is not None:
        word = "RUNNING"
        if found.done.is_set():
            word = "SUCCESS" if found.refused is None else "FAILED_WITH_ERROR"
        each: dict[str, Any] = {"id": found.id, "status": word, "queryTag": found.tag}
        if found.refused is not None:
            each |= {"errorCode": found.refused.code, "errorMessage": found.refused.words}
        told.append(each)
    return JSONResponse({"success": True, "code": None, "message": None, "data": {"queries": told}})


async def abort_query(request: Request) -> JSONResponse:
    name = request.path_params.get("id")
    if name is None:
        wanted = (await read(request)).get("requestId")
        name = next((each.id for each in queries.values() if each.request_id == wanted), None)
    if name in queries:
        queries[name].stop()
    return JSONResponse({"success": name in queries, "code": None, "message": None, "data": None})


async def touch_session(request: Request) -> JSONResponse:
    found = find_session(request)
    if found is None:
        return refuse("390104", "User must login again to access the service.")
    if request.query_params.get("delete"):
        for token in [token for token, each in sessions.items() if each is found]:
            del sessions[token]
        # Its temporary tables and its open transaction go with it.
        await run_in_threadpool(close, found)
    return JSONResponse({"success": True, "code": None, "message": None, "data": None})


def close(found: Session) -> None:
    for query in list(queries.values()):
        if query.session is found and not query.done.is_set():
            query.stop()
    with found.turn:
        found.connection._duck_conn.close()


async def send_part(request: Request) -> Response:
    return Response(parts[request.path_params["name"]])


async def list_queries(request: Request) -> JSONResponse:
    """For tests: the queries so far, newest last."""
    told = [
        {
            "id": each.id, "sql": each.sql, "tag": each.tag, "asked": each.asked,
            "session": each.session.number, "database": each.session.connection.database,
            "parameters": each.parameters, "running": not each.done.is_set(),
        }
        for each in list(queries.values())
    ]  # fmt: skip
    return JSONResponse(told)


async def end_sessions(request: Request) -> JSONResponse:
    """For tests: end every session on a database, as Snowflake does after four idle hours."""
    database = request.query_params["database"]
    for token, each in list(sessions.items()):
        if each.connection.database == database:
            del sessions[token]
    return JSONResponse({})


async def refuse_renewal(request: Request) -> JSONResponse:
    return refuse("390114", "Authentication token has expired. The user must authenticate again.")


async def acknowledge(request: Request) -> JSONResponse:
    return JSONResponse({"success": True, "code": None, "message": None, "data": None})


app = Starlette(
    routes=[
        Route("/session/v1/login-request", log_in, methods=["POST"]),
        Route("/session/token-request", refuse_renewal, methods=["POST"]),
        Route("/session", touch_session, methods=["POST"]),
        Route("/session/heartbeat", touch_session, methods=["POST"]),
        Route("/telemetry/send", acknowledge, methods=["POST"]),
        Route("/queries/v1/query-request", run_query, methods=["POST"]),
        Route("/queries/v1/abort-request", abort_query, methods=["POST"]),
        Route("/queries/{id}/abort-request", abort_query, methods=["POST"]),
        Route("/queries/{id}/result", send_result, methods=["GET"]),
        Route("/monitoring/queries/{id}", send_status, methods=["GET"]),
        Route("/parts/{name}", send_part, methods=["GET"]),
        Route("/tests/queries", list_queries, methods=["GET"]),
        Route("/tests/end-sessions", end_sessions, methods=["POST"]),
    ]
)

if __name__ == "__main__":
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
