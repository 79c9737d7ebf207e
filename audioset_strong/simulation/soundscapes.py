"""Settings of the simulated release.

Mixes ten-second clips from isolated sounds over a background.

Everything about a clip is a pure function of (params, source, subset, number),
so clips can be made in any order, on any number of cores, and one alone.

Conventions: waveforms are float32 `[num_samples]`, mono, 16 kHz, in [-1, 1];
times are in seconds from the start of the clip, rounded to milliseconds. A
subset is "weak" (training, weak labels only), "strong" (training, weak and
strong labels) or "eval".

Makes the audio files of a release, on all cores, and can be interrupted.

A finished clip is a FLAC file and a line of `clips.jsonl`, which holds its
events. Files are written under a temporary name and renamed, so that what is
there is whole; clips that are there are not made again.
"""

import base64
import dataclasses
import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import tqdm

from audioset_strong.errors import InputError
from audioset_strong.files import open_output, temporary_path
from audioset_strong.labels.frame_rule import Event
from audioset_strong.labels.ids import make_segment_id, ytid_of_segment
from audioset_strong.labels.training_sets import is_held_out
from audioset_strong.params import LabelFrameParams
from audioset_strong.simulation.sounds import (
    SAMPLE_RATE,
    colored_noise,
    tone,
    wander,
)
from audioset_strong.simulation.sources import (
    ActivityParams,
    SoundSource,
    SourceSettings,
    frame_levels_db,
    make_source,
)

# --- soundscape params -----------------------------------------------------


@dataclasses.dataclass(frozen=True)
class SoundscapeParams:
    """The simulated release: soundscapes and their annotators.

    Attributes:
      num_weak_clips: Training clips with weak labels only.
      num_strong_clips: Training clips with weak and strong labels.
      num_eval_clips: Evaluation clips, with both.
      seed: Of everything.
      min_events: Fewest events of a clip.
      max_events: Most events of a clip.
      min_event_seconds: Shortest event.
      max_event_seconds: Longest event.
      min_snr_db: Quietest event over the background, by RMS.
      max_snr_db: Loudest event over the background.
      class_imbalance: Exponent of Zipf's law for the class frequencies: 0 is a
        fixed balance, which would hide the problem that the paper solves.
      weak_recall: Chance that weak annotators are asked about a class that is
        in the clip, on average; the others become missing positives. Higher
        for long and loud sounds.
      weak_parent_share: Chance that they are asked about the parent of the
        class instead.
      strong_jitter_seconds: Standard deviation of marked onsets and offsets.
      num_explicit_negatives: Clips of the evaluation set that annotators mark
        as without a class, per class.
      held_out_fraction: Share of the clips with strong labels that training
        will hold out; their sounds come from the validation split.
    """

    num_weak_clips: int = 4000
    num_strong_clips: int = 400
    num_eval_clips: int = 400
    seed: int = 0
    min_events: int = 1
    max_events: int = 5
    min_event_seconds: float = 0.2
    max_event_seconds: float = 4.0
    min_snr_db: float = -5.0
    max_snr_db: float = 20.0
    class_imbalance: float = 0.7
    weak_recall: float = 0.6
    weak_parent_share: float = 0.25
    strong_jitter_seconds: float = 0.05
    num_explicit_negatives: int = 15
    held_out_fraction: float = 0.05


# --- soundscapes -----------------------------------------------------------


SUBSETS = ("weak", "strong", "eval")
CLIP_SECONDS = LabelFrameParams().clip_seconds
_CLIP_SAMPLES = round(CLIP_SECONDS * SAMPLE_RATE)
# Sounds that are further below the background than this are not heard, so
# nobody would mark them. Less than the masking threshold of noise by a tone.
_INAUDIBLE_DB = -10.0
# Levels of the finished clip's highest sample; AudioSet's vary as much.
_PEAK_RANGE_DB = (-20.0, -0.5)
# Starts are whole seconds, as nearly all of AudioSet's are.
_MAX_START_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class Soundscape:
    """One finished clip and the truth about it.

    Attributes:
      segment_id: Name of the clip.
      waveform: float32 `[num_samples]`.
      events: What is heard and when, by onset.
      snr_db: Level of each event over the background, same order.
    """

    segment_id: str
    waveform: np.ndarray
    events: tuple[Event, ...]
    snr_db: tuple[float, ...]


