"""Makes a simulated release: a small AudioSet without AudioSet's audio.

  python -m audioset_strong.make_soundscapes --output_dir=/tmp/soundscapes \
      --num_weak_clips=1000 --num_strong_clips=250 --num_eval_clips=250

Mixes ten-second clips from synthetic sounds, or from the recordings of ESC-50
(--sources=esc50 --esc50_dir=...), and lets simulated annotators label them.
--preset=audioset makes events as many and as long, and weak labels as
incomplete, as AudioSet's are; the default has short single events.

Writes audio/{train,eval}/<segment_id>.flac, labels/ with the official file
names and formats, and soundscapes.json. Run the same command again to finish a
release that was interrupted.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.simulation.release import make_release
from audioset_strong.simulation.soundscapes import (
    PRESETS,
    SoundscapeParams,
)
from audioset_strong.simulation.sources import SourceSettings

_DEFAULTS = SoundscapeParams()

_SOURCES = flags.DEFINE_enum(
    "sources",
    "synthetic",
    ["synthetic", "esc50"],
    "Where the isolated sounds come from.",
)
_ESC50_DIR = flags.DEFINE_string(
    "esc50_dir",
    "",
    "Folder of ESC-50 with 'audio' and 'meta/esc50.csv'; for --sources=esc50.",
)
_PRESET = flags.DEFINE_enum(
    "preset",
    "short",
    list(PRESETS),
    "Kind of release: 'short' single events, or 'audioset', as AudioSet is.",
)
# Of the preset, where they are not given.
_OF_PRESET = {
    name: flags.DEFINE_float(name, None, f"{text} Instead of the preset's.")
    for name, text in (
        ("class_imbalance", "Exponent of Zipf's law for class frequencies."),
        ("min_snr_db", "Quietest event."),
        ("max_snr_db", "Loudest event."),
        ("weak_recall", "Chance that weak annotators are asked of a class."),
        ("weak_parent_share", "Chance that they are asked of its parent."),
        (
            "strong_recordings_share",
            "Share of training recordings for strong clips alone.",
        ),
    )
}
_NUM_WEAK_CLIPS = flags.DEFINE_integer(
    "num_weak_clips",
    _DEFAULTS.num_weak_clips,
    "Training clips with weak labels only.",
    lower_bound=0,
)
_NUM_STRONG_CLIPS = flags.DEFINE_integer(
    "num_strong_clips",
    _DEFAULTS.num_strong_clips,
    "Training clips with weak and strong labels.",
    lower_bound=1,
)
_NUM_EVAL_CLIPS = flags.DEFINE_integer(
    "num_eval_clips",
    _DEFAULTS.num_eval_clips,
    "Evaluation clips.",
    lower_bound=1,
)
_SEED = flags.DEFINE_integer(
    "seed", _DEFAULTS.seed, "Seed of all random draws.", lower_bound=0
)
_CLASS_SEED = flags.DEFINE_integer(
    "class_seed",
    None,
    "Seed of how common classes are and what weak annotators make of each; "
    "--seed if not given.",
    lower_bound=0,
)
_HELD_OUT_FRACTION = flags.DEFINE_float(
    "held_out_fraction",
    _DEFAULTS.held_out_fraction,
    "Share of the strong clips that training will hold out; their sounds come "
    "from recordings of their own.",
    lower_bound=0.0,
    upper_bound=0.99,
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where to write.", required=True
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", None, "Processes; all cores by default.", lower_bound=1
)


def main(argv: Sequence[str]) -> None:
    """Makes the release that the flags describe."""
    run_flags.refuse_arguments(argv)
    given: dict[str, Any] = {
        name: flag.value
        for name, flag in _OF_PRESET.items()
        if flag.value is not None
    }
    params = dataclasses.replace(
        PRESETS[_PRESET.value],
        num_weak_clips=_NUM_WEAK_CLIPS.value,
        num_strong_clips=_NUM_STRONG_CLIPS.value,
        num_eval_clips=_NUM_EVAL_CLIPS.value,
        seed=_SEED.value,
        class_seed=_CLASS_SEED.value,
        held_out_fraction=_HELD_OUT_FRACTION.value,
        **given,
    )
    source_settings = SourceSettings(_SOURCES.value, _ESC50_DIR.value)
    settings = make_release(
        _OUTPUT_DIR.value, params, source_settings, _NUM_WORKERS.value
    )
    for subset, counts in settings["event_counts"].items():
        logging.info(
            "%s: %d events of %d classes",
            subset,
            sum(counts.values()),
            sum(count > 0 for count in counts.values()),
        )
    logging.info("Wrote the release to %s", _OUTPUT_DIR.value)


if __name__ == "__main__":
    run_flags.run(main)
