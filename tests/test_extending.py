"""docs/extending.md: its code runs, and does what the page says."""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from audioset_strong.errors import InputError
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.models.networks import NETWORKS
from audioset_strong.params import FeatureParams, ModelParams, TrainParams
from audioset_strong.records.manifest import read_records
from audioset_strong.records.streams import training_stream
from audioset_strong.training import step as steps
from audioset_strong.training.metrics_log import read_metrics
from audioset_strong.training.trainer import train
from audioset_strong.training.workdir import load_classifier

_PAGE = pathlib.Path(__file__).parents[1] / "docs" / "extending.md"
_NETWORK = ModelParams("cnn6", width=1 / 32)
_PARAMS = TrainParams(
    training_set="strong",
    num_steps=2,
    global_batch_size=4,
    shuffle_block_clips=4,
    deterministic=False,
    strategy="cpu",
)


@pytest.fixture(scope="module")
def page(tiny_records_dir, tmp_path_factory):
    """What the code blocks of the page define, run one after the other."""
    text = _PAGE.read_text(encoding="utf-8")
    blocks = re.findall(
        r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE
    )
    folder = tmp_path_factory.mktemp("page")
    (folder / "records").symlink_to(tiny_records_dir)
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(NETWORKS, "cnn6", None)  # gone again at the end
        for block in blocks:
            exec(block, names)
        yield names


def test_the_augmentation(page, tiny_records_dir):
    records = read_records(tiny_records_dir)
    plain, masked = (
        [
            {name: values.numpy() for name, values in batch.items()}
            for batch in training_stream(
                records, _PARAMS, augment=augment
            ).take(3)
        ]
        for augment in (None, page["spec_augment"])
    )
    num_changed = [
        (before["patches"] != after["patches"]).mean()
        for before, after in zip(plain, masked)
    ]
    # Four masks of half their width on average: a quarter and an eighth.
    assert 0.1 < np.mean(num_changed) < 0.6
    for before, after in zip(plain, masked):
        np.testing.assert_array_equal(before["targets"], after["targets"])
    # A resumed run goes on with the same masks.
    [resumed] = training_stream(
        records, _PARAMS, first_step=2, augment=page["spec_augment"]
    ).take(1)
    np.testing.assert_array_equal(resumed["patches"], masked[2]["patches"])


def test_the_networks(page):
    assert NETWORKS["cnn6"] is page["cnn6"]
    params = ModelParams("cnn6")
    model = build_frame_classifier(527, params, FeatureParams())
    # 4.8 M in PANNs, where 0.26 M are of a dense layer between pool and head.
    assert model.count_params() == pytest.approx(4.57e6, rel=0.01)
    assert model.get_layer("block4_pool").output.shape == (None, 6, 4, 512)
    patches = keras.Input((96, 64, 1))
    last_map = page["mobilenet_v3"](patches, ModelParams())
    assert last_map.shape == (None, 3, 2, 576)
    for name in ("cnn6", "mobilenet_v3"):
        with pytest.raises(InputError, match="stem_stride"):
            page[name](patches, ModelParams(stem_stride=2))


def test_the_loss(page):
    # Scores of 0.5 and 0.9 where 1 is right, and a class that is masked.
    logits = tf.constant([[0.0, np.log(9), 5.0]], tf.float32)
    found = page["classification_loss"](
        logits, tf.constant([[1.0, 1.0, 0.0]]), tf.constant([[1.0, 1.0, 0.0]])
    )
    expected = [0.5**2 * np.log(2) - 0.1**2 * np.log(0.9)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_they_train_and_are_loaded(
    page, tiny_records_dir, tmp_path, monkeypatch
):
    losses = page["classification_loss"]
    monkeypatch.setattr(steps, "classification_loss", losses)
    workdir = str(tmp_path / "run")
    train(tiny_records_dir, workdir, _NETWORK, _PARAMS)
    [first, *_] = read_metrics(f"{workdir}/metrics.jsonl")
    # Of 4.6 nats for each target at a score of 0.01, all but 2 % remain; of
    # 0.01 nats for each other class nothing does.
    assert first["loss"] > 3
    _, params, _ = load_classifier(workdir)
    assert params.model == _NETWORK
