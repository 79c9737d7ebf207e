"""The tally that workers keep and the bar that counts it."""

import os
import subprocess
import sys

from audioset_strong.records.shard import (
    MISSING,
    UNUSABLE,
    WRITTEN,
    ClipTally,
    show_progress,
)


def test_a_tally_without_a_file_counts_nothing():
    tally = ClipTally("")
    tally.add(WRITTEN)
    tally.close()


def test_the_bar_counts_what_several_processes_append(capfd):
    code = (
        "import sys\n"
        "from audioset_strong.records.progress import *\n"
        "tally = ClipTally(sys.argv[1])\n"
        "for _ in range(1000):\n"
        "    tally.add(WRITTEN)\n"
        "tally.close()\n"
    )
    with show_progress(3003) as path:
        processes = [
            subprocess.Popen([sys.executable, "-c", code, path])
            for _ in range(3)
        ]
        tally = ClipTally(path)
        for outcome in (MISSING, UNUSABLE, UNUSABLE):
            tally.add(outcome)
        tally.close()
        assert [process.wait() for process in processes] == [0, 0, 0]
    assert not os.path.exists(path)
    last = capfd.readouterr().err.split("\r")[-1]
    assert "3003/3003" in last
    assert "1 missing, 2 unusable" in last


def test_an_error_inside_ends_the_bar(capfd):
    try:
        with show_progress(5) as path:
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert not os.path.exists(path)
    assert "0/5" in capfd.readouterr().err
