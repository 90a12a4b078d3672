"""Moto's server in a process of its own, on a free port, till its standard input ends.

A line "bucket prefix count" there makes so many objects at once: 10,000 requests take too long.
"""

import logging
import sys

from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print(f"http://{host}:{port}", flush=True)
for line in sys.stdin:
    bucket, prefix, count = line.split()
    for number in range(int(count)):
        s3_backends["123456789012"]["aws"].put_object(bucket, f"{prefix}{number:06}", b"x")
    print("done", flush=True)
server.stop()
