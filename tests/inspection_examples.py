"""Clips of clicks whose times are known, with every kind of label and score."""

import json

import numpy as np
import soundfile

from audioset_strong.evaluation.report import SCHEMA_VERSION
from audioset_strong.inspection.reading import InspectionInputs
from audioset_strong.labels.class_map import hash_of_mids

CLICKS = (0.5, 1.234, 3.0, 4.875, 7.61, 9.25)
CLICK_SECONDS = 0.02
MIDS = ("/m/click", "/m/hum", "/m/no", "/m/low")
NAMES = ("Click", "Hum", "Absent", "Low")
IDS = ("clickclick0_0", "humhumhum00_30000", "quietquiet0_0")
_STRONG = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"


def click_track(seconds=10.0, sample_rate=44100):
    """Silence with a short loud noise at each of `CLICKS`."""
    waveform = np.zeros(round(seconds * sample_rate), np.float32)
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, sample_rate)
    length = round(CLICK_SECONDS * sample_rate)
    for click in CLICKS:
        start = round(click * sample_rate)
        waveform[start : start + length] = noise[:length]
    return waveform


def write_files(folder, attack=""):
    """Writes audio, labels, scores and a report; returns their paths.

    The names of classes, and a clip's, end in the attack.
    """
    audio = folder / "audio"
    audio.mkdir()
    soundfile.write(audio / f"{IDS[0]}.flac", click_track(), 44100)
    hum = 0.1 * np.sin(np.arange(160000) * 0.3).astype(np.float32)
    soundfile.write(audio / f"{IDS[1]}.wav", hum, 16000)
    events = [
        f"{IDS[0]}\t{c:.3f}\t{c + CLICK_SECONDS:.3f}\t{MIDS[0]}" for c in CLICKS
    ]
    events.append(f"{IDS[1]}\t2.000\t5.000\t{MIDS[1]}")
    framed = [f"{_STRONG}\tpresent"]
    for segment_id, mid, present in (
        (IDS[0], MIDS[0], {0, 1, 3, 5, 7, 9}),
        (IDS[0], MIDS[2], set()),
        (IDS[1], MIDS[1], {2, 3, 4}),
    ):
        framed += [
            f"{segment_id}\t{0.96 * i:.3f}\t{0.96 * (i + 1):.3f}\t{mid}\t"
            f"{'' if i in present else 'NOT_'}PRESENT"
            for i in range(10)
        ]
    texts = {
        "strong.tsv": [_STRONG, *events],
        "framed.tsv": framed,
        "weak.csv": [
            "segment_id,labels",
            f'{IDS[0]},"{MIDS[0]},{MIDS[3]}"',
            f"{IDS[1]},{MIDS[1]}",
        ],
        "names.tsv": [
            f"{mid}\t{name}{attack}" for mid, name in zip(MIDS, NAMES)
        ],
        "thresholds.csv": [
            "mid,threshold",
            *(f"{mid},0.25" for mid in MIDS[:3]),
            f"{MIDS[3]},0.75",
        ],
    }
    for name, lines in texts.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    scores = np.full((3, 10, 4), 0.01, np.float32)
    scores[0, [0, 3, 5], 0] = 0.16, 0.81, 0.64
    np.savez(
        folder / "scores.npz",
        segment_ids=np.array(IDS),
        mids=np.array(MIDS),
        scores=scores,
        label_frame_seconds=0.96,
        class_map_hash=hash_of_mids(MIDS),
    )
    write_report(folder / "report")
    return {
        "audio_dir": str(audio),
        "weak_labels": f"{folder}/weak.csv",
        "strong_labels": f"{folder}/strong.tsv",
        "framed_labels": f"{folder}/framed.tsv",
        "display_names": f"{folder}/names.tsv",
        "scores": f"{folder}/scores.npz",
        "thresholds": f"{folder}/thresholds.csv",
        "report_dir": f"{folder}/report",
    }


def write_report(folder, schema_version=SCHEMA_VERSION):
    """Writes the part of a report that has the worst errors."""
    folder.mkdir(exist_ok=True)
    keys = ("kind", "segment_id", "mid", "onset_seconds", "offset_seconds")
    errors = [
        dict(zip((*keys, "score"), row))
        for row in (
            ("false alarm", IDS[0], MIDS[0], 4.8, 5.76, 0.64),
            ("miss", IDS[1], MIDS[1], 2.88, 3.84, 0.01),
            ("miss", "gonegonegon_0", MIDS[1], 0.0, 0.96, 0.01),
        )
    ]
    whole = {**errors[0], "onset_seconds": None, "offset_seconds": None}
    report = {
        "schema_version": schema_version,
        "strong": {"explicit": {"worst_items": errors}},
        "weak": {
            "explicit": {"worst_items": None},
            "implied": {"worst_items": [whole]},
        },
    }
    (folder / "report.json").write_text(json.dumps(report))


def make_inputs(folder, attack="", **changes):
    """Writes all files and returns them as inputs."""
    return InspectionInputs(**{**write_files(folder, attack), **changes})
