"""Progress of many worker processes on one machine, without talking to them.

Each worker appends one byte a clip to a file, which says what became of the
clip; whoever shows progress counts the bytes. Appends of one byte are not torn
apart, so that no lock is needed. Workers on other machines cannot: their runner
shows its own progress.
"""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator

import tqdm

WRITTEN, MISSING, UNUSABLE = b"w", b"m", b"u"
_SECONDS_BETWEEN_LOOKS = 0.5


class ClipTally:
    """Counts clips in a file.

    Args:
      path: A file that exists, on this machine; "" to count nothing.
    """

    def __init__(self, path: str) -> None:
        self._file_number = (
            os.open(path, os.O_WRONLY | os.O_APPEND) if path else -1
        )

    def add(self, outcome: bytes) -> None:
        """Counts one clip as `WRITTEN`, `MISSING` or `UNUSABLE`."""
        if self._file_number >= 0:
            os.write(self._file_number, outcome)

    def close(self) -> None:
        """Closes the file."""
        if self._file_number >= 0:
            os.close(self._file_number)
            self._file_number = -1


@contextlib.contextmanager
def show_progress(num_clips: int) -> Iterator[str]:
    """Shows a progress bar while clips are counted.

    Args:
      num_clips: Clips that are to be counted.

    Yields:
      The path for `ClipTally`.
    """
    done = threading.Event()
    with (
        tempfile.NamedTemporaryFile(prefix="clips-") as tally_file,
        tqdm.tqdm(total=num_clips, unit="clip", desc="records") as bar,
    ):
        thread = threading.Thread(
            target=_follow, args=(tally_file.name, bar, done), daemon=True
        )
        thread.start()
        try:
            yield tally_file.name
        finally:
            done.set()
            thread.join()


def _follow(
    tally_path: str, bar: "tqdm.tqdm[None]", done: threading.Event
) -> None:
    """Moves the bar as the file grows, until it is done."""
    num_missing = num_unusable = 0
    with open(tally_path, "rb") as file:
        is_last_look = False
        while not is_last_look:
            is_last_look = done.wait(_SECONDS_BETWEEN_LOOKS)
            outcomes = file.read()
            num_missing += outcomes.count(MISSING)
            num_unusable += outcomes.count(UNUSABLE)
            bar.set_postfix_str(
                f"{num_missing} missing, {num_unusable} unusable",
                refresh=False,
            )
            bar.update(len(outcomes))
