r"""Events of models by their training labels, and by the hop they are heard at.

    python -m experiments.event_hops --table1_dir=runs/table1 \
      --output_dir=runs/event_hops

Reads a finished, simulated Table 1, whose clips have known events. Scores the
evaluation clips and the held-out ones with each model at each hop, chooses how
to decode events (a threshold and a median filter) on the held-out clips, and
compares the events of the evaluation clips with the true ones:

    event F1     `sed_eval`, onset and offset within a collar
    collar F1    `sed_scores_eval`, the same, without an interval
    segment F1   `sed_eval`, segments of a second
    PSDS         `sed_scores_eval`, over all thresholds

Intervals and the differences of pairs of models are of a bootstrap over clips.
Writes event_hops.md and event_hops.json; scores are kept in the folder and
taken again. Needs the extra psds, and `pip install sed_eval`.
"""

import collections
import dataclasses
import functools
import importlib
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import tqdm
from absl import flags
from scipy import ndimage

from audioset_strong import run_flags
from audioset_strong.audio.decode import decode_audio
from audioset_strong.evaluation.events import (
    F1Params,
    PsdsParams,
    library_inputs,
    make_event_truth,
    merge_overlapping,
    score_events,
)
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.protocols import PROTOCOLS
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.files import make_output_folder, open_output
from audioset_strong.inference.engines import PatchOutputs
from audioset_strong.inference.event_decoding import decode_events
from audioset_strong.inference.event_files import write_native_scores
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.inference.sound_model import SoundModel
from audioset_strong.labels.ids import group_of_segment
from audioset_strong.labels.label_files import read_strong_labels
from audioset_strong.labels.training_sets import is_held_out
from audioset_strong.params import DecodingParams

_TABLE1_DIR = flags.DEFINE_string(
    "table1_dir", None, "Folder that experiments.table1 wrote.", required=True
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for scores and results.", required=True
)
_HOPS = flags.DEFINE_list("hops", ["0.96", "0.48", "0.24"], "Seconds.")
_NUM_RESAMPLES = flags.DEFINE_integer("num_resamples", 1000, "Of the clips.")
_NUM_PSDS_RESAMPLES = flags.DEFINE_integer(
    "num_psds_resamples", 50, "The same for PSDS, a second each."
)

# Label sets of the same clips, and fine-tuning of Weak-large with each.
_MODELS = (
    "weak-small",
    "diffuse-small",
    "strong-small",
    "weak-large",
    "plus_weak",
    "plus_diffuse",
    "plus_strong",
)
_PAIRS = (
    ("strong-small", "diffuse-small"),
    ("strong-small", "weak-small"),
    ("plus_strong", "plus_diffuse"),
    ("plus_strong", "plus_weak"),
)
# DCASE's task 4.
_COLLAR = {"t_collar": 0.2, "percentage_of_length": 0.2}
_SEGMENT_SECONDS = 1.0
_METRICS = ("event", "segment")
# Without the penalty on the spread of classes, which leaves nothing of models
# that do not know some of them.
_PSDS = PsdsParams()

_Counts = npt.NDArray[np.float64]


# --- Scores -----------------------------------------------------------------


def _load(workdir: str) -> SoundModel:
    """Loads the trained model of a run, without exporting it."""
    import tensorflow as tf

    from audioset_strong.training.workdir import load_classifier

    classifier, params, class_map = load_classifier(workdir)
    function = tf.function(lambda patches: classifier(patches, training=False))

    def run(patches: np.ndarray) -> PatchOutputs:
        outputs = function(tf.constant(patches))
        scores = tf.sigmoid(outputs["logits"])
        return PatchOutputs(scores.numpy(), outputs["embeddings"].numpy())

    metadata = ModelMetadata(workdir, class_map, params.features)
    return SoundModel(metadata, run)


def _score_clips(
    clips: Sequence[str], audio_dir: str, name: str, output_dir: str
) -> None:
    """Scores clips with a model at each hop, unless that has been done."""
    paths = {
        hop: os.path.join(output_dir, f"{name}-{hop}.npz")
        for hop in _HOPS.value
    }
    missing = [hop for hop, path in paths.items() if not os.path.exists(path)]
    if not missing:
        return
    model = _load(os.path.join(_TABLE1_DIR.value, "models", name))
    rate = model.metadata.features.sample_rate
    scores: dict[str, list[npt.NDArray[np.float32]]]
    scores = {hop: [] for hop in missing}
    seconds = []
    for clip in tqdm.tqdm(clips, desc=name):
        path = os.path.join(audio_dir, f"{clip}.flac")
        waveform = decode_audio(path, rate).waveform
        seconds.append(len(waveform) / rate)
        for hop in missing:
            of_clip = model.score(waveform, hop_seconds=float(hop))
            scores[hop].append(of_clip.scores)
    for hop in missing:
        write_native_scores(
            paths[hop],
            model.metadata.class_map,
            float(hop),
            clips,
            [len(part) for part in scores[hop]],
            seconds,
            scores[hop],
        )


