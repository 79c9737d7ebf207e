"""Soundscapes: clips mixed from sounds over a background."""

import dataclasses
import re

import numpy as np
import pytest

from audioset_strong.errors import InputError
from audioset_strong.labels.ids import group_of_segment
from audioset_strong.labels.training_sets import is_held_out
from audioset_strong.simulation import soundscapes
from audioset_strong.simulation.soundscapes import SoundscapeParams
from audioset_strong.simulation.sources import SyntheticSource

_PARAMS = SoundscapeParams(seed=3)
_RATE = 16000


class _ToneSource:
    """A source of one class: 1 s of a 3 kHz tone."""

    classes = SyntheticSource().classes[:1]
    description = {"name": "tone"}

    def __init__(self):
        self.splits = []

    def draw(self, mid, split, rng, max_seconds):
        self.splits.append(split)
        time = np.arange(_RATE) / _RATE
        return np.sin(2 * np.pi * 3000 * time).astype(np.float32)


@pytest.fixture(scope="module")
def clips():
    source = SyntheticSource()
    return [
        soundscapes.make_soundscape(_PARAMS, source, "weak", number)
        for number in range(25)
    ]


def test_clips_are_ten_seconds_and_never_clip(clips):
    for clip in clips:
        assert clip.waveform.shape == (160000,)
        assert clip.waveform.dtype == np.float32
        assert np.abs(clip.waveform).max() < 1.0
    peaks = [np.abs(clip.waveform).max() for clip in clips]
    assert max(peaks) / min(peaks) > 2


def test_events_are_within_the_clip_and_the_ranges(clips):
    for clip in clips:
        assert 1 <= len(clip.events) <= 5
        assert len(clip.snr_db) == len(clip.events)
        onsets = [event.onset_seconds for event in clip.events]
        assert onsets == sorted(onsets)
        for event in clip.events:
            assert 0 <= event.onset_seconds < event.offset_seconds <= 10
            seconds = event.offset_seconds - event.onset_seconds
            # Both ends are rounded to milliseconds.
            assert 0.199 <= seconds <= 4.001
            assert event == (event.mid, *np.round(event[1:], 3))
    assert {len(clip.events) for clip in clips} == {1, 2, 3, 4, 5}


def test_a_clip_is_a_function_of_its_arguments(clips):
    again = soundscapes.make_soundscape(_PARAMS, SyntheticSource(), "weak", 7)
    np.testing.assert_array_equal(again.waveform, clips[7].waveform)
    assert again.events == clips[7].events
    other = soundscapes.make_soundscape(
        dataclasses.replace(_PARAMS, seed=4), SyntheticSource(), "weak", 7
    )
    assert other.segment_id != again.segment_id
    assert not np.array_equal(other.waveform, again.waveform)


def test_marked_times_are_those_of_the_energy():
    params = SoundscapeParams(min_events=1, max_events=1, min_snr_db=10)
    for number in range(5):
        clip = soundscapes.make_soundscape(
            params, _ToneSource(), "weak", number
        )
        (event,) = clip.events
        assert event.offset_seconds - event.onset_seconds == pytest.approx(1)
        # Energy around 3 kHz in frames of 0.1 s.
        frames = np.abs(np.fft.rfft(clip.waveform.reshape(100, 1600)))[:, 300]
        is_loud = frames > 0.3 * frames.max()
        first, last = np.flatnonzero(is_loud)[[0, -1]]
        assert first / 10 == pytest.approx(event.onset_seconds, abs=0.11)
        assert (last + 1) / 10 == pytest.approx(event.offset_seconds, abs=0.11)


def test_level_over_the_background_is_the_one_stated():
    params = SoundscapeParams(
        min_events=1, max_events=1, min_snr_db=12, max_snr_db=12
    )
    clip = soundscapes.make_soundscape(params, _ToneSource(), "weak", 0)
    (event,) = clip.events
    samples = np.arange(160000)
    is_on = (samples >= event.onset_seconds * _RATE) & (
        samples < event.offset_seconds * _RATE
    )
    power_on = np.mean(clip.waveform[is_on] ** 2)
    power_off = np.mean(clip.waveform[~is_on] ** 2)
    # The background is itself uneven by some dB.
    snr_db = 10 * np.log10(power_on / power_off - 1)
    assert snr_db == pytest.approx(12, abs=4)