def check_soundscape_params(params: SoundscapeParams) -> None:
    """Refuses settings that make no sense.

    Raises:
      InputError: Names the setting, its value and what was expected.
    """
    longest = params.max_event_seconds
    expectations = {
        "num_weak_clips": params.num_weak_clips >= 0,
        "num_strong_clips": params.num_strong_clips >= 1,
        "num_eval_clips": params.num_eval_clips >= 1,
        "seed": params.seed >= 0,
        "min_events": 1 <= params.min_events <= params.max_events,
        "min_event_seconds": 0 < params.min_event_seconds <= longest,
        "max_event_seconds": longest < CLIP_SECONDS,
        "min_snr_db": params.min_snr_db <= params.max_snr_db,
        "class_imbalance": params.class_imbalance >= 0,
        "weak_recall": 0 < params.weak_recall <= 1,
        "weak_parent_share": 0 <= params.weak_parent_share <= 1,
        "strong_jitter_seconds": params.strong_jitter_seconds >= 0,
        "num_explicit_negatives": params.num_explicit_negatives >= 0,
        "held_out_fraction": 0 <= params.held_out_fraction < 1,
    }
    for name, is_met in expectations.items():
        if not is_met:
            raise InputError(
                f"{name}={getattr(params, name)} is out of range or does not "
                f"fit the other settings; see SoundscapeParams."
            )


def clip_rng(
    params: SoundscapeParams, purpose: str, key: str
) -> np.random.Generator:
    """Makes the generator of one clip and purpose, independent of others."""
    digest = hashlib.sha256(f"{params.seed}\n{purpose}\n{key}".encode())
    return np.random.default_rng(int.from_bytes(digest.digest()[:16], "big"))


def segment_id_of_clip(
    params: SoundscapeParams, subset: str, number: int
) -> str:
    """Returns the name of a clip: its ytid looks like a real one.

    Args:
      params: Gives the seed.
      subset: One of `SUBSETS`.
      number: Number of the clip in its subset, from 0.

    Returns:
      `<ytid>_<start ms>`; the ytid has 11 characters of the YouTube alphabet,
      so some begin with '-' and some hold '_'.
    """
    digest = hashlib.sha256(f"{params.seed}\n{subset}\n{number}".encode())
    # 66 of 256 bits: no two of a billion clips are likely to be equal.
    ytid = base64.urlsafe_b64encode(digest.digest()).decode()[:11]
    start = int.from_bytes(digest.digest()[-4:], "big") % _MAX_START_SECONDS
    return make_segment_id(ytid, start)


def split_of_clip(params: SoundscapeParams, subset: str, number: int) -> str:
    """Returns the split that the sounds of a clip come from."""
    if subset == "eval":
        return "eval"
    ytid = ytid_of_segment(segment_id_of_clip(params, subset, number))
    is_validation = subset == "strong" and is_held_out(
        ytid, params.held_out_fraction
    )
    return "validation" if is_validation else "train"


def class_probabilities(
    params: SoundscapeParams, num_classes: int
) -> np.ndarray:
    """Draws how common each class is, by Zipf's law in an order by chance.

    Returns:
      float64 `[num_classes]`, sums to 1.
    """
    ranks = np.arange(1, num_classes + 1)
    weights = ranks ** -float(params.class_imbalance)
    order = clip_rng(params, "class order", "").permutation(num_classes)
    return weights[order] / weights.sum()


