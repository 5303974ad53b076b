"""The emulator with one request at a time.

S3 decides atomically who creates an object; moto looks first and writes then, so that two of many
creators may both be told that they made it.
"""

import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

storage = DomainDispatcherApplication(create_backend_app)
one_at_a_time = threading.Lock()


def application(environ, start_response):
    with one_at_a_time:
        return list(storage(environ, start_response))


run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True)
