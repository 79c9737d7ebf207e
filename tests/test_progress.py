"""What the console shows of a run, on a terminal and in a log file."""

import re

import pytest

from audioset_strong.params import TrainParams
from audioset_strong.training import progress as progresses
from audioset_strong.training.progress import Progress

_PARAMS = TrainParams(num_steps=200, global_batch_size=16)


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves; `clock[0]` is the time."""
    now = [1000.0]
    monkeypatch.setattr(progresses.time, "monotonic", lambda: now[0])
    return now


def test_a_log_file(clock, caplog):
    level = caplog.at_level("INFO", logger="absl")
    with level, Progress(40, _PARAMS) as found:
        clock[0] += 30
        for step in range(41, 201):
            found.advance(1, 0)
            if step == 50:
                found.show({"loss": 4.5})
            clock[0] += 2
    lines = [line for line in caplog.messages if line.startswith("Step ")]
    # 156 steps of two seconds each; the 30 s of compiling do not count.
    assert lines[0] == "Step 44 of 200 (22 %), 0.5 steps/s, 05:12 left."
    assert lines[2].endswith("/s, 04:42 left, loss 4.500.")
    # After 5, 15, 35, 75, 135, 195, 255 and 315 s.
    steps = [int(line.split()[1]) for line in lines]
    assert steps == [44, 49, 59, 79, 109, 139, 169, 199]


def test_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progresses, "_is_terminal", lambda: True)
    with Progress(0, _PARAMS) as found:
        found.advance(5, 0)
        for _ in range(195):
            found.advance(1, 0)
        found.log(200, {"validation_d_prime": 1.23456})
    shown = capsys.readouterr().err
    assert re.search(r"train: +2%.* 5/200 ", shown)
    assert "100%" in shown
    assert "200/200" in shown


def test_rates_are_of_steps_alone(clock):
    found = Progress(0, _PARAMS)
    clock[0] += 30  # tracing
    found.advance(1, 9.0)
    assert found.rates() == {}
    for _ in range(10):
        clock[0] += 0.5
        found.advance(1, 0.1)
    expected = {"examples_per_second": 32.0, "input_share": 0.2}
    assert found.rates() == pytest.approx(expected)
    clock[0] += 60  # a validation
    found.restart_clock()
    assert found.rates() == {}
    clock[0] += 1
    found.advance(4, float("nan"))  # batches are read in the graph
    assert found.rates() == {"examples_per_second": 64.0}


@pytest.mark.parametrize("waited", [0.05, float("nan")])
def test_the_end_says_how_long_it_took(waited, clock, caplog):
    level = caplog.at_level("INFO", logger="absl")
    with level, Progress(100, _PARAMS) as found:
        found.advance(1, 0)
        for _ in range(10):
            clock[0] += 0.5
            found.advance(1, waited)
        found.rates()
        clock[0] += 60
    assert caplog.messages[-1] == (
        "Steps 101 to 111 took 01:05: 32 examples/s without validations and "
        "checkpoints"
        + (", 10.0% of the time waiting for input." if waited == 0.05 else ".")
    )


def test_a_finished_run_says_nothing(caplog):
    level = caplog.at_level("INFO", logger="absl")
    with level, Progress(200, _PARAMS):
        pass
    assert not caplog.messages
