"""Moto's server, on the port that it is given; with `docker` behind it, it runs containers.

`POST /fill?bucket=…&prefix=…&count=…` makes so many objects at once: 10,000 requests take too long.
"""

import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import run_simple

services = DomainDispatcherApplication(create_backend_app)


def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/fill":
        (bucket,), (prefix,), (count,) = parse_qs(environ["QUERY_STRING"]).values()
        for number in range(int(count)):
            s3_backends["123456789012"]["aws"].put_object(bucket, f"{prefix}{number:06}", b"x")
        start_response("200 OK", [("Content-Length", "0")])
        return []
    found: Iterable[bytes] = services(environ, start_response)
    return found


with_docker = sys.argv[2:] == ["docker"]
default_user_config["batch"] = default_user_config["lambda"] = {"use_docker": with_docker}
logging.getLogger("werkzeug").setLevel(logging.ERROR)
run_simple("127.0.0.1", int(sys.argv[1]), answer, threaded=True)
