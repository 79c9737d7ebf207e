"""Names of audio files: which clip they are of, and which they are not."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.audio.listing import (
    SCHEMES,
    find_audio,
    index_paths,
    match_audio,
    name_scheme,
)
from audioset_strong.labels.ids import make_segment_id
from audioset_strong.labels.label_files import read_weak_labels

# Real ytids begin with "-" or "Y", end in "_" and hold what looks like times.
_TRICKY_YTIDS = (
    "s9d-2nhuJCQ",
    "--4gqARaEJE",
    "-0CamVQdP_Y",
    "Yabcdefghij",
    "YYYYYYYYYYY",
    "abcdefghij_",
    "___________",
    "abcdefgh_30",
    "abcdef_3_40",
    "_30_40_5000",
    "a_0_10_3000",
)


def _names(ytid, start_seconds):
    """Names of a clip's audio by all schemes, written out.

    14 for a start in whole seconds, else 10.
    """
    s, e = start_seconds, start_seconds + 10
    names = [
        ytid,
        f"{ytid}_{round(s * 1000)}",
        f"{ytid}_{s:.3f}",
        f"{ytid}_{s:.3f}_{e:.3f}",
        f"{ytid}_{s:.1f}_{e:.1f}",
    ]
    if s == int(s):
        names += [f"{ytid}_{int(s)}_{int(e)}", f"{ytid}_{int(s)}_{e:.3f}"]
    return names + [f"Y{name}" for name in names]


@pytest.mark.parametrize(
    ("stem", "scheme"),
    [
        ("s9d-2nhuJCQ_30000", "<ytid>_<ms>"),
        ("Ys9d-2nhuJCQ_30000", "Y<ytid>_<ms>"),
        ("s9d-2nhuJCQ", "<ytid>"),
        ("Ys9d-2nhuJCQ", "Y<ytid>"),
        ("s9d-2nhuJCQ_30_40", "<ytid>_<start>_<end>"),
        ("s9d-2nhuJCQ_30.000_40.000", "<ytid>_<start>_<end>"),
        ("Ys9d-2nhuJCQ_30.000_40.000", "Y<ytid>_<start>_<end>"),
        ("s9d-2nhuJCQ_30.000", "<ytid>_<start>"),
        ("Ys9d-2nhuJCQ_30.0", "Y<ytid>_<start>"),
    ],
)
def test_each_scheme(stem, scheme):
    segment_id, path = "s9d-2nhuJCQ_30000", f"part07/x/{stem}.wav"
    assert find_audio(segment_id, index_paths([path])) == path
    assert match_audio([segment_id], [path]) == ({segment_id: path}, [], [])
    assert name_scheme(segment_id, path) == scheme
    assert scheme in SCHEMES


@pytest.mark.parametrize(
    "stem",
    [
        "s9d-2nhuJCQ_30",  # one whole number is 30 ms, not 30 s
        "s9d-2nhuJCQ_40000",  # another start
        "s9d-2nhuJCQ_40_50",
        "s9d-2nhuJCQ_20.000_30.000",
        "s9d-2nhuJCQ_30.001",
        "s9d-2nhuJCQ_30_20",  # ends before it starts
        "s9d-2nhuJCQ_30000_40000.5",  # seconds: 30,000 s
        "s9d-2nhuJCQ_20000_30000",  # milliseconds: 20 s
        "s9d-2nhuJCQ_30_40_50",
        "s9d-2nhuJCQ_030000_x",
        "s9d-2nhuJCQ_",
        "s9d-2nhuJCQ_30.",
        "s9d-2nhuJCQ.30000",
        "YYs9d-2nhuJCQ",
        "ys9d-2nhuJCQ",
        "s9D-2nhuJCQ",  # ytids differ in case
        "xs9d-2nhuJCQ_30000",
        "s9d-2nhuJC",
        "",
    ],
)
def test_what_is_not_its_name(stem):
    segment_id, paths = "s9d-2nhuJCQ_30000", [f"{stem}.wav"]
    assert find_audio(segment_id, index_paths(paths)) is None
    assert match_audio([segment_id], paths) == ({}, [], paths)
    with pytest.raises(ValueError, match="not named after"):
        name_scheme(segment_id, f"{stem}/nothing.wav")


def test_starts_are_rounded_to_milliseconds():
    # 417.3 * 1000 is 417299.99... in floating point.
    for name in ("abcdefghijk_417.300", "Yabcdefghijk_417.3_427.3"):
        paths = [f"{name}.wav"]
        assert find_audio("abcdefghijk_417300", index_paths(paths)) == paths[0]
    paths = ["abcdefghijk_30.wav"]  # a clip that starts at 0.03 s has it
    assert find_audio("abcdefghijk_30", index_paths(paths)) == paths[0]


@pytest.mark.parametrize("scheme", range(14))
def test_tricky_ytids_are_told_apart(scheme):
    """Every clip finds its own file when all are named by one scheme."""
    for start in (0.0, 5.0, 30.0, 40.0):
        path_of_clip = {
            make_segment_id(ytid, start): f"{_names(ytid, start)[scheme]}.wav"
            for ytid in _TRICKY_YTIDS
        }
        paths = list(path_of_clip.values())
        assert match_audio(path_of_clip, paths) == (path_of_clip, [], [])
        index = index_paths(paths)
        for segment_id, path in path_of_clip.items():
            assert find_audio(segment_id, index) == path


_YTIDS = st.one_of(
    st.sampled_from(_TRICKY_YTIDS),
    # Few characters, so that one name often looks like another.
    st.text("Y_-03", min_size=11, max_size=11),
)


@settings(deadline=None, max_examples=50)
@given(
    ytids=st.lists(_YTIDS, unique=True, min_size=1, max_size=20),
    starts=st.lists(
        st.sampled_from([0.0, 0.3, 3.0, 30.0, 30.5]), min_size=20, max_size=20
    ),
    schemes=st.lists(st.integers(0, 9), min_size=20, max_size=20),
)
def test_files_are_never_taken_for_another_clip(ytids, starts, schemes):
    path_of_clip = {
        make_segment_id(ytid, start): f"{_names(ytid, start)[scheme]}.flac"
        for ytid, start, scheme in zip(ytids, starts, schemes, strict=False)
    }
    paths = list(path_of_clip.values())
    matches = match_audio(path_of_clip, paths)
    assert matches == (path_of_clip, [], [])
    index = index_paths(paths)
    # Each clip alone finds its file; a clip that has none finds none.
    for segment_id in path_of_clip:
        assert find_audio(segment_id, index) == path_of_clip[segment_id]
    others = index_paths(paths[1:])
    assert find_audio(next(iter(path_of_clip)), others) is None


def test_of_two_files_the_most_exact_counts_and_then_the_first():
    exact_first = [
        "abcdefghijk_30000",
        "Yabcdefghijk_30000",
        "abcdefghijk_30_40",
        "Yabcdefghijk_30_40",
        "abcdefghijk",
        "Yabcdefghijk",
    ]
    for better, worse in itertools.combinations(exact_first, 2):
        paths = [f"a/{worse}.wav", f"b/{better}.wav", f"c/{better}.wav"]
        matches = match_audio(["abcdefghijk_30000"], paths)
        assert matches == ({"abcdefghijk_30000": paths[1]}, paths[::2], [])
        assert find_audio("abcdefghijk_30000", index_paths(paths)) == paths[1]


def test_a_file_without_a_start_is_of_every_clip_of_its_video():
    clips = ["abcdefghijk_0", "abcdefghijk_10000"]
    paths = ["abcdefghijk.wav", "abcdefghijk_10_20.wav"]
    assert match_audio(clips, paths) == (
        {clips[0]: paths[0], clips[1]: paths[1]},
        [],
        [],
    )


def test_clips_given_twice_count_once():
    clips, paths = ["abcdefghijk_0"] * 2, ["abcdefghijk_0.wav", "x.wav"]
    assert match_audio(clips, paths) == ({clips[0]: paths[0]}, [], paths[1:])


def test_real_clips_under_every_scheme(audioset_labels):
    """Real ids and starts; each third clip has no file, and finds none."""
    weak = read_weak_labels(audioset_labels / "eval_segments.csv")
    clips = list(zip(weak["segment_id"], weak["start_seconds"], strict=True))
    for scheme in range(10):
        path_of_clip = {
            segment_id: f"{_names(segment_id[:11], start)[scheme]}.mp3"
            for number, (segment_id, start) in enumerate(clips)
            if number % 3
        }
        paths = list(path_of_clip.values())
        matches = match_audio(weak["segment_id"], paths)
        assert matches == (path_of_clip, [], [])
