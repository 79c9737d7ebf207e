"""Finding, decoding and resampling audio."""

import os

import numpy as np
import pytest
import soundfile

from audioset_strong.features.audio_files import (
    AudioError,
    decode_audio,
    find_audio,
    index_audio_files,
    list_audio_files,
)


def _sine(hertz, sample_rate, seconds=1.0):
    time = np.arange(round(sample_rate * seconds)) / sample_rate
    return 0.5 * np.sin(2 * np.pi * hertz * time)


def _amplitude(waveform, hertz, sample_rate=16000):
    """Amplitude of one frequency, away from the ends."""
    middle = waveform[1600:-1600]
    time = np.arange(len(middle)) / sample_rate
    return 2 * abs(np.mean(middle * np.exp(-2j * np.pi * hertz * time)))


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_samples_at_the_right_rate_are_kept(tmp_path, extension):
    path = str(tmp_path / f"a.{extension}")
    samples = np.round(_sine(440, 16000) * 32768) / 32768
    soundfile.write(path, samples, 16000)
    audio = decode_audio(path, 16000)
    assert audio.waveform.dtype == np.float32
    np.testing.assert_array_equal(audio.waveform, samples.astype(np.float32))
    assert audio[1:] == (16000, 1, 1.0)


def test_stereo_is_averaged(tmp_path):
    path = str(tmp_path / "a.wav")
    left, right = _sine(440, 16000), _sine(1000, 16000)
    soundfile.write(path, np.stack([left, right], axis=1), 16000, "FLOAT")
    audio = decode_audio(path, 16000)
    assert audio.num_channels == 2
    np.testing.assert_allclose(audio.waveform, (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled(tmp_path, sample_rate):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, _sine(1000, sample_rate), sample_rate, "FLOAT")
    audio = decode_audio(path, 16000)
    assert audio.file_sample_rate == sample_rate
    assert abs(len(audio.waveform) - 16000) <= 1
    assert _amplitude(audio.waveform, 1000) == pytest.approx(0.5, abs=1e-3)


def test_resampling_does_not_alias(tmp_path):
    # Every second sample of 11 kHz at 32 kHz would be heard at 5 kHz.
    path = str(tmp_path / "a.wav")
    samples = _sine(11000, 32000)
    soundfile.write(path, samples, 32000, "FLOAT")
    assert _amplitude(samples[::2], 5000) == pytest.approx(0.5, abs=1e-3)
    waveform = decode_audio(path, 16000).waveform
    assert _amplitude(waveform, 5000) < 1e-5
    assert np.abs(waveform[1600:-1600]).max() < 1e-4


@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_max_seconds_cuts_and_the_duration_stays(tmp_path, sample_rate):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, _sine(440, sample_rate, 3.0), sample_rate)
    audio = decode_audio(path, 16000, max_seconds=1.5)
    assert len(audio.waveform) == 24000
    assert audio.file_seconds == 3.0
    assert len(decode_audio(path, 16000, max_seconds=9).waveform) == 48000


def _zero_bytes(path):
    path.write_bytes(b"")


def _text(path):
    path.write_text("<html>404</html>" * 100)


def _truncated(path):
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.3 * rng.standard_normal(16000), 16000)
    path.write_bytes(path.read_bytes()[:5000])


def _no_samples(path):
    soundfile.write(path, np.zeros(0), 16000)


def _nan(path):
    soundfile.write(path, np.array([0.0, np.nan]), 16000, "FLOAT", format="WAV")


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (_zero_bytes, "empty_file"),
        (_text, "unreadable"),
        (_truncated, "unreadable"),
        (_no_samples, "empty_file"),
        (_nan, "unreadable"),
    ],
)
def test_unusable_files_give_a_reason(tmp_path, write, reason):
    path = tmp_path / "a.flac"
    write(path)
    with pytest.raises(AudioError) as error:
        decode_audio(str(path), 16000, max_seconds=10.0)
    assert error.value.reason == reason
    assert str(path) in error.value.detail


