"""A model without weights, and `predict` run in this process with it."""

import io
import sys

import numpy as np
from absl import flags
from absl.testing import flagsaver

from audioset_strong.inference.engines import PatchOutputs
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.inference.sound_model import SoundModel
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.params import FeatureParams

CLASS_MAP = ClassMap(
    ("/m/low", "/m/mid", "/m/high"), ("Low", "Middle, really", "High")
)


def score_bands(patches):
    """Scores the loudness of a third of the bands each, patch by patch."""
    levels = [
        [float(band.mean()) for band in np.array_split(patch, 3, axis=1)]
        for patch in patches
    ]  # [num_patches, 3]
    scores = 1 / (1 + np.exp(-np.array(levels, np.float32) - 3))
    return PatchOutputs(scores, np.repeat(scores, 2, axis=1))


def make_fake_model(engine=score_bands, **metadata):
    """Returns a `SoundModel` of three classes."""
    return SoundModel(
        ModelMetadata("fake", CLASS_MAP, FeatureParams(), **metadata), engine
    )


def run_predict(monkeypatch, arguments, model=None, listed=b""):
    """Runs the command; returns the exit status, 0 if it returns.

    Raises:
      InputError: As the command does.
    """
    from audioset_strong import predict, run_flags

    loaded = model or make_fake_model()
    monkeypatch.setattr(predict, "load_model", lambda path: loaded)
    stdin = io.TextIOWrapper(io.BytesIO(listed))
    monkeypatch.setattr(sys, "stdin", stdin)
    with flagsaver.flagsaver():
        argv = ["predict", *map(str, arguments)]
        argv = run_flags._parse_flags_and_paths(argv)
        flags.FLAGS.mark_as_parsed()
        try:
            predict.main(argv)
        except SystemExit as ended:
            return ended.code
    return 0
