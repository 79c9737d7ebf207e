"""What libsndfile does not read is read with PyAV, if it is installed."""

import io
import sys

import numpy as np
import pytest
import soundfile
from audio_bytes import encode, noise
from pyav_files import encode_with_pyav

from audioset_strong.audio import decode, pyav_reader
from audioset_strong.audio.decode import AudioError, decode_audio
from audioset_strong.audio.pyav_reader import read_with_pyav
from audioset_strong.audio.samples import NotDecodableError, ReadAudio


def _sine(seconds=10.0, sample_rate=48000, num_channels=2):
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    sine = 0.5 * np.sin(2 * np.pi * 440 * time)
    return np.repeat(sine[:, np.newaxis], num_channels, axis=1)


def _read_all(file, container):
    read = ReadAudio()
    read.container = container
    return read, np.concatenate(list(read_with_pyav(file, read, None)))


def _decode(tmp_path, content, extension, max_seconds=10.0):
    path = tmp_path / f"a.{extension}"
    path.write_bytes(content)
    return decode_audio(str(path), 16000, max_seconds)


_CONTAINERS = {
    "m4a": "mp4",
    "mp4": "mp4",
    "webm": "webm",
    "mka": "matroska",
    "opus": "ogg",
    "mp3": "mp3",
    "aac": "aac",
    "mp2": "mp3",
    "wv": "wv",
    "tta": "tta",
    "flv": "flv",
    "avi": "avi",
    "ts": "mpegts",
}


@pytest.mark.parametrize("extension", _CONTAINERS)
def test_formats(tmp_path, extension):
    sample_rate = 44100 if extension in ("flv", "avi") else 48000
    num_channels = 1 + len(extension) % 2
    samples = _sine(10.0, sample_rate, num_channels)
    content = encode_with_pyav(samples, sample_rate, extension)
    audio = _decode(tmp_path, content, extension)
    assert audio.container == _CONTAINERS[extension]
    assert audio[1:3] == (sample_rate, num_channels)
    assert audio.file_seconds == pytest.approx(10.0, abs=0.1)
    assert len(audio.waveform) == pytest.approx(160000, abs=1600)
    assert audio.truncation == ""
    assert audio.waveform.dtype == np.float32
    # The tone has its height and its amplitude, away from the ends; LAME makes
    # all 5 % quieter.
    middle = audio.waveform[16000:-16000]
    phase = np.exp(-2j * np.pi * 440 / 16000 * np.arange(len(middle)))
    assert 2 * abs(np.mean(middle * phase)) == pytest.approx(0.5, rel=0.06)


