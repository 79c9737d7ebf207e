"""A web server on this machine that behaves well or badly, for tests."""

import contextlib
import http.server
import threading


class LabelServer:
    """Serves files from memory.

    Attributes:
      files: Content by path, such as "/labels/a.csv".
      etag: Sent as ETag; None for none.
      has_ranges: Whether Range is understood.
      bytes_before_drops: For each next answer, how many bytes are sent before
        the connection is closed; then all is sent.
      statuses: For each next answer, a status to answer instead.
      sends_length: Whether answers say how long they are.
      requests: Headers of each request so far.
      url: Of the folder "labels".
    """

    def __init__(self, port):
        self.files = {}
        self.etag = '"v1"'
        self.has_ranges = True
        self.bytes_before_drops = []
        self.statuses = []
        self.sends_length = True
        self.requests = []
        self.url = f"http://127.0.0.1:{port}/labels"

    def answer(self, handler):
        self.requests.append(dict(handler.headers))
        content = self.files.get(handler.path)
        status = self.statuses.pop(0) if self.statuses else None
        if content is None or status:
            handler.send_error(status or 404)
            return
        begin = self._begin(handler.headers)
        if begin > len(content):
            handler.send_error(416)
            return
        handler.send_response(206 if begin else 200)
        if begin:
            last = len(content) - 1
            handler.send_header(
                "Content-Range", f"bytes {begin}-{last}/{len(content)}"
            )
        if self.etag:
            handler.send_header("ETag", self.etag)
        if self.sends_length:
            handler.send_header("Content-Length", str(len(content) - begin))
        handler.end_headers()
        drop = (
            self.bytes_before_drops.pop(0) if self.bytes_before_drops else None
        )
        end = None if drop is None else begin + drop
        handler.wfile.write(content[begin:end])

    def _begin(self, headers):
        asked = headers.get("Range")
        is_same = headers.get("If-Range") == self.etag
        if not (self.has_ranges and asked and is_same):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))


@contextlib.contextmanager
def running_server():
    """Runs a server in a thread; yields the `LabelServer`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # the name that http.server asks for
            label_server.answer(self)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    label_server = LabelServer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield label_server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
