"""What YAMNet's three tutorials do with the model, on an export of ours.

    TF_USE_LEGACY_KERAS=1 python tests/yamnet_tutorials.py <export> <folder>

Needs tensorflow_hub and tf_keras, as the tutorials do. The calls are theirs, in
their order, up to the sizes: they write 521 classes and embeddings of 1024. The
folder is for files; it gets sounds of two kinds instead of a download.

Source: tensorflow/docs site/en/hub/tutorials/yamnet.ipynb and
site/en/tutorials/audio/transfer_learning_audio.ipynb, and the model's page,
tensorflow/tfhub.dev assets/docs/google/models/yamnet/1.md.
"""

import csv
import io
import os
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy.io import wavfile

mpl.use("Agg")
KINDS = ["noise", "tone"]


def write_sounds(folder, seconds=2.5, folds=5):
    """Writes a WAV of 16 bits of each kind and fold; returns a table."""
    rng = np.random.default_rng(0)
    num_samples = round(16_000 * seconds)
    rows = []
    for fold in range(1, folds + 1):
        time = np.arange(num_samples) / 16_000
        for kind, sound in (
            ("noise", rng.uniform(-0.5, 0.5, num_samples)),
            ("tone", 0.5 * np.sin(2 * np.pi * 200 * (fold + 1) * time)),
        ):
            path = os.path.join(folder, f"{kind}{fold}.wav")
            wavfile.write(path, 16_000, np.round(sound * 32767).astype("<i2"))
            rows.append((path, KINDS.index(kind), fold))
    return pd.DataFrame(rows, columns=["filename", "target", "fold"])


def class_names_of(model):
    """Reads the class map in the three ways of the tutorials."""
    path = model.class_map_path().numpy()
    with tf.io.gfile.GFile(path) as file:
        by_dict = [row["display_name"] for row in csv.DictReader(file)]
    by_pandas = list(pd.read_csv(path.decode("utf-8"))["display_name"])
    text = tf.io.read_file(path).numpy().decode("utf-8")
    by_columns = [name for (_, _, name) in csv.reader(io.StringIO(text))][1:]
    assert by_dict == by_pandas == by_columns
    return by_dict


def run_first_tutorial(model, wav_path):
    """Sound classification, with its figure."""
    from matplotlib import pyplot as plt

    class_names = class_names_of(model)
    _, samples = wavfile.read(wav_path, "rb")
    waveform = samples / tf.int16.max
    scores, embeddings, spectrogram = model(waveform)
    scores_np, spectrogram_np = scores.numpy(), spectrogram.numpy()
    assert class_names[scores_np.mean(axis=0).argmax()] in class_names
    figure = plt.figure(figsize=(10, 6))
    plt.subplot(3, 1, 1)
    plt.plot(waveform)
    plt.xlim([0, len(waveform)])
    plt.subplot(3, 1, 2)
    plt.imshow(spectrogram_np.T, aspect="auto", origin="lower")
    # The image is stretched under the waveform, so it must be as long.
    assert abs(len(spectrogram_np) * 160 - len(waveform)) < 160
    mean_scores = np.mean(scores, axis=0)
    top_indices = np.argsort(mean_scores)[::-1][:10]
    plt.subplot(3, 1, 3)
    plt.imshow(scores_np[:, top_indices].T, aspect="auto", cmap="gray_r")
    padding = (0.025 / 2) / 0.01
    plt.xlim([-padding - 0.5, scores.shape[0] + padding - 0.5])
    plt.yticks(
        range(len(top_indices)), [class_names[index] for index in top_indices]
    )
    figure.canvas.draw()
    plt.close(figure)
    return embeddings


def run_page(model):
    """The model's page."""
    waveform = np.zeros(3 * 16000, dtype=np.float32)
    scores, embeddings, log_mel_spectrogram = model(waveform)
    class_names = class_names_of(model)
    scores.shape.assert_is_compatible_with([None, len(class_names)])
    embeddings.shape.assert_is_compatible_with([None, embeddings.shape[1]])
    log_mel_spectrogram.shape.assert_is_compatible_with([None, 64])
    assert class_names[scores.numpy().mean(axis=0).argmax()]


def run_page_in_graph_mode(load, handle):
    """The part of the model's page for TensorFlow 1."""
    with tf.Graph().as_default():
        model = load(handle)
        waveform = np.zeros(3 * 16000, dtype=np.float32)
        outputs = model(waveform)
        class_map = tf.io.read_file(model.class_map_path())
        with tf.compat.v1.train.MonitoredSession() as session:
            scores, _, log_mel = session.run(outputs)
            text = session.run(class_map).decode("utf-8")
    assert scores.shape == (4, len(text.splitlines()) - 1)
    assert log_mel.shape == (300, 64)


