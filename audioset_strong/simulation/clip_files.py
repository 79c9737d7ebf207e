"""Makes the audio files of a release, on all cores, and can be interrupted.

A finished clip is a FLAC file and a line of `clips.jsonl`, which holds its
events. Files are written under a temporary name and renamed, so that what is
there is whole; clips that are there are not made again.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import soundfile
import tqdm

from audioset_strong.output_files import open_output, temporary_path
from audioset_strong.simulation.sound_sources import (
    SourceSettings,
    make_source,
)
from audioset_strong.simulation.soundscape_params import SoundscapeParams
from audioset_strong.simulation.soundscapes import (
    SUBSETS,
    Soundscape,
    make_soundscape,
    segment_id_of_clip,
)
from audioset_strong.simulation.synthesis import SAMPLE_RATE

_JOURNAL_NAME = "clips.jsonl"
# Subset, and number of the clip in it.
_Task = tuple[str, int]


def audio_path(output_dir: str, subset: str, segment_id: str) -> str:
    """Returns where the audio of a clip lies in a release."""
    folder = "eval" if subset == "eval" else "train"
    return os.path.join(output_dir, "audio", folder, f"{segment_id}.flac")


def list_tasks(params: SoundscapeParams) -> list[_Task]:
    """Lists (subset, number) of every clip of a release."""
    sizes = {
        "weak": params.num_weak_clips,
        "strong": params.num_strong_clips,
        "eval": params.num_eval_clips,
    }
    return [(subset, n) for subset in SUBSETS for n in range(sizes[subset])]


class _ClipMaker:
    """Makes clips and writes their audio; one a process."""

    def __init__(
        self,
        output_dir: str,
        params: SoundscapeParams,
        source_settings: SourceSettings,
    ) -> None:
        self._output_dir = output_dir
        self._params = params
        self._source = make_source(source_settings)

    def __call__(self, task: _Task) -> dict[str, Any]:
        """Makes one clip; returns its line of the journal."""
        subset, number = task
        clip = make_soundscape(self._params, self._source, subset, number)
        path = audio_path(self._output_dir, subset, clip.segment_id)
        with temporary_path(path) as temporary:
            soundfile.write(
                temporary,
                clip.waveform,
                SAMPLE_RATE,
                format="FLAC",
                subtype="PCM_16",
            )
        return _journal_entry(subset, clip)


def _journal_entry(subset: str, clip: Soundscape) -> dict[str, Any]:
    """Describes a clip as JSON-ready values."""
    events = [
        [*event, snr_db]
        for event, snr_db in zip(clip.events, clip.snr_db, strict=True)
    ]
    return {"subset": subset, "segment_id": clip.segment_id, "events": events}


# The clip maker of a worker process.
_clip_maker: _ClipMaker | None = None


def _start_worker(*arguments: Any) -> None:
    """Prepares a worker process."""
    global _clip_maker
    # Ctrl-C reaches every process of the terminal; only the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _clip_maker = _ClipMaker(*arguments)


def _work(task: _Task) -> dict[str, Any]:
    """Makes one clip in a worker process."""
    assert _clip_maker is not None
    return _clip_maker(task)


def _make_in_parallel(
    tasks: Sequence[_Task], arguments: tuple[Any, ...], num_workers: int
) -> Iterator[dict[str, Any]]:
    """Yields the journal entry of each clip when it is finished."""
    if num_workers == 1:
        yield from map(_ClipMaker(*arguments), tasks)
        return
    # Spawned, since a caller that has loaded TensorFlow cannot be forked.
    context = multiprocessing.get_context("spawn")
    with context.Pool(num_workers, _start_worker, arguments) as pool:
        yield from pool.imap_unordered(_work, tasks, chunksize=4)


def _read_journal(output_dir: str) -> dict[str, dict[str, Any]]:
    """Reads the finished clips, by segment id."""
    path = os.path.join(output_dir, _JOURNAL_NAME)
    entries = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                # Only the last line can be broken, by a kill; it is made again.
                if line.endswith("}\n"):
                    entry = json.loads(line)
                    entries[entry["segment_id"]] = entry
    return {
        segment_id: entry
        for segment_id, entry in entries.items()
        if os.path.exists(audio_path(output_dir, entry["subset"], segment_id))
    }


def _write_journal(output_dir: str, entries: dict[str, dict[str, Any]]) -> None:
    """Writes the journal anew, without what `_read_journal` left out."""
    with open_output(os.path.join(output_dir, _JOURNAL_NAME)) as file:
        file.writelines(json.dumps(e) + "\n" for e in entries.values())


def make_clips(
    output_dir: str,
    params: SoundscapeParams,
    source_settings: SourceSettings,
    num_workers: int,
) -> pd.DataFrame:
    """Makes the clips of a release that are not there yet.

    Args:
      output_dir: Folder of the release.
      params: Settings of the release.
      source_settings: Where sounds come from.
      num_workers: Processes; 1 makes the clips in this one.

    Returns:
      Ground truth (`annotators`) with a further column, subset str; ordered by
      subset, number of the clip and onset.
    """
    for folder in ("train", "eval"):
        os.makedirs(os.path.join(output_dir, "audio", folder), exist_ok=True)
    tasks = list_tasks(params)
    segment_ids = [segment_id_of_clip(params, *task) for task in tasks]
    entries = _read_journal(output_dir)
    _write_journal(output_dir, entries)
    missing = [
        task
        for task, segment_id in zip(tasks, segment_ids, strict=True)
        if segment_id not in entries
    ]
    _make_missing(
        output_dir, missing, entries, params, source_settings, num_workers
    )
    return _ground_truth([entries[segment_id] for segment_id in segment_ids])


def _make_missing(
    output_dir: str,
    tasks: Sequence[_Task],
    entries: dict[str, dict[str, Any]],
    params: SoundscapeParams,
    source_settings: SourceSettings,
    num_workers: int,
) -> None:
    """Makes clips and adds them to the journal and to `entries`."""
    # Starting a process takes as long as making a dozen clips.
    num_workers = max(1, min(num_workers, len(tasks) // 32))
    arguments = (output_dir, params, source_settings)
    made = _make_in_parallel(tasks, arguments, num_workers)
    progress = tqdm.tqdm(
        made, total=len(tasks), desc="soundscapes", unit="clip", disable=None
    )
    path = os.path.join(output_dir, _JOURNAL_NAME)
    with open(path, "a", encoding="utf-8") as journal:
        for entry in progress:
            journal.write(json.dumps(entry) + "\n")
            journal.flush()
            entries[entry["segment_id"]] = entry


def _ground_truth(entries: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Makes the table of all events."""
    rows = [
        (entry["subset"], entry["segment_id"], *event)
        for entry in entries
        for event in entry["events"]
    ]
    columns = [
        "subset",
        "segment_id",
        "mid",
        "onset_seconds",
        "offset_seconds",
        "snr_db",
    ]
    return pd.DataFrame(rows, columns=columns).astype(
        {"subset": "object", "segment_id": "object", "mid": "object"}
    )