def make_background(rng: np.random.Generator) -> np.ndarray:
    """Makes ambience: coloured noise that swells slowly, sometimes with a hum.

    Returns:
      float64 `[num_samples]`, RMS 1.
    """
    noise = colored_noise(rng, _CLIP_SAMPLES, rng.uniform(0.6, 2.0))
    noise *= 10 ** (rng.uniform(0.0, 0.2) * wander(rng, _CLIP_SAMPLES, 0.5))
    if rng.uniform() < 0.3:
        mains_hz = np.full(_CLIP_SAMPLES, rng.choice([50.0, 60.0]))
        harmonics = rng.uniform(0.0, 1.0, 8)
        noise += rng.uniform(0.05, 0.4) * tone(mains_hz, harmonics)
    return noise / np.sqrt(np.mean(noise**2))


def _audible_extent(sound: np.ndarray) -> tuple[float, float] | None:
    """Finds the part of a sound that is heard over a background of RMS 1.

    Returns:
      (onset, offset) in seconds; None if nothing of it is heard.
    """
    heard = np.flatnonzero(frame_levels_db(sound) > _INAUDIBLE_DB)
    if not len(heard):
        return None
    hop = ActivityParams().hop_seconds
    end = min((heard[-1] + 1) * hop, len(sound) / SAMPLE_RATE)
    return heard[0] * hop, end


def _add_event(
    mixture: np.ndarray,
    params: SoundscapeParams,
    source: SoundSource,
    split: str,
    rng: np.random.Generator,
) -> tuple[Event, float]:
    """Mixes one sound into a clip.

    Args:
      mixture: float64 `[num_samples]`, over a background of RMS 1; added to.
      params: Ranges of lengths and levels.
      source: Gives the sound.
      split: Which of its sounds.
      rng: Source of chance.

    Returns:
      The event and its level over the background in dB.
    """
    probabilities = class_probabilities(params, len(source.classes))
    mid = source.classes[rng.choice(len(source.classes), p=probabilities)].mid
    sound = source.draw(mid, split, rng, params.max_event_seconds)
    snr_db = rng.uniform(params.min_snr_db, params.max_snr_db)
    rms = np.sqrt(np.mean(np.square(sound, dtype=np.float64)))
    sound = sound * (10 ** (snr_db / 20) / (rms + 1e-9))
    start = int(rng.integers(0, _CLIP_SAMPLES - len(sound) + 1))
    mixture[start : start + len(sound)] += sound
    # Something is heard of every sound that is less than 10 dB below.
    onset, offset = _audible_extent(sound) or (0.0, len(sound) / SAMPLE_RATE)
    onset += start / SAMPLE_RATE
    offset += start / SAMPLE_RATE
    offset = max(offset, onset + params.min_event_seconds)
    onset -= max(0.0, offset - CLIP_SECONDS)
    offset = min(offset, CLIP_SECONDS)
    return Event(mid, round(onset, 3), round(offset, 3)), round(snr_db, 2)


def make_soundscape(
    params: SoundscapeParams, source: SoundSource, subset: str, number: int
) -> Soundscape:
    """Makes one clip.

    Args:
      params: Settings of the release.
      source: Gives the sounds.
      subset: One of `SUBSETS`.
      number: Number of the clip in its subset, from 0.

    Returns:
      The clip; the same one for the same arguments, always.
    """
    split = split_of_clip(params, subset, number)
    rng = clip_rng(params, "mix", f"{subset} {number}")
    mixture = make_background(rng)
    num_events = int(rng.integers(params.min_events, params.max_events + 1))
    made = [
        _add_event(mixture, params, source, split, rng)
        for _ in range(num_events)
    ]
    made.sort(key=lambda event_and_snr: event_and_snr[0].onset_seconds)
    peak = 10 ** (rng.uniform(*_PEAK_RANGE_DB) / 20)
    waveform = mixture * (peak / np.abs(mixture).max())
    return Soundscape(
        segment_id=segment_id_of_clip(params, subset, number),
        waveform=waveform.astype(np.float32),
        events=tuple(event for event, _ in made),
        snr_db=tuple(snr_db for _, snr_db in made),
    )


# --- clip files ------------------------------------------------------------


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
