"""An S3 server on loopback, in a process of its own, and its environment.

In its own process so that a call that holds Python's lock cannot wait for a
server that needs the lock, and so that the server can die.
"""

import contextlib
import os
import subprocess
import sys
import urllib.request

BUCKET = "clips"


@contextlib.contextmanager
def run_s3_server(dies_at=""):
    """Starts a server with an empty bucket and gives its address.

    Args:
      dies_at: Method and end of a path, such as "PUT a.csv"; at a request of
        that kind the process ends without an answer.
    """
    with subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), dies_at],
        # Pages of a listing, so that few objects make several.
        env={**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": "20"},
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
            urllib.request.urlopen(request, timeout=60).close()
            yield endpoint
        finally:
            process.kill()


@contextlib.contextmanager
def environment_of(endpoint):
    """Sets the usual variables for a server, as a user would set them."""
    import pytest
    import s3fs

    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", endpoint)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_REGION", "eu-west-3")
        patch.setenv("NO_PROXY", "127.0.0.1")
        # fsspec keeps connections; a process of a user's has one environment.
        s3fs.S3FileSystem.clear_instance_cache()
        yield patch
    s3fs.S3FileSystem.clear_instance_cache()


def _serve(dies_at):
    """Serves until standard input ends, as it does with the parent."""
    import logging
    import threading

    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = DomainDispatcherApplication(create_backend_app)
    method, path_end = dies_at.split() if dies_at else ("never", "")

    def app(environ, start_response):
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        if request.startswith(method) and request.endswith(path_end):
            os._exit(1)
        return moto(environ, start_response)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.port}", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
