"""Where sounds come from: active regions, classes, both sources."""

import csv
import json

import numpy as np
import pytest
import soundfile

from audioset_strong.errors import InputError
from audioset_strong.simulation import sources
from audioset_strong.simulation.sources import (
    ESC50_CLASSES,
    SPLITS,
    SYNTHETIC_CLASSES,
    Esc50Source,
    SourceSettings,
    SyntheticSource,
    make_source,
    release_vocabulary,
)

_RATE = 16000
_BARK, _RAIN = ESC50_CLASSES["dog"].mid, ESC50_CLASSES["rain"].mid


def _write_esc50(folder, rows, sample_rate=44100, channels=1):
    """Writes a small ESC-50: barks are two bursts, rain is steady noise."""
    rng = np.random.default_rng(0)
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    with open(folder / "meta" / "esc50.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "fold", "category", "src_file"])
        for name, category, recording in rows:
            writer.writerow([name, 1, category, recording])
            samples = 0.3 * rng.standard_normal((5 * sample_rate, channels))
            if category == "dog":
                time = np.arange(5 * sample_rate) / sample_rate
                is_on = (np.abs(time - 1.15) < 0.15) | (np.abs(time - 3) < 0.3)
                samples = samples * is_on[:, np.newaxis]
            samples = np.clip(samples, -1, 1)
            soundfile.write(folder / "audio" / name, samples, sample_rate)
    return folder


def _rows(num_recordings=8):
    return [
        (f"{category}-{n}-{take}.wav", category, f"{category}{n}")
        for category in ("dog", "rain")
        for n in range(num_recordings)
        for take in "AB"
    ]


@pytest.fixture(scope="module")
def small_esc50(tmp_path_factory):
    return str(_write_esc50(tmp_path_factory.mktemp("esc") / "e", _rows()))


@pytest.mark.parametrize("table", [SYNTHETIC_CLASSES, ESC50_CLASSES])
def test_classes_against_the_released_files(table, audioset_labels):
    with open(audioset_labels / "class_labels_indices.csv") as file:
        names = {r["mid"]: r["display_name"] for r in csv.DictReader(file)}
    with open(audioset_labels / "mid_to_display_name.tsv") as file:
        strong_mids = {line.split("\t")[0] for line in file}
    with open(audioset_labels / "ontology.json") as file:
        children = {n["id"]: n["child_ids"] for n in json.load(file)}

    def descendants(mid):
        below = set(children.get(mid, ()))
        return below.union(*(descendants(child) for child in below))

    vocabulary = release_vocabulary(tuple(table.values()))
    # Every mid once, those of the sounds before their parents.
    assert list(vocabulary)[: len(table)] == [c.mid for c in table.values()]
    assert vocabulary == {mid: names[mid] for mid in vocabulary}
    for sound_class in table.values():
        assert sound_class.mid in strong_mids
        parent = sound_class.parent_mid
        assert not parent or sound_class.mid in children[parent]
        ancestors = {m for m in vocabulary if sound_class.mid in descendants(m)}
        assert sound_class.all_mids == {sound_class.mid} | ancestors


def test_synthetic_sounds_differ_between_splits():
    source = SyntheticSource()
    mid = source.classes[0].mid
    sounds = {
        source.draw(mid, split, np.random.default_rng(0), 2.0).tobytes()
        for split in SPLITS
    }
    assert len(sounds) == len(SPLITS)


@pytest.mark.parametrize(
    "sound_class",
    SyntheticSource().classes,
    ids=[c.display_name for c in SyntheticSource().classes],
)
def test_synthetic_sounds_fill_their_event(sound_class):
    source = SyntheticSource()
    rng = np.random.default_rng(0)
    for _ in range(4):
        sound = source.draw(sound_class.mid, "train", rng, 1.5)
        assert sound.dtype == np.float32
        assert 0.199 * _RATE <= len(sound) <= 1.5 * _RATE
        # It sounds within the first 0.1 s: no silence before the onset.
        start = np.abs(sound[: _RATE // 10]).max()
        assert start > 0.01 * np.abs(sound).max()


def test_unknown_source_is_refused():
    with pytest.raises(InputError, match="Received: 'freesound'"):
        make_source(SourceSettings("freesound"))


def test_barks_are_cut_out_one_by_one_and_textures_to_length(small_esc50):
    source = Esc50Source(small_esc50)
    assert [c.mid for c in source.classes] == [_BARK, _RAIN]
    rng = np.random.default_rng(0)
    lengths = {
        round(len(source.draw(_BARK, "train", rng, 4.0)) / _RATE, 1)
        for _ in range(20)
    }
    assert lengths == {0.3, 0.6}
    seconds = [
        len(source.draw(_RAIN, "eval", rng, 2.0)) / _RATE for _ in range(10)
    ]
    assert min(seconds) >= 0.99
    assert max(seconds) <= 2.0
    assert len(set(seconds)) > 5


def test_any_rate_and_channels_give_16_khz_mono(tmp_path):
    rows = [("a.wav", "rain", "1")]
    folder = _write_esc50(tmp_path / "e", rows, sample_rate=22050, channels=2)
    waveform = sources.read_waveform(str(folder / "audio" / "a.wav"))
    assert waveform.shape == (5 * _RATE,)
    assert waveform.dtype == np.float32


def test_no_recording_is_in_two_splits_and_no_split_is_empty(small_esc50):
    clips = sources.read_esc50_clips(small_esc50)
    split_of = sources.split_recordings(clips)
    for category in ("dog", "rain"):
        recordings = {c.recording for c in clips if c.category == category}
        splits = [split_of[r] for r in recordings]
        # 8 recordings, 25 % and 15 % of them rounded.
        assert splits.count("eval") == 2
        assert splits.count("validation") == 1
        assert splits.count("train") == 5
    # Order of the table does not matter.
    assert sources.split_recordings(clips[::-1]) == split_of


def test_recordings_of_two_categories_stay_in_one_split():
    clips = [
        sources.Esc50Clip(f"{category}{n}", category, str(n))
        for category in ("hen", "rooster")
        for n in range(8)
    ]
    split_of = sources.split_recordings(clips)
    assert len(split_of) == 8
    assert set(split_of.values()) == set(SPLITS)


@pytest.mark.parametrize("mid", [_BARK, _RAIN])
def test_events_of_a_recording_are_as_long_as_wanted(small_esc50, mid):
    source = Esc50Source(small_esc50)
    seconds = [0.05, 0.31, 1.7, 10.0]
    sounds = source.draw_events(mid, "train", np.random.default_rng(0), seconds)
    assert [len(sound) for sound in sounds] == [
        round(s * _RATE) for s in seconds
    ]
    for sound in sounds:
        assert sound.dtype == np.float32
        levels = sources.frame_levels_db(sound)
        # No pause that would end the event: at most 0.2 s, and fades.
        is_silent = levels < levels.max() - 30
        runs = "".join("x" if silent else " " for silent in is_silent).split()
        assert max(map(len, runs), default=0) <= 25


def test_synthetic_events_are_as_long_as_wanted():
    source = sources.SyntheticSource()
    mid = source.classes[0].mid
    for split in ("train", "strong"):
        sounds = source.draw_events(
            mid, split, np.random.default_rng(0), [0.2, 9.0]
        )
        assert [len(sound) for sound in sounds] == [3200, 144000]


def test_strong_labels_have_their_share_of_the_recordings(small_esc50):
    clips = sources.read_esc50_clips(small_esc50)
    without = sources.split_recordings(clips)
    # 5 of 8 recordings of each of two categories are for training.
    for share, expected in ((0.01, 2), (0.4, 4), (0.99, 8)):
        split_of = sources.split_recordings(clips, share)
        strong = {r for r, split in split_of.items() if split == "strong"}
        assert len(strong) == expected
        assert {without[r] for r in strong} == {"train"}
        rest = {r: s for r, s in split_of.items() if r not in strong}
        assert rest == {r: without[r] for r in rest}


def test_real_esc50_has_strong_and_other_training_recordings(esc50_dir):
    clips = sources.read_esc50_clips(str(esc50_dir))
    split_of = sources.split_recordings(clips, 1 / 27)
    for category in ESC50_CLASSES:
        splits = {
            split_of[c.recording] for c in clips if c.category == category
        }
        assert splits == {*SPLITS, "strong"}


def test_too_few_recordings_are_refused(tmp_path):
    folder = _write_esc50(tmp_path / "e", _rows(num_recordings=2))
    with pytest.raises(InputError, match="at least 3 recordings"):
        Esc50Source(str(folder))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("filename,category\na.wav,dog\n", "found no .'src_file'."),
        ("filename,category,src_file\n", "expected clips, found none"),
        ("filename,category,src_file\na.wav,tuba,1\n", "found .'tuba'."),
        ("filename,category,src_file\na.wav,dog,1\n", "not there, first"),
    ],
    ids=["column", "empty", "category", "audio"],
)
def test_bad_tables_are_refused(tmp_path, table, message):
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text(table)
    with pytest.raises(InputError, match=message):
        sources.read_esc50_clips(str(tmp_path))


def test_corrupt_audio_is_refused(tmp_path):
    path = tmp_path / "a.ogg"
    path.write_bytes(b"not audio at all")
    with pytest.raises(InputError, match=r"a\.ogg: expected an audio file"):
        sources.read_waveform(str(path))


def test_silent_classes_are_refused(tmp_path):
    folder = _write_esc50(tmp_path / "e", _rows(3))
    for path in (folder / "audio").glob("rain-*"):
        soundfile.write(path, np.zeros(5 * 44100), 44100)
    source = Esc50Source(str(folder))
    with pytest.raises(InputError, match="all are silent"):
        source.draw(_RAIN, "train", np.random.default_rng(0), 2.0)


def test_real_esc50_has_sounds_of_every_class_in_every_split(esc50_dir):
    source = Esc50Source(str(esc50_dir))
    assert len(source.classes) == 50
    rng = np.random.default_rng(0)
    for sound_class in source.classes:
        for split in SPLITS:
            sound = source.draw(sound_class.mid, split, rng, 4.0)
            assert 0.19 * _RATE < len(sound) <= 4.0 * _RATE
            assert np.abs(sound).max() > 1e-4


def _bursts(spans, seconds=5.0, noise_db=-60.0):
    """Makes noise bursts over a noise floor."""
    rng = np.random.default_rng(0)
    level = np.full(round(seconds * _RATE), 10 ** (noise_db / 20))
    for onset, offset in spans:
        level[round(onset * _RATE) : round(offset * _RATE)] = 0.3
    return level * rng.standard_normal(len(level))


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(1.0, 2.0)], [(1.0, 2.0)]),
        # A gap of 0.6 s parts two regions, one of 0.15 s does not.
        ([(0.5, 1.0), (1.6, 2.1)], [(0.5, 1.0), (1.6, 2.1)]),
        ([(0.5, 1.0), (1.15, 2.1)], [(0.5, 2.1)]),
        # Clicks are stretched to 0.2 s.
        ([(3.0, 3.03)], [(3.0, 3.2)]),
        # A texture is its own noise floor and active throughout.
        ([(0.0, 5.0)], [(0.0, 5.0)]),
    ],
    ids=["one", "two", "short-gap", "click", "texture"],
)
@pytest.mark.parametrize("noise_db", [-300.0, -50.0])
def test_active_regions_are_found(spans, expected, noise_db):
    found = sources.find_active_regions(_bursts(spans, noise_db=noise_db))
    # A hop of 10 ms, and frames of 20 ms that reach over an edge.
    np.testing.assert_allclose(found, expected, atol=0.021)


def test_silence_and_nothing_have_no_active_region():
    assert sources.find_active_regions(np.zeros(_RATE)) == []
    assert sources.find_active_regions(np.zeros(0)) == []


def test_frame_levels_against_plain_sums():
    waveform = np.random.default_rng(0).standard_normal(1600)
    levels = sources.frame_levels_db(waveform)
    assert levels.shape == (10,)
    # Frame 3 is centred on 35 ms.
    expected = 10 * np.log10(np.mean(waveform[400:720] ** 2))
    assert levels[3] == pytest.approx(expected)
