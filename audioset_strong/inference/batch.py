"""Scores many recordings, one after the other, and survives bad ones.

Scores go to `kept_scores.py` block by block, so that memory does not grow with
a recording, and a recording whose scores are kept is not scored again. A file
is known by its path without links, its size and when it was last written.
"""

import collections
import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tqdm
from absl import logging

from audioset_strong import files
from audioset_strong.audio.containers import container_of
from audioset_strong.audio.decode import AudioError
from audioset_strong.inference.inputs import Recording, one_line, real_path
from audioset_strong.inference.kept_scores import Kept, KeptScores
from audioset_strong.inference.score_stream import stream_scores
from audioset_strong.inference.sound_model import SoundModel

# Between two looks at the progress where no terminal shows it.
_LOG_SECONDS = 30.0


class Outcome(NamedTuple):
    """What became of a recording.

    Attributes:
      recording: The recording.
      kept: Its scores; None if it failed.
      failure: Why it failed, in one line that begins with a word to count by;
        "" if it did not.
      seconds_taken: To score it; 0 if its scores were there.
    """

    recording: Recording
    kept: Kept | None
    failure: str = ""
    seconds_taken: float = 0.0


def score_recordings(
    recordings: Sequence[Recording],
    model: SoundModel,
    hop_seconds: float,
    kept: KeptScores,
) -> Iterator[Outcome]:
    """Scores recordings that are not kept yet; yields all, in their order.

    Shows the progress in bytes of files, of which a long file has many, and
    logs a line for each recording that fails.

    Raises:
      OSError: Scores cannot be written.
    """
    keys = [_key(recording) for recording in recordings]
    sizes = _sizes_of(recordings)
    waiting = [n for n, key in enumerate(keys) if key not in kept]
    is_shown = sys.stderr.isatty()
    with tqdm.tqdm(
        total=max(sum(sizes[number] for number in waiting), 1),
        bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        "{postfix}",
        mininterval=0.1 if is_shown else _LOG_SECONDS,
        delay=0 if is_shown else _LOG_SECONDS,
        leave=False,
    ) as bar:
        done = 0.0
        for number, recording in enumerate(recordings):
            finished = kept.find(keys[number])
            if finished is not None:
                yield Outcome(recording, finished)
                continue
            bar.set_description_str(
                f"{number + 1:,} of {len(recordings):,} files", refresh=False
            )
            show = functools.partial(_show_position, bar, done, sizes[number])
            started = time.monotonic()
            outcome = _score(recording, model, hop_seconds, kept, show)
            taken = time.monotonic() - started
            done += sizes[number]
            bar.update(done - bar.n)
            bar.clear()  # for what is printed or logged now
            if outcome.failure:
                logging.error("Left out: %s", outcome.failure)
            yield outcome._replace(seconds_taken=taken)


def _score(
    recording: Recording,
    model: SoundModel,
    hop_seconds: float,
    kept: KeptScores,
    show: Callable[[float, float | None], None],
) -> Outcome:
    """Scores a recording and keeps what comes of it."""
    path = recording.path
    key = _key(recording)
    kept.begin()
    stream = stream_scores(model, path, hop_seconds, progress=show)
    blocks = iter(stream)
    while True:
        # A full disk, where scores are written, is no fault of the recording.
        try:
            outputs = next(blocks, None)
        except (AudioError, OSError) as error:
            return Outcome(recording, None, one_line(str(error)))
        if outputs is None:
            break
        if not np.isfinite(outputs.scores).all():
            problem = "not finite: the model gives scores that are no numbers"
            return Outcome(recording, None, f"{problem} for {one_line(path)}")
        kept.append(outputs.scores, outputs.embeddings)
    if _key(recording) != key:
        return Outcome(
            recording,
            None,
            f"changed: {one_line(path)} was written to while it was read. "
            f"Wait until it is whole, and run again.",
        )
    kept.finish(key, stream.audio_seconds, stream.notes)
    return Outcome(recording, kept.find(key))


def _key(recording: Recording) -> str:
    """Returns a text that changes when the file does."""
    [state] = files.states_of([container_of(recording.path)])
    size, version = state or (-1, "")
    return f"{real_path(recording.path)}\n{size}\n{version}"


def _sizes_of(recordings: Sequence[Recording]) -> list[float]:
    """Returns bytes to read; of members of a container, an equal share each."""
    containers = [container_of(recording.path) for recording in recordings]
    num_inside = collections.Counter(containers)
    num_bytes = files.num_bytes_of(containers)
    return [
        (size or 0) / num_inside[container]
        for size, container in zip(num_bytes, containers, strict=True)
    ]


def _show_position(
    bar: "tqdm.tqdm[Any]",
    start: float,
    size: float,
    seconds: float,
    total_seconds: float | None,
) -> None:
    """Shows how far a recording has got."""
    position = _as_time(seconds)
    share = 0.0
    if total_seconds:
        position += f" of {_as_time(total_seconds)}"
        share = min(seconds / total_seconds, 1.0)
    bar.set_postfix_str(position, refresh=False)
    bar.update(start + share * size - bar.n)


def _as_time(seconds: float) -> str:
    """Writes a time as 1:02:03 or 02:03."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    start = f"{hours}:" if hours else ""
    return f"{start}{minute:02d}:{second:02d}"
