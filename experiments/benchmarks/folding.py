r"""How much faster an export is whose batch norm is folded.

    python -m experiments.benchmarks.folding --width=1 --stem_stride=1

Saves an untrained network with 527 classes as a SavedModel as it is and folded,
and asks both for the scores of the same patches, in turns, in one process and
on one thread. Prints CPU seconds, which other processes disturb less than wall
time, as patches per second, and the ratio with its quartiles.
"""

import json
import os
import tempfile
import time
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from audioset_strong import run_flags
from audioset_strong.export.waveform_model import WaveformClassifier
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.labels.class_map import ClassMap, write_class_map
from audioset_strong.models.folding import fold_batch_norm
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.params import FeatureParams, ModelParams

_WIDTH = flags.DEFINE_float("width", 1.0, "Factor on the filters.")
_STEM_STRIDE = flags.DEFINE_integer("stem_stride", 1, "1 in the paper.")
_NUM_PATCHES = flags.DEFINE_integer("num_patches", 32, "Patches at a time.")
_NUM_ROUNDS = flags.DEFINE_integer("num_rounds", 15, "Turns of each.")
_NUM_CLASSES = 527


def main(argv: Sequence[str]) -> None:
    """Times both in turns and prints one line of JSON."""
    run_flags.refuse_arguments(argv)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    params = ModelParams(width=_WIDTH.value, stem_stride=_STEM_STRIDE.value)
    network = build_frame_classifier(_NUM_CLASSES, params, FeatureParams())
    mids = tuple(f"/m/{index}" for index in range(_NUM_CLASSES))
    class_map = ClassMap(mids, mids)
    exports = []
    with tempfile.TemporaryDirectory() as folder:
        class_map_path = os.path.join(folder, "class_map.csv")
        write_class_map(class_map, class_map_path)
        metadata = ModelMetadata("timed", class_map, FeatureParams())
        for name, of_export in (
            ("unfolded", network),
            ("folded", fold_batch_norm(network)),
        ):
            path = os.path.join(folder, name)
            model = WaveformClassifier(of_export, metadata, class_map_path)
            tf.saved_model.save(model, path)
            exports.append(tf.saved_model.load(path))
    rng = np.random.default_rng(0)
    patches = tf.constant(
        rng.normal(-1, 1.5, (_NUM_PATCHES.value, 96, 64)), tf.float32
    )
    for export in exports:  # until graphs are optimized
        export.score_patches(patches)
    times = []
    for _ in range(_NUM_ROUNDS.value):
        row = []
        for export in exports:
            started = time.process_time()
            export.score_patches(patches)[0].numpy()
            row.append(time.process_time() - started)
        times.append(row)
    seconds = np.array(times)  # [num_rounds, 2]
    unfolded, folded = _NUM_PATCHES.value / np.median(seconds, axis=0)
    quartiles = np.percentile(seconds[:, 0] / seconds[:, 1], [25, 50, 75])
    print(
        json.dumps(
            {
                "width": _WIDTH.value,
                "stem_stride": _STEM_STRIDE.value,
                "unfolded_patches_per_cpu_second": round(unfolded, 1),
                "folded_patches_per_cpu_second": round(folded, 1),
                "times_as_fast": quartiles.round(3).tolist(),
            }
        )
    )


if __name__ == "__main__":
    run_flags.run(main)
