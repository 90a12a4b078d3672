"""Moto's server in a process of its own, on a free port, till its standard input ends."""

import logging
import sys

from moto.server import ThreadedMotoServer
from werkzeug.serving import WSGIRequestHandler

logging.getLogger("werkzeug").setLevel(logging.ERROR)
# As AWS does, it keeps connections open: a thread and a connection for each request take twice
# the time.
WSGIRequestHandler.protocol_version = "HTTP/1.1"
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print(f"http://{host}:{port}", flush=True)
sys.stdin.read()
server.stop()
