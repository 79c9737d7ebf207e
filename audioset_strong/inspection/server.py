"""Serves the page and the clips that it names, to this machine alone.

    /                   the page
    /clips/3/known      JSON of clip 3 (`clips.py`), which makes its files
    /clips/3/<name>     a file that this JSON names, in whole or a byte range

It listens on 127.0.0.1. A request whose Host header is of another name is
refused, so that no web site can reach it under a name of its own (DNS
rebinding). Clips are asked for by number and files by the names that were made
for them: no path of a request reaches the file system. Files are made when a
clip is first shown, in a temporary folder that ends with the server.
"""

import http.server
import json
import os
import re
import shutil
import tempfile
import threading
from http import HTTPStatus
from typing import Any

from absl import logging

from audioset_strong.inspection.clips import Inspection
from audioset_strong.inspection.page import content_type, render_page

_CLIP_PATH = re.compile(r"/clips/([0-9]{1,9})/([a-z0-9_.]+)")
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")


class InspectionServer(http.server.ThreadingHTTPServer):
    """The server; `with` removes its files in the end.

    Attributes:
      url: Where the page is.
    """

    daemon_threads = True

    def __init__(self, inspection: Inspection, port: int = 0) -> None:
        """Listens on a port of 127.0.0.1; 0 for any that is free."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.inspection = inspection
        self.page = render_page(inspection).encode()
        self.folder = tempfile.mkdtemp()
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.hosts = [
            f"{h}:{self.server_port}" for h in ("127.0.0.1", "localhost")
        ]
        self._known: dict[int, bytes] = {}
        # One clip is made at a time; each is made once.
        self._lock = threading.Lock()

    def server_close(self) -> None:
        """Ends, and removes the files."""
        super().server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def folder_of(self, number: int) -> str:
        """Returns where the files of a clip are."""
        return os.path.join(self.folder, str(number))

    def known(self, number: int) -> bytes:
        """Returns the JSON of a clip, and makes its files."""
        with self._lock:
            if number not in self._known:
                os.makedirs(self.folder_of(number), exist_ok=True)
                known = self.inspection.prepare(number, self.folder_of(number))
                self._known[number] = json.dumps(known).encode()
            return self._known[number]


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD; each other method is refused."""

    protocol_version = "HTTP/1.1"
    server: InspectionServer

    def do_GET(self) -> None:
        """Answers with a page, JSON or a file."""
        if self.headers.get("Host") not in self.server.hosts:
            return self._refuse(HTTPStatus.MISDIRECTED_REQUEST)
        path = self.path.partition("?")[0]
        if path == "/":
            return self._send("text/html; charset=utf-8", self.server.page)
        match = _CLIP_PATH.fullmatch(path)
        number = int(match[1]) if match else -1
        if not match or number >= len(self.server.inspection.segment_ids):
            return self._refuse(HTTPStatus.NOT_FOUND)
        if match[2] == "known":
            try:
                known = self.server.known(number)
            except OSError as error:  # such as a full disk
                logging.error("Clip %d: %s", number, error)
                return self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)
            return self._send("application/json", known)
        folder = self.server.folder_of(number)
        if not os.path.isdir(folder) or match[2] not in os.listdir(folder):
            return self._refuse(HTTPStatus.NOT_FOUND)
        return self._send_file(os.path.join(folder, match[2]))

    do_HEAD = do_GET

    def _send_file(self, path: str) -> None:
        """Sends a file, or the one range of it that is asked for."""
        size = os.path.getsize(path)
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or not (match[1] or match[2]):
            # Several ranges may be answered by all of it.
            start, end, status = 0, size, HTTPStatus.OK
        else:
            status = HTTPStatus.PARTIAL_CONTENT
            if match[1]:
                start = int(match[1])
                end = min(int(match[2]) + 1 if match[2] else size, size)
            else:
                start, end = max(size - int(match[2]), 0), size
            if start >= end:
                return self._refuse(
                    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                    {"Content-Range": f"bytes */{size}"},
                )
        headers = {"Accept-Ranges": "bytes"}
        if status == HTTPStatus.PARTIAL_CONTENT:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        self._start(status, content_type(path), end - start, headers)
        if self.command == "HEAD":
            return None
        with open(path, "rb") as file:
            file.seek(start)
            while start < end:
                block = file.read(min(end - start, 1 << 18))
                self.wfile.write(block)
                start += len(block)
        return None

    def _send(self, kind: str, content: bytes) -> None:
        self._start(HTTPStatus.OK, kind, len(content), {})
        if self.command != "HEAD":
            self.wfile.write(content)

    def _refuse(
        self, status: HTTPStatus, headers: dict[str, str] | None = None
    ) -> None:
        content = f"{status.value} {status.phrase}\n".encode()
        self._start(status, "text/plain", len(content), headers or {})
        if self.command != "HEAD":
            self.wfile.write(content)

    def _start(
        self, status: HTTPStatus, kind: str, size: int, headers: dict[str, str]
    ) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(size),
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Frame-Options": "DENY",
            "Cache-Control": "no-store",
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()

    def handle(self) -> None:
        """Handles a connection; a browser may end it whenever it likes."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing but what goes wrong."""

    def log_error(self, format: str, *args: Any) -> None:
        """Logs a request that could not be answered."""
        logging.debug(format, *args)