# --- Events -----------------------------------------------------------------


class _Setting(NamedTuple):
    """How events are decoded: a threshold, and frames of a median filter."""

    threshold: float
    median_frames: int

    def __str__(self) -> str:
        return f"{self.threshold:g}, {self.median_frames}"


_SETTINGS = list(
    itertools.starmap(
        _Setting,
        itertools.product(
            (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6), (1, 3, 5, 7)
        ),
    )
)


def _event(onset: float, offset: float, mid: str) -> dict[str, Any]:
    return {"onset": onset, "offset": offset, "event_label": mid}


def _true_events(strong: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Returns the events of each clip as `sed_eval` takes them."""
    events = collections.defaultdict(list)
    for clip, *event in merge_overlapping(strong).itertuples(index=False):
        events[clip].append(_event(*event))
    return events


def _found_events(
    scores: NativeScores, clip: int, columns: Sequence[int], setting: _Setting
) -> list[dict[str, Any]]:
    hop = scores.frame_seconds
    found = decode_events(
        scores.of_clip(clip),
        setting.threshold,
        hop,
        float(scores.audio_seconds[clip]),
        DecodingParams(median_filter_seconds=hop * setting.median_frames),
        columns,
    )
    return [
        _event(
            e.onset_seconds, e.offset_seconds, str(scores.mids[e.class_index])
        )
        for e in found
    ]


def _count(
    scores: NativeScores,
    truth: Mapping[str, list[dict[str, Any]]],
    mids: Sequence[str],
    setting: _Setting,
    metric: str,
) -> _Counts:
    """Counts with `sed_eval`.

    Returns:
      float64 `[num_clips, num_classes, 3]`: events or segments that are true
      and found, that are true, and that are found.
    """
    sed_eval = importlib.import_module("sed_eval")  # has no types
    column_of = {mid: column for column, mid in enumerate(scores.mids.tolist())}
    columns = [column_of[mid] for mid in mids]
    index_of = {mid: index for index, mid in enumerate(mids)}
    counts = np.zeros((scores.segment_ids.size, len(mids), 3))
    for clip, segment_id in enumerate(scores.segment_ids.tolist()):
        found = _found_events(scores, clip, columns, setting)
        true = truth.get(segment_id, [])
        # Classes without either count nothing, and take time.
        labels = sorted({event["event_label"] for event in (*true, *found)})
        if not labels:
            continue
        if metric == "event":
            metrics = sed_eval.sound_event.EventBasedMetrics(labels, **_COLLAR)
        else:
            metrics = sed_eval.sound_event.SegmentBasedMetrics(
                labels, time_resolution=_SEGMENT_SECONDS
            )
        metrics.evaluate(true, found)
        for label in labels:
            of_class = metrics.class_wise[label]
            counts[clip, index_of[label]] = [
                of_class[key] for key in ("Ntp", "Nref", "Nsys")
            ]
    return counts


def _f1(counts: _Counts, weights: _Counts) -> _Counts:
    """Returns F1 of all classes together.

    Args:
      counts: `[num_clips, num_classes, 3]`.
      weights: How often each clip counts, `[num_resamples, num_clips]`.

    Returns:
      float64 `[num_resamples]`.
    """
    sums = weights @ counts.sum(axis=1)  # [num_resamples, 3]
    f1: _Counts = 2 * sums[:, 0] / np.maximum(sums[:, 1] + sums[:, 2], 1)
    return f1


# --- PSDS -------------------------------------------------------------------


def _filtered(scores: NativeScores, frames: int) -> NativeScores:
    """Applies a median filter to each clip."""
    parts = [
        ndimage.median_filter(scores.of_clip(clip), size=(frames, 1))
        for clip in range(scores.segment_ids.size)
    ]
    return dataclasses.replace(scores, scores=np.concatenate(parts))


def _psds(
    scores: NativeScores, strong: pd.DataFrame, weights: _Counts
) -> _Counts:
    """Returns the PSDS of all clips, then of each resample."""
    from sed_scores_eval import intersection_based

    ids = scores.segment_ids.tolist()
    truth = make_event_truth(strong, ids, scores.mids.tolist())
    tables, events, seconds = library_inputs(
        scores, truth, dict.fromkeys(truth.mids, 1)
    )
    arguments = _PSDS.arguments()
    deltas = intersection_based.intermediate_statistics_deltas(
        tables,
        events,
        **{key: arguments[key] for key in arguments if "threshold" in key},
    )
    value, *_ = intersection_based.psds(
        None, events, seconds, deltas=deltas, **arguments
    )
    values = [value]
    for of_resample in tqdm.tqdm(weights.astype(int), desc="PSDS"):
        # A clip that was drawn twice is two clips of the same events.
        drawn = [
            (f"{clip} {copy}", clip)
            for clip, times in zip(ids, of_resample.tolist(), strict=True)
            if clip in events
            for copy in range(times)
        ]
        value, *_ = intersection_based.psds(
            None,
            {name: events[clip] for name, clip in drawn},
            {name: seconds[clip] for name, clip in drawn},
            deltas={name: deltas[clip] for name, clip in drawn},
            **arguments,
        )
        values.append(value)
    return np.array(values)


def _collar_f1(
    scores: NativeScores, strong: pd.DataFrame, threshold: float
) -> float:
    """Returns the collar F1 of all classes together."""
    truth = make_event_truth(
        strong, scores.segment_ids.tolist(), scores.mids.tolist()
    )
    collar = PROTOCOLS["dcase_collar_f1"].metrics["f1"]
    assert isinstance(collar, F1Params)
    metric = dataclasses.replace(
        collar,
        threshold=threshold,
        counts_threshold=True,
        average="all together",
    )
    values, _ = score_events(
        scores, truth, {"f1": metric}, dict.fromkeys(truth.mids, 1)
    )
    return values["f1"]


# --- Results ----------------------------------------------------------------


class _Interval(NamedTuple):
    """A value and the 2.5 % and 97.5 % quantiles of its resamples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def _interval(values: _Counts) -> _Interval:
    """Makes an interval of the value of all clips and those of resamples."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return _Interval(float(values[0]), float(low), float(high))


def _resample(num_clips: int, num_resamples: int) -> _Counts:
    """Draws how often each clip counts; first all of them once."""
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(
        num_clips, [1 / num_clips] * num_clips, num_resamples
    )
    return np.concatenate([np.ones((1, num_clips)), drawn])


def _read(name: str, hop: str, subset: str) -> NativeScores:
    return read_scores(
        os.path.join(_OUTPUT_DIR.value, subset, f"{name}-{hop}.npz")
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in lines)


def main(argv: Sequence[str]) -> None:
    """Scores, chooses settings, counts and writes the tables."""
    run_flags.refuse_arguments(argv)
    release = os.path.join(_TABLE1_DIR.value, "release")
    labels = os.path.join(release, "labels")
    truth = read_strong_labels(os.path.join(labels, "ground_truth.tsv"))
    train = read_strong_labels(
        os.path.join(labels, "audioset_train_strong.tsv")
    )
    manifest = os.path.join(
        _TABLE1_DIR.value, "records", "train", "manifest.json"
    )
    with open(manifest, encoding="utf-8") as file:
        records = json.load(file)["records"]
    clips = {
        "train": sorted(
            clip
            for clip in train["segment_id"].unique()
            if is_held_out(group_of_segment(clip), records["held_out_fraction"])
        ),
        "eval": sorted(
            os.path.splitext(name)[0]
            for name in os.listdir(os.path.join(release, "audio", "eval"))
        ),
    }
    for subset, of_subset in clips.items():
        folder = os.path.join(_OUTPUT_DIR.value, subset)
        make_output_folder(folder)
        for name in _MODELS:
            audio_dir = os.path.join(release, "audio", subset)
            _score_clips(of_subset, audio_dir, name, folder)

    truth = truth[truth["segment_id"].isin(clips["eval"])]
    mids = sorted(truth["mid"].unique())
    train = train[
        train["segment_id"].isin(clips["train"]) & train["mid"].isin(mids)
    ]
    true_of = {"train": _true_events(train), "eval": _true_events(truth)}
    weights = _resample(len(clips["eval"]), _NUM_RESAMPLES.value)
    f1: dict[tuple[str, str, str], _Counts] = {}
    chosen: dict[tuple[str, str, str], _Setting] = {}
    for name, hop in itertools.product(_MODELS, _HOPS.value):
        held_out, scores = _read(name, hop, "train"), _read(name, hop, "eval")
        for metric in _METRICS:
            count = functools.partial(_count, mids=mids, metric=metric)
            once = np.ones((1, len(clips["train"])))
            best = max(
                _SETTINGS,
                key=lambda s: float(
                    _f1(count(held_out, true_of["train"], setting=s), once)[0]
                ),
            )
            counts = count(scores, true_of["eval"], setting=best)
            chosen[name, hop, metric] = best
            f1[name, hop, metric] = _f1(counts, weights)
            print(name, hop, metric, best, _interval(f1[name, hop, metric]))
    collar_f1 = {}
    for name, hop in itertools.product(_MODELS, _HOPS.value):
        setting = chosen[name, hop, "event"]
        scores = _filtered(_read(name, hop, "eval"), setting.median_frames)
        collar_f1[name, hop] = _collar_f1(scores, truth, setting.threshold)
        print(name, hop, f"collar F1 {collar_f1[name, hop]:.3f}")
    finest = min(_HOPS.value, key=float)
    psds_weights = weights[1 : _NUM_PSDS_RESAMPLES.value + 1]
    psds = {}
    for name in _MODELS:
        frames = chosen[name, finest, "event"].median_frames
        scores = _filtered(_read(name, finest, "eval"), frames)
        psds[name] = _psds(scores, truth, psds_weights)
        print(name, "PSDS", _interval(psds[name]))
    _write(clips, len(truth), mids, f1, chosen, collar_f1, psds)


def _write(
    clips: Mapping[str, Sequence[str]],
    num_events: int,
    mids: Sequence[str],
    f1: Mapping[tuple[str, str, str], _Counts],
    chosen: Mapping[tuple[str, str, str], _Setting],
    collar_f1: Mapping[tuple[str, str], float],
    psds: Mapping[str, _Counts],
) -> None:
    """Writes the tables and the numbers, and prints the former."""
    finest = min(_HOPS.value, key=float)
    coarsest = max(_HOPS.value, key=float)
    of_models = [
        [
            name,
            *(_interval(f1[name, finest, metric]) for metric in _METRICS),
            _interval(psds[name]),
            f"{collar_f1[name, finest]:.3f}",
        ]
        for name in _MODELS
    ]
    of_pairs = [
        [
            f"{better} less {other}",
            *(
                _interval(f1[better, finest, m] - f1[other, finest, m])
                for m in _METRICS
            ),
            _interval(psds[better] - psds[other]),
            f"{collar_f1[better, finest] - collar_f1[other, finest]:.3f}",
        ]
        for better, other in _PAIRS
    ]
    of_hops = [
        [
            name,
            *(_interval(f1[name, hop, "event"]) for hop in _HOPS.value),
            _interval(f1[name, finest, "event"] - f1[name, coarsest, "event"]),
            *(chosen[name, hop, "event"] for hop in _HOPS.value),
        ]
        for name in _MODELS
    ]
    hops = [f"{hop} s" for hop in _HOPS.value]
    header = ["", f"event F1 at {finest} s", f"segment F1 at {finest} s"]
    header += [f"PSDS at {finest} s", f"collar F1 at {finest} s"]
    text = (
        f"{len(clips['eval'])} clips with {num_events} events of {len(mids)} "
        f"classes; {len(clips['train'])} held-out clips chose the settings.\n\n"
        f"{_table(header, [*of_models, *of_pairs])}\n"
        "Event F1 by hop, and threshold and frames of the median filter:\n\n"
        + _table(
            [
                "",
                *hops,
                f"{finest} s less {coarsest} s",
                *(f"setting at {hop}" for hop in hops),
            ],
            of_hops,
        )
    )
    with open_output(os.path.join(_OUTPUT_DIR.value, "event_hops.md")) as file:
        file.write(text)
    numbers = {
        "f1": [
            {
                "model": name,
                "hop_seconds": float(hop),
                "metric": metric,
                **_interval(values)._asdict(),
                **chosen[name, hop, metric]._asdict(),
                "collar_f1": collar_f1[name, hop],
            }
            for (name, hop, metric), values in f1.items()
        ],
        "psds": [
            {
                "model": name,
                "hop_seconds": float(finest),
                **_interval(values)._asdict(),
            }
            for name, values in psds.items()
        ],
        "collar": _COLLAR,
        "segment_seconds": _SEGMENT_SECONDS,
        "psds_params": dataclasses.asdict(_PSDS),
        "num_resamples": [_NUM_RESAMPLES.value, _NUM_PSDS_RESAMPLES.value],
    }
    path = os.path.join(_OUTPUT_DIR.value, "event_hops.json")
    with open_output(path) as file:
        file.write(json.dumps(numbers, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    run_flags.run(main)
