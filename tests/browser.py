"""Drives a real browser: keys, clicks and pictures as a person has them.

Speaks Chromium's DevTools protocol over a pipe, JSON messages that end in a
zero byte, so that no further package is needed.
"""

import base64
import contextlib
import fcntl
import io
import json
import os
import select
import shutil
import subprocess
import time

import numpy as np
import pytest
from PIL import Image

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for n in _NAMES if (path := shutil.which(n))), None)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason=f"none of the browsers {_NAMES} is installed"
)
# A busy machine takes long to start one.
_SECONDS = 120

# What every browser of the tests is started with.
QUIET_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
)
_FLAGS = (
    *QUIET_FLAGS,
    "--mute-audio",
    "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
)


class Browser:
    """One tab of a browser; `problems` are errors and refusals it reported."""

    def __init__(self, to_browser, from_browser):
        self._to, self._from, self._rest = to_browser, from_browser, b""
        self._id, self._session, self.problems = 0, None, []
        target = self.call("Target.createTarget", url="about:blank")
        attached = self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def _read(self):
        end = time.monotonic() + _SECONDS
        while b"\0" not in self._rest:
            left = max(end - time.monotonic(), 0)
            assert select.select([self._from], [], [], left)[0], "no answer"
            block = os.read(self._from, 1 << 16)
            assert block, "the browser has ended"
            self._rest += block
        message, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(message)
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.problems.append(params["exceptionDetails"])
        if message.get("method") == "Log.entryAdded":
            self.problems.append(params["entry"]["text"])
        return message

    def call(self, method, **params):
        """Calls a method of the protocol."""
        self._id += 1
        message = {"id": self._id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._id:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, url, width=1400, height=900):
        """Opens a page in a window of a size."""
        self.resize(width, height)
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def resize(self, width, height):
        """Gives the window another size; a narrow one is a phone's."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def run(self, code):
        """Returns the value of an expression."""
        result = self.call(
            "Runtime.evaluate",
            expression=code,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, code):
        """Waits until an expression is true."""
        end = time.monotonic() + _SECONDS
        while not self.run(code):
            assert time.monotonic() < end, f"never true: {code}"
            time.sleep(0.02)

    def press(self, key, modifiers=0):
        """Presses a key, such as "n" or "ArrowLeft"; modifier 8 is Shift."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code="Space" if key == " " else "",
                modifiers=modifiers,
                **(text if kind == "keyDown" else {}),
            )

    def click(self, x, y):
        """Clicks at a place of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button="left",
                clickCount=1,
            )

    def picture(self):
        """Returns what is seen: uint8 [height, width, 3]."""
        shot = self.call("Page.captureScreenshot", format="png")
        image = Image.open(io.BytesIO(base64.b64decode(shot["data"])))
        return np.asarray(image.convert("RGB"))


@contextlib.contextmanager
def open_browser(profile_dir):
    """Starts a browser, which ends with the block."""
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()

    def give_pipes():
        # The browser reads from 3 and writes to 4, which may be in use.
        ends = [fcntl.fcntl(e, fcntl.F_DUPFD, 20) for e in (from_us, to_us)]
        for number, end in zip((3, 4), ends):
            os.dup2(end, number)

    process = subprocess.Popen(
        [BROWSER, *_FLAGS, f"--user-data-dir={profile_dir}"],
        preexec_fn=give_pipes,
        close_fds=False,
        stderr=subprocess.DEVNULL,
    )
    os.close(from_us)
    os.close(to_us)
    try:
        yield Browser(to_browser, from_browser)
    finally:
        process.kill()
        process.wait()
        os.close(to_browser)
        os.close(from_browser)