def test_inaudible_tails_are_not_marked():
    sound = np.ones(_RATE)
    sound[_RATE // 2 :] = 0.01  # 40 dB below, under a background of RMS 1
    onset, offset = soundscapes._audible_extent(sound)
    assert onset == 0
    assert offset == pytest.approx(0.5, abs=0.02)
    assert soundscapes._audible_extent(0.01 * sound) is None


def test_ids_are_unique_and_of_the_real_form():
    segment_ids = [
        soundscapes.segment_id_of_clip(_PARAMS, subset, number)
        for subset in soundscapes.SUBSETS
        for number in range(2000)
    ]
    assert len(set(segment_ids)) == 6000
    for segment_id in segment_ids:
        assert re.fullmatch(r"[A-Za-z0-9_-]{11}_[0-9]+000|.*_0", segment_id)
        assert len(group_of_segment(segment_id)) == 11
    # The awkward ones are there, so that everything downstream meets them.
    assert any(segment_id.startswith("-") for segment_id in segment_ids)
    assert any("_" in group_of_segment(s) for s in segment_ids)


@pytest.mark.parametrize("subset", soundscapes.SUBSETS)
def test_all_sounds_of_a_clip_come_from_its_split(subset):
    params = SoundscapeParams(held_out_fraction=0.3)
    for number in range(8):
        source = _ToneSource()
        clip = soundscapes.make_soundscape(params, source, subset, number)
        is_validation = is_held_out(group_of_segment(clip.segment_id), 0.3)
        expected = {
            "weak": "train",
            "strong": "validation" if is_validation else "train",
            "eval": "eval",
        }
        assert set(source.splits) == {expected[subset]}


def test_classes_are_uneven_in_an_order_by_chance():
    probabilities = soundscapes.class_probabilities(_PARAMS, 20)
    assert probabilities.sum() == pytest.approx(1)
    np.testing.assert_allclose(
        probabilities.max() / probabilities.min(), 20**0.7
    )
    assert not (np.diff(probabilities) <= 0).all()
    even = dataclasses.replace(_PARAMS, class_imbalance=0.0)
    np.testing.assert_allclose(
        soundscapes.class_probabilities(even, 20), 1 / 20
    )


def test_another_seed_with_the_class_seed_gives_other_clips_of_its_classes():
    other = dataclasses.replace(_PARAMS, seed=_PARAMS.seed + 5)
    same = dataclasses.replace(other, class_seed=_PARAMS.seed)
    ours, others, theirs = (
        soundscapes.class_probabilities(params, 20)
        for params in (_PARAMS, other, same)
    )
    np.testing.assert_array_equal(theirs, ours)
    assert not np.array_equal(others, ours)
    names = [
        soundscapes.segment_id_of_clip(params, "weak", 3)
        for params in (_PARAMS, other, same)
    ]
    assert names[0] != names[1] == names[2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_events", 0),
        ("max_event_seconds", 12.0),
        ("weak_recall", 0.0),
        ("min_snr_db", 30.0),
        ("num_eval_clips", 0),
    ],
)
def test_bad_settings_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name}={value}"):
        dataclasses.replace(_PARAMS, **{name: value})


def test_audioset_preset_has_long_events_and_several_of_a_class():
    params = soundscapes.PRESETS["audioset"]
    made = [
        soundscapes.make_soundscape(params, SyntheticSource(), "weak", number)
        for number in range(25)
    ]
    events = [event for clip in made for event in clip.events]
    seconds = [e.offset_seconds - e.onset_seconds for e in events]
    assert max(seconds) == 10
    assert min(seconds) < 0.5
    assert all(0 <= e.onset_seconds < e.offset_seconds <= 10 for e in events)
    num_pairs = sum(len({e.mid for e in clip.events}) for clip in made)
    assert len(events) > 1.5 * num_pairs
    for clip in made:
        assert np.abs(clip.waveform).max() < 1.0
        # All events of a class in a clip are of one source and level.
        levels = {}
        for event, snr_db in zip(clip.events, clip.snr_db, strict=True):
            assert levels.setdefault(event.mid, snr_db) == snr_db
    again = soundscapes.make_soundscape(params, SyntheticSource(), "weak", 3)
    np.testing.assert_array_equal(again.waveform, made[3].waveform)


def test_strong_clips_draw_from_recordings_of_their_own_if_wanted():
    params = SoundscapeParams(held_out_fraction=0.3)
    own = dataclasses.replace(params, strong_recordings_share=0.1)
    for number in range(20):
        for subset in ("weak", "eval"):
            old = soundscapes.split_of_clip(params, subset, number)
            assert soundscapes.split_of_clip(own, subset, number) == old
        old = soundscapes.split_of_clip(params, "strong", number)
        new = soundscapes.split_of_clip(own, "strong", number)
        assert (old, new) in {
            ("train", "strong"),
            ("validation", "validation"),
        }
