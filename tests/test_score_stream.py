"""Recordings of any length and state are scored, with an engine of a line."""

import io

import numpy as np
import pytest
import soundfile
from audio_bytes import encode, noise

import audioset_strong as aus
from audioset_strong.audio.decode import AudioError, decode_audio
from audioset_strong.errors import InputError
from audioset_strong.inference.engines import PatchOutputs
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.inference.patch_stream import BATCH_PATCHES
from audioset_strong.inference.score_stream import stream_scores
from audioset_strong.inference.sound_model import SoundModel
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.params import DecodingParams, FeatureParams

_CLASSES = ClassMap(("/m/loud", "/m/soft"), ("Loud", "Soft"))


def _run(patches):
    """Scores by loudness."""
    assert patches.dtype == np.float32
    assert 0 < len(patches) <= BATCH_PATCHES
    loud = patches.mean(axis=(1, 2)) > -3  # [num_patches]
    scores = np.stack([loud, ~loud], axis=1).astype(np.float32)
    return PatchOutputs(0.8 * scores, patches[:, 40, :5])


def _model(**metadata):
    return SoundModel(
        ModelMetadata("test", _CLASSES, FeatureParams(), **metadata), _run
    )


@pytest.fixture
def write(tmp_path):
    def write(samples, sample_rate=16000, container="WAV", subtype=None):
        path = tmp_path / f"a.{container.lower()}"
        path.write_bytes(encode(samples, sample_rate, container, subtype))
        return str(path)

    return write


