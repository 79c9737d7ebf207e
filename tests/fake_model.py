"""A model without weights, and `predict` run in this process with it."""

import contextlib
import functools
import importlib
import io
import sys
from unittest import mock

import numpy as np
from absl import app, flags
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
    predict, own_flags = _load_predict()
    from audioset_strong import run_flags

    for module in (flags, app):
        monkeypatch.setattr(module, "FLAGS", own_flags)
    loaded = model or make_fake_model()
    monkeypatch.setattr(predict, "load_model", lambda path: loaded)
    stdin = io.TextIOWrapper(io.BytesIO(listed))
    monkeypatch.setattr(sys, "stdin", stdin)
    saved = flagsaver.save_flag_values(own_flags)
    try:
        argv = ["predict", *map(str, arguments)]
        argv = run_flags._parse_flags_and_paths(argv)
        own_flags.mark_as_parsed()
        predict.main(argv)
    except SystemExit as ended:
        return ended.code
    finally:
        flagsaver.restore_flag_values(saved, own_flags)
    return 0


@functools.cache
def _load_predict():
    """Loads the command with flags of its own.

    Other programs whose flags have the same names may be loaded already.
    """
    own_flags = flags.FlagValues()
    names = [name for name in dir(flags) if name.startswith("DEFINE_")]
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(flags, "FLAGS", own_flags))
        for name in names:
            define = functools.partial(
                getattr(flags, name), flag_values=own_flags
            )
            stack.enter_context(mock.patch.object(flags, name, define))
        return importlib.import_module("audioset_strong.predict"), own_flags
