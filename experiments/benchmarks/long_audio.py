r"""Memory and speed of scoring recordings from a minute to six hours.

    python -m experiments.benchmarks.long_audio --work_dir=runs/long \
      --minutes=1,60,360

Writes FLAC of tones and soft noise, 44.1 kHz, stereo, piece by piece, scores
each with an untrained full ResNet-50 in a process of its own, deletes it, and
prints a Markdown table: seconds, times real time, peak memory. With
--compare_minutes a recording of that length is also scored from its whole
waveform in memory, patches in one call, and both must be equal to the bit.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
import soundfile
from absl import flags

from audioset_strong import run_flags
from audioset_strong.params import (
    FeatureParams,
    LabelFrameParams,
    ModelParams,
    TrainParams,
)

_WORK_DIR = flags.DEFINE_string("work_dir", None, "For files.", required=True)
_MINUTES = flags.DEFINE_list("minutes", ["1", "60", "360"], "Lengths.")
_COMPARE = flags.DEFINE_float("compare_minutes", 0.0, "0 for no comparison.")
_WIDTH = flags.DEFINE_float("width", 1.0, "Of the network.")
_STRIDE = flags.DEFINE_integer("stem_stride", 2, "Of the network.")
_HOP = flags.DEFINE_float("hop_seconds", 0.96, "Of the scores.")
_MODEL = flags.DEFINE_string(
    "model", None, "An export; None for an untrained network."
)

_RATE = 44100
_NUM_CLASSES = 456

_SCORE = """
import hashlib, sys
from audioset_strong.inference.score_stream import stream_scores
from audioset_strong.inference.sound_model import load_model
stream = stream_scores(load_model(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
digest = hashlib.sha256()
for outputs in stream:
    digest.update(outputs.scores.tobytes() + outputs.embeddings.tobytes())
with open("/proc/self/status") as status:
    (peak_kb,) = [li.split()[1] for li in status if li.startswith("VmHWM")]
print(stream.num_frames, digest.hexdigest(), peak_kb)
"""


def _write_recording(path: str, minutes: float) -> None:
    """Writes chords that change each second; nothing repeats."""
    rng = np.random.default_rng(0)
    seconds = np.arange(_RATE) / _RATE
    with soundfile.SoundFile(path, "w", _RATE, 2, "PCM_16") as sound:
        for _ in range(round(minutes * 60)):
            hertz = rng.uniform(60, 6000, (2, 1))
            tones = np.sin(2 * np.pi * hertz * seconds)  # [2, _RATE]
            tones *= rng.uniform(0.01, 0.4, (2, 1))
            soft = 2e-4 * rng.standard_normal(tones.shape)
            sound.write((tones + soft).T)  # [_RATE, 2]


def _export_untrained(folder: str) -> str:
    """Exports a network of random weights; returns where."""
    from audioset_strong.export.formats import export_model
    from audioset_strong.labels.class_map import ClassMap
    from audioset_strong.models.frame_classifier import build_frame_classifier
    from audioset_strong.training import workdir as workdirs

    output_dir = os.path.join(folder, "model")
    if os.path.exists(output_dir):
        return output_dir
    names = tuple(f"class{number}" for number in range(_NUM_CLASSES))
    class_map = ClassMap(names, names)
    params = workdirs.RunParams(
        FeatureParams(),
        LabelFrameParams(),
        ModelParams(width=_WIDTH.value, stem_stride=_STRIDE.value),
        TrainParams(),
    )
    workdir = os.path.join(folder, "run")
    with workdirs.begin(workdir, params, class_map):
        model = build_frame_classifier(
            class_map.num_classes, params.model, params.features
        )
        workdirs.open_checkpoints(
            workdir, "best", workdirs.hash_run(params, class_map), model=model
        ).save(1)
    export_model(workdir, output_dir)
    return output_dir


def _score(model: str, path: str) -> tuple[int, str, float, float]:
    """Scores in a new process.

    Returns:
      Number of frames, hash of all results, seconds, and peak memory in MB. The
      process has no children.
    """
    start = time.perf_counter()
    said = subprocess.run(
        [sys.executable, "-c", _SCORE, model, path, str(_HOP.value)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    num_frames, digest, peak_kb = said.split()
    seconds = time.perf_counter() - start
    return int(num_frames), digest, seconds, int(peak_kb) / 1024


def _compare(model_path: str, path: str, expected: str) -> None:
    """Scores again, all at once, and compares to the bit."""
    import hashlib

    from audioset_strong.audio.decode import decode_audio
    from audioset_strong.inference.patch_stream import check_hop, stream_patches
    from audioset_strong.inference.sound_model import load_model

    model = load_model(model_path)
    features = model.metadata.features
    waveform = decode_audio(path, features.sample_rate).waveform
    hop = check_hop(_HOP.value, features)
    (patches,) = stream_patches([waveform], features, hop, 1 << 40)
    outputs = model.score_patches(patches)
    # In the order of the blocks of the stream.
    digest = hashlib.sha256()
    for start in range(0, len(patches), 32):
        for values in outputs:
            digest.update(values[start : start + 32].tobytes())
    is_same = digest.hexdigest() == expected
    print(f"\n{len(patches):,} patches at once: equal to the bit: {is_same}")


def main(argv: Sequence[str]) -> None:
    """Measures each length."""
    del argv
    os.makedirs(_WORK_DIR.value, exist_ok=True)
    model = _MODEL.value or _export_untrained(_WORK_DIR.value)
    print("| audio | frames | seconds | times real time | peak memory |")
    print("|---|---|---|---|---|")
    path = os.path.join(_WORK_DIR.value, "recording.flac")
    for minutes in map(float, _MINUTES.value):
        _write_recording(path, minutes)
        num_frames, result, seconds, peak_mb = _score(model, path)
        print(
            f"| {minutes:g} min | {num_frames:,} | {seconds:,.1f} | "
            f"{minutes * 60 / seconds:,.1f} | {peak_mb:,.0f} MB |",
            flush=True,
        )
        if minutes == _COMPARE.value:
            _compare(model, path, result)
        os.remove(path)


if __name__ == "__main__":
    run_flags.run(main)