@pytest.mark.parametrize(
    "seconds",
    [0.001, 0.5, 31.7, pytest.param(95.0, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("hop_seconds", [0.24, 0.96])
def test_files_and_waveforms_score_alike(write, seconds, hop_seconds):
    path = write(noise(round(seconds * 44100), 2), 44100, "FLAC")
    scored = _model().score(path, hop_seconds=hop_seconds)
    assert scored.audio_seconds == pytest.approx(seconds, abs=1e-3)
    assert len(scored.scores) == len(scored.embeddings)
    frames = scored.audio_seconds / hop_seconds
    assert len(scored.scores) == pytest.approx(frames + 0.5, abs=0.6)
    decoded = decode_audio(path, 16000).waveform
    samples, rate = soundfile.read(path)  # float64, two channels
    for other in (
        _model().score(decoded, hop_seconds=hop_seconds),
        _model().score(samples, rate, hop_seconds),
        _model().score(
            soundfile.read(path, dtype="int16")[0], rate, hop_seconds
        ),
    ):
        np.testing.assert_array_equal(other.scores, scored.scores)
        np.testing.assert_array_equal(other.embeddings, scored.embeddings)


def test_a_stream_gives_blocks_and_tells_how_far_it_is(write):
    path = write(noise(100 * 16000))
    said = []
    stream = stream_scores(
        _model(), path, progress=lambda *seconds: said.append(seconds)
    )
    blocks = list(stream)
    assert [len(b.scores) for b in blocks] == [32, 32, 32, 9]
    assert stream.num_frames == 105
    assert stream.audio_seconds == 100
    assert stream.notes == ()
    assert [total for _, total in said] == [100.0] * 4
    np.testing.assert_allclose([done for done, _ in said][:2], [30.72, 61.44])
    assert list(stream) == []


def _antiphase(share):
    samples = noise(32000, 2)
    samples[:, 1] = -samples[:, 0] * share
    return samples


@pytest.mark.parametrize(
    ("samples", "options", "expected"),
    [
        (np.zeros(32000), {}, ["silent: peak of -inf"]),
        (np.full(32000, 0.3), {}, ["silent: peak of -inf dBFS around a const"]),
        (_antiphase(1.0), {}, ["silent: "]),
        (_antiphase(0.9), {"subtype": "FLOAT"}, ["antiphase: its 2 channels"]),
        (np.sign(noise(32000)), {}, ["clipped: 100.00%"]),
        (noise(8000), {"sample_rate": 8000}, ["low_rate: 8,000 Hz"]),
        (
            40 * noise(32000),
            {"subtype": "FLOAT"},
            ["clipped: ", "over_range: samples in [-1, 1] expected, they rea"],
        ),
        (noise(32000, 2) * (1, 0), {}, []),
        (noise(32000), {}, []),
    ],
)
def test_notes(write, samples, options, expected):
    notes = _model().score(write(samples, **options)).notes
    assert len(notes) == len(expected)
    for note, begin in zip(notes, expected, strict=True):
        assert note.startswith(begin)
    rate = options.get("sample_rate", 16000)
    quantised = encode(samples, rate, "WAV", options.get("subtype"))
    waveform, _ = soundfile.read(io.BytesIO(quantised))
    assert _model().score(waveform, rate).notes == notes


def test_a_cut_file_is_scored_with_a_note(tmp_path):
    path = tmp_path / "a.flac"
    content = encode(noise(10 * 16000), 16000, "FLAC")
    path.write_bytes(content[: len(content) // 2])
    scored = _model().score(path)
    assert 3 < scored.audio_seconds < 6
    (note,) = scored.notes
    assert note.startswith("truncated: its header promises 10.000 s")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.nan, "NaN"), (np.inf, "NaN"), (12345.0, r"reach 12,345.* 32768")],
)
def test_what_is_no_sound_is_refused(write, value, expected):
    samples = noise(90 * 16000).astype(np.float32)
    samples[-3] = value
    path = write(samples, subtype="FLOAT")
    with pytest.raises(AudioError, match=expected):
        _model().score(path)
    with pytest.raises(InputError, match=expected):
        _model().score(samples[:, 0])


@pytest.mark.parametrize(
    ("waveform", "expected"),
    [
        (np.zeros((2, 16000)), r"\[num_samples, num_channels\]"),
        (np.zeros((1, 16000, 1)), r"shape=\(1, 16000, 1\)"),
        (np.zeros((16000, 0)), "shape"),
        (np.zeros(()), "shape"),
        (np.zeros(0), "no samples"),
        (np.zeros(16000, np.int32), "int16. Received: dtype=int32"),
        (np.zeros(16000, np.uint8), "uint8"),
        (np.zeros(16000, complex), "complex"),
        (["a.wav"], "dtype=<U5"),
    ],
)
def test_what_is_no_waveform_is_refused_at_once(waveform, expected):
    with pytest.raises(InputError, match=expected):
        stream_scores(_model(), waveform)


def test_rates_are_checked():
    for rate in (0, -1, 999, 44100.5, np.nan, np.inf):
        with pytest.raises(InputError, match="sample.rate"):
            stream_scores(_model(), np.zeros(9), sample_rate=rate)
    with pytest.raises(InputError, match="a file has its own"):
        stream_scores(_model(), "a.wav", sample_rate=16000)
    with pytest.raises(InputError, match="hop_seconds"):
        stream_scores(_model(), "a.wav", hop_seconds=2.0)


def test_predict():
    waveform = np.zeros(10 * 16000)
    waveform[3 * 15360 : 5 * 15360] = noise(2 * 15360)[:, 0]
    events = _model().predict(waveform, classes=["Loud"])
    (event,) = events
    assert event.onset_seconds == pytest.approx(2.88)
    assert event.offset_seconds == pytest.approx(4.8)
    (row,) = events.to_dataframe().to_dict("records")
    assert (row["mid"], row["display_name"]) == ("/m/loud", "Loud")
    assert events.audio_seconds == 10
    both = _model().predict(waveform)
    assert [e.class_index for e in both] == [1, 0, 1]
    # Thresholds of the model, if the caller names none.
    strict = _model(thresholds=(0.9, 0.5))
    assert {e.class_index for e in strict.predict(waveform)} == {1}
    assert len(strict.predict(waveform, thresholds=0.5)) == 3
    high = DecodingParams(threshold=0.9)
    assert len(_model().predict(waveform, params=high)) == 0
    with pytest.raises(InputError, match="Rain"):
        _model().predict(waveform, classes=["Rain"])


@pytest.mark.slow
def test_predict_with_an_export(export_dir):
    model = aus.load_model(export_dir)
    waveform = noise(5 * 16000)[:, 0]
    events = model.predict(waveform, hop_seconds=0.48, thresholds=0.0)
    # Every class is present from the start to the end.
    assert len(events) == model.metadata.class_map.num_classes
    assert {e.offset_seconds for e in events} == {5.0}