@pytest.mark.parametrize(
    ("extension", "options"),
    [
        ("m4a", {"movflags": "faststart"}),
        ("mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("mp4", {"movflags": "dash", "frag_duration": "2000000"}),
        ("webm", {}),
        ("opus", {}),
        ("flv", {}),
    ],
)
@pytest.mark.parametrize("share", [0.31, 0.99])
def test_cut_files_are_seen(tmp_path, extension, options, share):
    sample_rate = 44100 if extension == "flv" else 48000
    samples = _sine(10.0, sample_rate)
    content = encode_with_pyav(samples, sample_rate, extension, **options)
    cut = content[: int(share * len(content))]
    audio = _decode(tmp_path, cut, extension)
    assert audio.truncation, audio[1:]
    assert len(audio.waveform) > 0.15 * 160000


def test_mp4_without_its_index_is_unreadable(tmp_path):
    # The index comes last, unless the file was rewritten for streaming.
    content = encode_with_pyav(_sine(), 48000, "m4a")
    with pytest.raises(AudioError) as error:
        _decode(tmp_path, content[: len(content) // 2], "m4a")
    assert error.value.reason == "unreadable"
    assert "PyAV: " in error.value.detail


@pytest.mark.parametrize("extension", ["m4a", "webm", "aac", "flv"])
def test_long_files_are_read_in_part(tmp_path, extension):
    content = encode_with_pyav(_sine(60.0, 48000, 1), 48000, extension)
    audio = _decode(tmp_path, content, extension)
    assert len(audio.waveform) == 160000
    assert audio.file_seconds == pytest.approx(60.0, abs=0.1)
    assert not audio.truncation


@pytest.mark.parametrize("extension", ["m4a", "webm", "aac", "mka", "ts"])
def test_a_part_has_the_samples_of_the_whole(tmp_path, extension):
    content = encode_with_pyav(noise(9 * 16000), 16000, extension)
    if extension == "webm":  # Opus is always decoded at 48 kHz
        content = encode_with_pyav(noise(9 * 48000), 48000, extension)
    path = tmp_path / "a"
    path.write_bytes(content)
    rate = decode_audio(str(path), 16000).file_sample_rate
    whole = decode_audio(str(path), rate)
    for start, seconds in ((0.5, 1.0), (2.00003, 3.0), (5.3, None)):
        first = round(start * rate)
        last = None if seconds is None else first + int(seconds * rate)
        audio = decode_audio(str(path), rate, seconds, start)
        np.testing.assert_array_equal(
            audio.waveform, whole.waveform[first:last]
        )
        assert audio.file_seconds == pytest.approx(9.0, abs=0.2)
        assert audio.truncation == ""
    with pytest.raises(AudioError, match=r"too_short: .* begins at 12\.000 s"):
        decode_audio(str(path), rate, 1.0, 12.0)


@pytest.mark.parametrize("extension", ["mp4", "webm", "mka", "ts"])
@pytest.mark.parametrize("has_video", [True, False])
def test_audio_that_starts_late_is_placed_late(extension, has_video):
    samples, rate = 0.9 * np.sign(noise(2 * 48000)), 48000

    def decode_late(delay, *seconds):
        content = encode_with_pyav(samples, rate, extension, delay, has_video)
        file = io.BytesIO(content)
        return decode.decode_open_file(file, "a", 16000, *seconds)

    on_time = decode_late(0.0)
    # Times of MPEG-TS begin anywhere.
    is_known = extension != "ts" or has_video
    delay = 0.7 if has_video else 1.9
    audio = decode_late(delay)
    is_loud = np.abs(audio.waveform) > 0.2
    begin = is_loud.argmax() / 16000
    assert begin == pytest.approx(delay * is_known, abs=0.05)
    assert audio.truncation == ""
    assert audio.file_seconds == pytest.approx(
        on_time.file_seconds + delay * is_known, abs=0.05
    )
    part = decode_late(delay, 0.25, 0.5)
    np.testing.assert_allclose(
        part.waveform[100:-100], audio.waveform[8100:11900], atol=1e-3
    )
    # Less is how such files are made, and more than all of the audio is a piece
    # of a broadcast.
    for delay in (0.03,) if has_video else (0.03, 100.0):
        audio = decode_late(delay)
        assert audio.truncation == ""
        assert audio.file_seconds == pytest.approx(2.0, abs=0.1)
        begin = (np.abs(audio.waveform) > 0.2).argmax()
        assert begin < 800


def test_all_of_a_file(tmp_path, monkeypatch):
    content = encode_with_pyav(_sine(12.0), 48000, "m4a")
    expected = _decode(tmp_path, content, "m4a", None)
    assert len(expected.waveform) == pytest.approx(192000, abs=800)
    monkeypatch.setattr(pyav_reader, "BLOCK_VALUES", 5000)
    audio = _decode(tmp_path, content, "m4a", None)
    np.testing.assert_array_equal(audio.waveform, expected.waveform)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_32", "FLOAT"])
@pytest.mark.parametrize("num_channels", [1, 8])
def test_samples_have_libsndfiles_scale(subtype, num_channels):
    contents = encode(noise(5000, num_channels), 16000, "WAV", subtype)
    read, waveform = _read_all(io.BytesIO(contents), "wav")
    assert (read.sample_rate, read.num_channels) == (16000, num_channels)
    expected, _ = soundfile.read(
        io.BytesIO(contents), dtype="float32", always_2d=True
    )
    np.testing.assert_allclose(waveform, expected.mean(axis=1), atol=1e-6)


def test_many_planes_do_not_crash():
    # FLAC of eight channels comes as eight planes; PyAV reads past the last.
    file = io.BytesIO(encode(_sine(1.0, 16000, 8), 16000, "FLAC"))
    read, waveform = _read_all(file, "flac")
    assert read.num_channels == 8
    np.testing.assert_allclose(waveform, _sine(1.0, 16000, 1)[:, 0], atol=1e-4)


def test_a_playlist_leads_nowhere(tmp_path):
    secret = tmp_path / "secret.wav"
    soundfile.write(secret, _sine(1.0), 48000)
    path = tmp_path / "a.m4a"
    path.write_text(f"#EXTM3U\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n")
    with pytest.raises(AudioError, match="no format of audio"):
        decode_audio(str(path), 16000)
    with pytest.raises(NotDecodableError, match="not a format"):
        _read_all(io.BytesIO(path.read_bytes()), "hls")


def test_a_video_without_sound():
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    with pytest.raises(NotDecodableError, match="no audio stream"):
        _read_all(file, "mp4")


def test_without_pyav_the_error_says_what_to_install(tmp_path, monkeypatch):
    content = encode_with_pyav(_sine(1.0), 48000, "m4a")
    opus = encode_with_pyav(_sine(1.0), 48000, "opus")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError) as error:
        _decode(tmp_path, content, "m4a")
    assert error.value.reason == "unreadable"
    assert "does not read mp4" in error.value.detail
    assert "pip install 'audioset_strong[av]'" in error.value.detail
    # libsndfile reads this one.
    assert len(_decode(tmp_path, opus, "opus").waveform) > 15000


def test_damaged_files_raise_nothing_else(tmp_path):
    rng = np.random.default_rng(0)
    outcomes = set()
    for extension in ("m4a", "webm", "aac", "flv", "ts"):
        rate = 48000 if extension == "webm" else 44100
        content = encode_with_pyav(_sine(0.5, rate, 1), rate, extension)
        for trial in range(60):
            damaged = bytearray(content)
            for at in rng.integers(0, len(content), 1 + trial % 20):
                damaged[at] = rng.integers(256)
            try:
                _decode(tmp_path, bytes(damaged), extension)
                outcomes.add("decoded")
            except AudioError as error:
                outcomes.add(error.reason)
    assert outcomes >= {"decoded", "unreadable"}
