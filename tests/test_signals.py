"""Signals: noted, answered after the step, and a second one ends at once."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from audioset_strong.training import signals
from audioset_strong.training.signals import Signals


def _send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.001)  # handlers run between two operations


@pytest.fixture
def passed_on():
    """List of the SIGTERMs that come through, which end nothing."""
    found = []
    before = signal.signal(signal.SIGTERM, lambda n, _: found.append(n))
    yield found
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted(number, caplog):
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    with caplog.at_level("INFO", logger="absl"), Signals() as stop:
        assert stop.received is None
        _send(number)
        assert stop.received == number
        with pytest.raises((SystemExit, KeyboardInterrupt)) as error:
            stop.leave("runs/some", 37)
    assert "at step 37, with a checkpoint" in caplog.text
    if number == signal.SIGTERM:
        assert error.value.code == 143
    else:
        assert error.type is KeyboardInterrupt
    after = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    assert before == after


def test_a_signal_at_the_end_is_passed_on(passed_on):
    with Signals():
        _send(signal.SIGTERM)
        assert passed_on == []
    assert passed_on == [signal.SIGTERM]
    with pytest.raises(KeyboardInterrupt), Signals():
        _send(signal.SIGINT)


def test_what_is_broken_off(passed_on):
    finished = []

    def work(number=None):
        if number:
            _send(number)
            time.sleep(0.1)
        finished.append(number)
        return 5

    with Signals() as stop:
        assert stop.unless_received(work) == 5
        assert stop.unless_received(lambda: work(signal.SIGTERM)) is None
        assert stop.received == signal.SIGTERM
        # Not even begun.
        assert stop.unless_received(work) is None
        # Outside it, nothing is broken off.
        _send(signal.SIGTERM)
    assert finished == [None]


def test_errors_pass():
    with Signals() as stop, pytest.raises(ZeroDivisionError):
        stop.unless_received(lambda: 1 / 0)


def test_another_thread_takes_no_signals():
    found = []

    def run():
        with Signals() as stop:
            found.append(stop.unless_received(lambda: 3))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [3]


_PROGRAM = """
import ctypes, sys, time
from absl import logging
from audioset_strong.training.signals import Signals
with Signals() as stop:
    print("ready", flush=True)
    if sys.argv[1] == "hang":
        ctypes.CDLL(None).pause()  # C code, which Python cannot interrupt
        while True:
            ctypes.CDLL(None).sleep(1000)
    for _ in range(6000):
        if stop.received:
            time.sleep(float(sys.argv[1]))
            stop.leave("run", 1)
        time.sleep(0.01)
"""


def _start(argument):
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, argument],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_the_same_signal_twice_is_one():
    process = _start("0.5")
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    process.communicate(timeout=60)
    assert process.returncode == 143


@pytest.mark.slow
def test_a_second_signal_ends_a_process_that_hangs():
    process = _start("hang")
    try:
        process.send_signal(signal.SIGTERM)
        time.sleep(signals._SAME_SIGNAL_SECONDS + 0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
