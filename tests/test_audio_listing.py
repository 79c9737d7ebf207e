"""Audio files are found by name, whatever people call them; and surveyed."""

import itertools
import os
import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong import files
from audioset_strong.audio.decode import AudioError, decode_audio
from audioset_strong.audio.listing import (
    SCHEMES,
    AudioListing,
    find_audio,
    index_listing,
    index_paths,
    list_audio,
    match_audio,
    name_scheme,
    survey_audio,
)
from audioset_strong.errors import InputError
from audioset_strong.labels.ids import make_segment_id

# Names.

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
        ("s9d-2nhuJCQ_30000_40000", "<ytid>_<start>_<end>"),
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
        "s9d-2nhuJCQ_",
        "s9d-2nhuJCQ_30.",
        "YYs9d-2nhuJCQ",
        "s9D-2nhuJCQ",  # ytids differ in case
        "xs9d-2nhuJCQ_30000",
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


def test_files_and_clips_that_are_shared_or_given_twice():
    clips = ["abcdefghijk_0", "abcdefghijk_10000", "abcdefghijk_0"]
    # A file without a start is of every clip of its video.
    paths = ["abcdefghijk.wav", "abcdefghijk_10_20.wav", "x.wav"]
    expected = {clips[0]: paths[0], clips[1]: paths[1]}
    assert match_audio(clips, paths) == (expected, [], paths[2:])


# Folders.


def _write(folder, *names, content="x"):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def _index(folder):
    return index_listing(list_audio(str(folder)))


def test_files_in_folders_are_found(tmp_path):
    _write(tmp_path, "-a_b_30000.wav", "sub/deeper/Yabcdefghij-.OGG")
    index = _index(tmp_path)
    assert find_audio("-a_b_30000", index) == str(tmp_path / "-a_b_30000.wav")
    bare = str(tmp_path / "sub/deeper/Yabcdefghij-.OGG")
    assert find_audio("abcdefghij-_15", index) == bare
    assert find_audio("-a_b_0", index) is None
    assert _index(tmp_path / "none") == _index(pathlib.Path(bare)) == {}


def test_the_better_file_is_taken(tmp_path):
    # One with something in it before an empty one, and what libsndfile reads
    # before what needs PyAV.
    _write(tmp_path, "1/a_0.wav", "1/b_0.wav", "c_0.flac", content="")
    _write(tmp_path, "2/a_0.wav", "2/b_0.wav.part", "c_0.webm", "z/c_0.m4a")
    _write(tmp_path, "d_0.mp4", "d_0.wav")
    index = _index(tmp_path)
    assert find_audio("a_0", index) == str(tmp_path / "2" / "a_0.wav")
    # Preparation then says that the clip's file is empty, not missing.
    assert find_audio("b_0", index) == str(tmp_path / "1" / "b_0.wav")
    assert find_audio("c_0", index) == str(tmp_path / "c_0.webm")
    assert find_audio("d_0", index) == str(tmp_path / "d_0.wav")


def test_listing_tells_files_apart(tmp_path):
    _write(tmp_path, "b.wav", "a/c.FLAC", "a.mp3", content="xyz")
    _write(tmp_path, "zero.wav", content="")
    _write(tmp_path, "x.txt", "y.TXT", "README")
    unfinished = ("u.temp.wav", "u.wav.part", "u.webm.part-Frag3", "u.ytdl")
    _write(tmp_path, *unfinished)
    (tmp_path / "dead.wav").symlink_to(tmp_path / "nowhere")

    def paths(*names):
        return [str(tmp_path / name) for name in names]

    # A folder's files before those of its subfolders.
    audio, empty = paths("a.mp3", "b.wav", "a/c.FLAC"), paths("dead.wav")
    empty += paths("zero.wav")
    sizes = dict.fromkeys(audio, 3) | dict.fromkeys(empty, 0)
    assert list_audio(str(tmp_path)) == AudioListing(
        audio, empty, paths(*sorted(unfinished)), {".txt": 2, "": 1}, [], sizes
    )


def test_linked_folders_are_read_once(tmp_path):
    _write(tmp_path, "real/a.wav")
    (tmp_path / "again").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    listing = list_audio(str(tmp_path))
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
    listing = list_audio(str(tmp_path))
    assert listing.paths == [str(tmp_path / "a.wav")]
    assert listing.unreadable_folders == [str(tmp_path / "lost+found")]
    assert list(index_listing(listing)) == ["a"]


