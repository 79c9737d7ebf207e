"""Workers of this machine: other processes, whose death is told."""

import os
import signal
import threading

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from audioset_strong.errors import InputError
from audioset_strong.records.beam import local_runner


def _run(num_workers, function, elements):
    options = PipelineOptions([], direct_num_workers=num_workers)
    with local_runner(num_workers) as runner:
        pipeline = beam.Pipeline(runner=runner, options=options)
        _ = pipeline | beam.Create(elements) | beam.Map(function)
        pipeline.run().wait_until_finish()


def test_one_worker_is_this_process(tmp_path):
    path = tmp_path / "pid"

    def note(_):
        path.write_text(str(os.getpid()))

    _run(1, note, [0])
    assert path.read_text() == str(os.getpid())


def test_two_workers_are_two_other_processes(tmp_path):
    def note(_):
        (tmp_path / str(os.getpid())).touch()

    _run(2, note, range(8))
    pids = {path.name for path in tmp_path.iterdir()}
    assert len(pids) == 2
    assert str(os.getpid()) not in pids


def test_a_dead_worker_ends_the_run_with_its_signal():
    def die(_):
        print("these are my last words", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(InputError) as caught:
        _run(2, die, range(8))
    message = str(caught.value)
    assert "ended with SIGKILL (out of memory?)" in message
    assert "a smaller --num_workers needs less memory" in message
    assert "these are my last words" in message
    assert "INFO" not in message


def test_a_good_run_leaves_no_trace():
    hook = threading.excepthook
    _run(2, str, range(8))
    assert threading.excepthook is hook


def test_workers_leave_an_interrupt_to_the_run(tmp_path):
    """Ctrl-C reaches every process of a terminal's group."""

    def send(number):
        if not (tmp_path / "sent").exists():
            (tmp_path / "sent").touch()
            os.kill(os.getpid(), signal.SIGINT)
        (tmp_path / str(number)).touch()

    _run(2, send, range(4))
    assert {path.name for path in tmp_path.iterdir()} == {*"0123", "sent"}


def test_an_interrupt_stays_an_interrupt():
    timer = threading.Timer(
        1.0,
        lambda: signal.pthread_kill(
            threading.main_thread().ident, signal.SIGINT
        ),
    )
    timer.start()
    with pytest.raises(KeyboardInterrupt), local_runner(2):
        threading.Event().wait(30)
