r"""Finds sound events in audio files with an exported model.

    python -m audioset_strong.predict --saved_model=exports/strong \
      --output=events.tsv recording.wav other.flac

Writes a strong label TSV with a further column `score`: one line for each
event, times in seconds from the start of the file. `segment_id` is the name of
the file without its extension. Files that cannot be read are named in the log,
and the exit status is then 1.

An event is a run of label frames whose scores reach a threshold. That is
--threshold for all classes or, with --thresholds, one for each class from a
file that `choose_thresholds` wrote. If the file lacks a class, --threshold must
be given too, and holds for that class.
"""

import os
import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np
import tqdm
from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.audio.decode import AudioError
from audioset_strong.errors import InputError
from audioset_strong.evaluation.thresholds import read_model_thresholds
from audioset_strong.files import open_output
from audioset_strong.inference.event_decoding import ScoredEvent, decode_events
from audioset_strong.inference.sound_model import SoundModel, load_model
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.problems import listed

_SAVED_MODEL = flags.DEFINE_string(
    "saved_model", None, "Folder that export_saved_model wrote.", required=True
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "TSV of events to write.", required=True
)
_THRESHOLD = flags.DEFINE_float(
    "threshold",
    0.5,
    "Score that a label frame must reach to be part of an event.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_THRESHOLDS = flags.DEFINE_string(
    "thresholds",
    None,
    "CSV that choose_thresholds wrote, with a threshold for each class. "
    "--threshold, if given too, is for the classes that it lacks.",
)

_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\tscore\n"


def _find_events(
    path: str, model: SoundModel, thresholds: np.ndarray | float
) -> list[ScoredEvent]:
    """Finds the events of one audio file."""
    scored = model.score(path)
    return decode_events(
        scored.scores,
        thresholds,
        hop_seconds=scored.hop_seconds,
        audio_seconds=scored.audio_seconds,
    )


def _read_thresholds(class_map: ClassMap) -> np.ndarray | float:
    """Returns one threshold, or `[num_classes]` if there is a file."""
    if _THRESHOLDS.value is None:
        return _THRESHOLD.value
    return read_model_thresholds(
        _THRESHOLDS.value,
        class_map.mids,
        _THRESHOLD.value if _THRESHOLD.present else None,
    )


def _format_events(
    segment_id: str, events: Sequence[ScoredEvent], class_map: ClassMap
) -> str:
    """Formats events as lines of the output."""
    return "".join(
        f"{segment_id}\t{event.onset_seconds:.3f}\t{event.offset_seconds:.3f}"
        f"\t{class_map.mids[event.class_index]}\t{event.score:.4f}\n"
        for event in events
    )


def main(argv: Sequence[str]) -> None:
    """Finds and writes the events of every file."""
    paths = argv[1:]
    if not paths:
        raise InputError(
            "Expected audio files after the flags. Received: none."
        )
    segment_ids = [os.path.splitext(os.path.basename(p))[0] for p in paths]
    repeated = [n for n, c in Counter(segment_ids).items() if c > 1]
    if repeated:
        raise InputError(
            f"Expected files with names of their own, found more than one of "
            f"{listed(map(repr, repeated))}: their events could not be told "
            f"apart. Rename them, or run once for each folder."
        )
    model = load_model(_SAVED_MODEL.value)
    class_map = model.metadata.class_map
    thresholds = _read_thresholds(class_map)
    num_events, num_failed = 0, 0
    with open_output(_OUTPUT.value) as output:
        output.write(_HEADER)
        for path, segment_id in zip(
            tqdm.tqdm(paths, unit="file", disable=len(paths) == 1),
            segment_ids,
            strict=True,
        ):
            try:
                events = _find_events(path, model, thresholds)
            except (AudioError, OSError) as error:
                logging.error("Left out: %s", error)
                num_failed += 1
                continue
            output.write(_format_events(segment_id, events, class_map))
            num_events += len(events)
    logging.info(
        "%d events in %d files written to %s.",
        num_events,
        len(paths) - num_failed,
        _OUTPUT.value,
    )
    if num_failed:
        sys.exit(1)


if __name__ == "__main__":
    run_flags.run(main)