def run_transfer_learning(model, make_layer, table, saved_path):
    """A classifier on embeddings, saved with the model in front of it.

    Args:
      model: What `hub.load` returns.
      make_layer: From the name of a layer to the export as a Keras layer.
      table: From `write_sounds`.
      saved_path: Where the whole is saved.

    Returns:
      The whole, loaded.
    """
    try:
        import tensorflow_io as tfio
    except ImportError:  # there is none for this TensorFlow
        tfio = None

    @tf.function
    def load_wav(filename):
        contents = tf.io.read_file(filename)
        wav, sample_rate = tf.audio.decode_wav(contents, desired_channels=1)
        wav = tf.squeeze(wav, axis=-1)
        sample_rate = tf.cast(sample_rate, dtype=tf.int64)
        if tfio is not None:
            wav = tfio.audio.resample(wav, rate_in=sample_rate, rate_out=16000)
        return wav

    def extract_embedding(wav, label, fold):
        _, embeddings, _ = model(wav)
        count = tf.shape(embeddings)[0]
        return embeddings, tf.repeat(label, count), tf.repeat(fold, count)

    testing_wav = load_wav(table["filename"][0])
    scores, embeddings, _ = model(testing_wav)
    class_names = class_names_of(model)
    assert class_names[tf.argmax(tf.reduce_mean(scores, axis=0))]

    dataset = tf.data.Dataset.from_tensor_slices(
        (table["filename"], table["target"], table["fold"])
    )
    dataset = dataset.map(lambda f, label, fold: (load_wav(f), label, fold))
    dataset = dataset.map(extract_embedding).unbatch()
    assert dataset.element_spec[0].shape == embeddings.shape[1:]
    cached = dataset.cache()

    def part(keep):
        kept = cached.filter(lambda embedding, label, fold: keep(fold))
        kept = kept.map(lambda embedding, label, fold: (embedding, label))
        return kept.cache().shuffle(1000).batch(32).prefetch(tf.data.AUTOTUNE)

    keras = tf.keras
    my_model = keras.Sequential(
        [
            keras.layers.Input(
                shape=(embeddings.shape[1],), dtype=tf.float32, name="input"
            ),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(len(KINDS)),
        ],
        name="my_model",
    )
    my_model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer="adam",
        metrics=["accuracy"],
    )
    callback = keras.callbacks.EarlyStopping(
        monitor="loss", patience=3, restore_best_weights=True
    )
    my_model.fit(
        part(lambda fold: fold < 4),
        epochs=20,
        validation_data=part(lambda fold: fold == 4),
        callbacks=[callback],
        verbose=0,
    )
    loss, _ = my_model.evaluate(part(lambda fold: fold == 5), verbose=0)
    assert np.isfinite(loss)
    expected = my_model(embeddings).numpy().mean(axis=0)

    class ReduceMeanLayer(keras.layers.Layer):
        def call(self, inputs):
            return tf.math.reduce_mean(inputs, axis=0)

    segment = keras.layers.Input(shape=(), dtype=tf.float32, name="audio")
    _, embeddings_output, _ = make_layer("yamnet")(segment)
    outputs = my_model(embeddings_output)
    outputs = ReduceMeanLayer(name="classifier")(outputs)
    serving_model = keras.Model(segment, outputs)
    if os.environ.get("TF_USE_LEGACY_KERAS"):
        serving_model.save(saved_path, include_optimizer=False)
        reloaded = tf.saved_model.load(saved_path)
        results = reloaded(testing_wav)
    else:  # what Keras 3 calls save writes no SavedModel
        serving_model.export(saved_path, verbose=False)
        reloaded = tf.saved_model.load(saved_path)
        results = reloaded.serve(testing_wav)
    np.testing.assert_allclose(results, expected, rtol=1e-3, atol=1e-3)
    served = reloaded.signatures["serving_default"](testing_wav)
    np.testing.assert_array_equal(*served.values(), results)
    return reloaded


def main(handle, folder):
    import tensorflow_hub as hub

    table = write_sounds(folder)
    model = hub.load(handle)
    run_first_tutorial(model, table["filename"][0])
    run_page(model)
    run_page_in_graph_mode(hub.load, handle)
    run_transfer_learning(
        model,
        lambda name: hub.KerasLayer(handle, trainable=False, name=name),
        table,
        os.path.join(folder, "saved"),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("All tutorials ran.")