def _write(folder, *names, content="x"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def test_names_that_people_give(tmp_path):
    names = [
        "-a_b_30000.wav",
        "sub/Yc-d_0.flac",
        "sub/deeper/e_f.OGG",
        "Yg-h.mp3",
        "part07/Yi-j_30.000_40.000.wav",
        "part07/k-l_150.000.opus",
    ]
    _write(tmp_path, *names, "notes.txt")
    path_of_stem = index_audio_files(str(tmp_path))
    clips = ("-a_b_30000", "c-d_0", "e_f_1500", "g-h_70", "i-j_30000")
    for segment_id, name in zip((*clips, "k-l_150000"), names, strict=True):
        assert find_audio(segment_id, path_of_stem) == str(tmp_path / name)
    # Another segment of the same video is another clip.
    for segment_id in ("x_0", "-a_b_40000", "i-j_40000", "k-l_150", "notes_0"):
        assert find_audio(segment_id, path_of_stem) is None


def test_the_most_exact_name_wins_and_then_the_first(tmp_path):
    _write(tmp_path, "b/a_0.wav", "a/a_0.wav", "a.wav", "Ya.wav")
    path_of_stem = index_audio_files(str(tmp_path))
    assert find_audio("a_0", path_of_stem) == str(tmp_path / "a" / "a_0.wav")
    assert find_audio("a_5", path_of_stem) == str(tmp_path / "a.wav")


def test_a_file_with_something_in_it_wins_over_an_empty_one(tmp_path):
    _write(tmp_path, "1/a_0.wav", "1/b_0.wav", content="")
    _write(tmp_path, "2/a_0.wav", "2/b_0.wav.part")
    path_of_stem = index_audio_files(str(tmp_path))
    assert find_audio("a_0", path_of_stem) == str(tmp_path / "2" / "a_0.wav")
    # Preparation then says that the clip's file is empty, not missing.
    assert find_audio("b_0", path_of_stem) == str(tmp_path / "1" / "b_0.wav")


def test_a_missing_folder_holds_no_files(tmp_path):
    assert index_audio_files(str(tmp_path / "none")) == {}
    (tmp_path / "file.wav").write_text("x")
    assert index_audio_files(str(tmp_path / "file.wav")) == {}


def test_listing_tells_files_apart(tmp_path):
    _write(tmp_path, "b.wav", "a/c.FLAC", "a.mp3")
    _write(tmp_path, "zero.wav", content="")
    _write(tmp_path, "x.m4a", "y.M4A", "README")
    unfinished = [
        "u.wav.part",
        "u.webm.part-Frag3",
        "u.temp.wav",
        "u.tmp",
        "u.ytdl",
    ]
    _write(tmp_path, *unfinished)
    (tmp_path / "dead.wav").symlink_to(tmp_path / "nowhere")
    listing = list_audio_files(str(tmp_path))
    # A folder's files before those of its subfolders.
    assert listing.paths == [
        str(tmp_path / name) for name in ("a.mp3", "b.wav", "a/c.FLAC")
    ]
    assert listing.empty_paths == [
        str(tmp_path / name) for name in ("dead.wav", "zero.wav")
    ]
    assert listing.unfinished_paths == [
        str(tmp_path / name) for name in sorted(unfinished)
    ]
    assert listing.num_other_files == {".m4a": 2, "": 1}
    assert listing.unreadable_folders == []


def test_linked_folders_are_read_once(tmp_path):
    _write(tmp_path, "real/a.wav")
    (tmp_path / "again").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    listing = list_audio_files(str(tmp_path))
    assert listing.paths == [str(tmp_path / "again" / "a.wav")]


def test_folders_that_may_not_be_read_are_named(tmp_path, monkeypatch):
    _write(tmp_path, "a.wav", "lost+found/b.wav")
    scandir = os.scandir

    def refuse(folder):
        if folder.endswith("lost+found"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    # Not by chmod: tests may run as root, who may read all.
    monkeypatch.setattr(os, "scandir", refuse)
    listing = list_audio_files(str(tmp_path))
    assert listing.paths == [str(tmp_path / "a.wav")]
    assert listing.unreadable_folders == [str(tmp_path / "lost+found")]
    assert list(index_audio_files(str(tmp_path))) == ["a"]