def test_remote_files_are_listed_as_local_ones(tmp_path, s3_dir):
    for name in (
        *("b_30000.flac", "a.wav", "none.mp3", "cut.webm.part"),
        *("labels.csv", "README", "more/deep/Y_under.ogg"),
    ):
        content = "" if name == "none.mp3" else "x"
        _write(tmp_path, name, content=content)
        with files.replace_when_whole(f"{s3_dir}/{name}") as temporary:
            pathlib.Path(temporary).write_text(content)

    def names(folder):
        listing = list_audio(folder)
        # Whether sizes are listed is up to the storage; an empty file is found
        # when it is decoded at the latest.
        audio = sorted(listing.paths + listing.empty_paths)
        paths = [*audio, "unfinished", *listing.unfinished_paths]
        names = [path.removeprefix(f"{folder}/") for path in paths]
        return names, listing.num_other_files

    assert names(s3_dir) == names(str(tmp_path))
    with pytest.raises(AudioError, match="empty_file"):
        decode_audio(f"{s3_dir}/none.mp3", 16000)
    assert list_audio(f"{s3_dir}/none") == AudioListing()
    with pytest.raises(FileNotFoundError, match="bucket"):
        list_audio("s3://no-such-bucket/clips")


# Surveys.


def test_a_survey_by_hand(tmp_path):
    for name, content in {
        "Yabcdefghij-_0.000_10.000.wav": "x",  # a clip
        "more/abcdefghij-.flac": "x",  # and again
        "bcdefghijk-.wav": "x",  # a clip
        "bcdefghijk-.mp4": "x",  # its video, which is not preferred
        "cdefghijkl-_0.wav": "",  # an empty one
        "cdefghijkl-_40000.wav": "x",  # another start
        "defghijklm-.wav.part": "x",
        "cover.jpg": "x",
        "notes": "x",
    }.items():
        _write(tmp_path, name, content=content)
    clips = ["abcdefghij-_0", "bcdefghijk-_5000", "cdefghijkl-_0"]
    survey = survey_audio(str(tmp_path), [*clips, "defghijklm-_0"])
    timed = str(tmp_path / "Yabcdefghij-_0.000_10.000.wav")
    bare = str(tmp_path / "bcdefghijk-.wav")
    assert survey.matches.path_of_clip == {clips[0]: timed, clips[1]: bare}

    def kind(*names):
        paths = [str(tmp_path / name) for name in names]
        return {"num": len(names), "first": paths}

    assert survey.as_json() == {
        "audio_dir": str(tmp_path),
        "num_audio_files": 5,
        "num_clips": 2,
        "num_of_scheme": {"Y<ytid>_<start>_<end>": 1, "<ytid>": 1},
        "duplicate_files": kind("more/abcdefghij-.flac", "bcdefghijk-.mp4"),
        "unmatched_files": kind("cdefghijkl-_40000.wav"),
        "empty_files": kind("cdefghijkl-_0.wav"),
        "unfinished_files": kind("defghijklm-.wav.part"),
        "unreadable_folders": kind(),
        "num_other_files": {".jpg": 1, "": 1},
    }
    assert survey.lines() == [
        f"{tmp_path}: 5 audio files, 2 labelled clips.",
        "  named Y<ytid>_<start>_<end>: 1",
        "  named <ytid>: 1",
        "  further files of a clip that is there: 2, such as "
        "more/abcdefghij-.flac",
        "  audio files of no labelled clip: 1, such as cdefghijkl-_40000.wav",
        "  empty audio files, not counted as there: 1, such as "
        "cdefghijkl-_0.wav",
        "  unfinished files, not counted as there: 1, such as "
        "defghijklm-.wav.part",
        "  files with other extensions, not looked at: 2 "
        "(1 .jpg, 1 without one)",
    ]


def test_few_of_many_are_named_in_a_survey(tmp_path):
    survey = survey_audio(str(tmp_path), ["abcdefghij-_0"])
    assert survey.lines() == [f"{tmp_path}: 0 audio files, 0 labelled clips."]
    _write(tmp_path, *(f"{number:02}.wav" for number in range(12)))
    unmatched = survey_audio(str(tmp_path), []).as_json()["unmatched_files"]
    first = [str(tmp_path / f"0{number}.wav") for number in range(5)]
    assert unmatched == {"num": 12, "first": first}
    with pytest.raises(InputError, match="none is not a folder"):
        survey_audio(str(tmp_path / "none"), [])
