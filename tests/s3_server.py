"""An S3 server on loopback, of its own process, and its environment.

Of its own so that no call of TensorFlow that holds Python's lock can wait for a
server that needs the lock. The file systems read the endpoint once in a
process, so tests of one process share one server.
"""

import contextlib
import os
import subprocess
import sys
import urllib.request

BUCKET = "clips"


@contextlib.contextmanager
def run_s3_server():
    """Starts a server with an empty bucket and gives its address."""
    with subprocess.Popen(
        [sys.executable, os.path.abspath(__file__)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            endpoint = process.stdout.readline().strip()
            assert endpoint.startswith("http://127.0.0.1:"), endpoint
            request = urllib.request.Request(
                f"{endpoint}/{BUCKET}", method="PUT"
            )
            urllib.request.urlopen(request, timeout=30).close()
            yield endpoint
        finally:
            process.kill()


def environment_of(endpoint):
    """The usual variables for a server, as a user would set them."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }


def _serve():
    """Serves until standard input ends, as it does with the parent."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    _serve()
