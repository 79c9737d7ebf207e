"""YAMNet's tutorials run on an export, with only the handle changed.

Keras 3 takes a SavedModel through `TFSMLayer`. The tutorials themselves are
written for Keras 2: where tensorflow_hub and tf_keras are installed, they run
with `hub.load` and `hub.KerasLayer` too (no part of any extra).
"""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import pytest
import tensorflow as tf
import yamnet_tutorials


@pytest.mark.slow
def test_the_tutorials_run_on_an_export(export_dir, tmp_path):
    model = tf.saved_model.load(export_dir)
    table = yamnet_tutorials.write_sounds(tmp_path)
    yamnet_tutorials.run_first_tutorial(model, table["filename"][0])
    yamnet_tutorials.run_page(model)
    yamnet_tutorials.run_page_in_graph_mode(tf.saved_model.load, export_dir)
    reloaded = yamnet_tutorials.run_transfer_learning(
        model,
        lambda name: keras.layers.TFSMLayer(
            export_dir, call_endpoint="__call__", name=name
        ),
        table,
        str(tmp_path / "saved"),
    )
    # What refuses audio is in what was saved, too.
    with pytest.raises(tf.errors.InvalidArgumentError, match="finite"):
        reloaded.serve(tf.fill([20_000], float("nan")))


@pytest.mark.slow
def test_a_layer_of_the_signature_has_named_outputs(export_dir):
    layer = keras.layers.TFSMLayer(export_dir, call_endpoint="serving_default")
    outputs = layer(tf.zeros([20_000]))
    expected, _, _ = tf.saved_model.load(export_dir)(tf.zeros([20_000]))
    assert outputs.keys() == {"scores", "embeddings", "log_mel"}
    assert (outputs["scores"].numpy() == expected.numpy()).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="finite"):
        layer(tf.fill([20_000], float("nan")))


@pytest.mark.slow
def test_the_tutorials_run_with_tensorflow_hub(export_dir, tmp_path):
    for package in ("tensorflow_hub", "tf_keras"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    script = pathlib.Path(yamnet_tutorials.__file__)
    ran = subprocess.run(
        [sys.executable, str(script), export_dir, str(tmp_path)],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "All tutorials ran." in ran.stdout
