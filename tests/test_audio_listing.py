"""Audio files are found by name, whatever people call them; and surveyed."""

import itertools
import os
import pathlib

import pytest
from audio_bytes import encode, noise
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
    indexed_audio,
    is_of_whole_video,
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

    20 for a start in whole seconds, else 16.
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
    names += [f"Y{name}" for name in names]
    # One start is as many seconds as another is milliseconds: not both.
    dashed = [f"{ytid}_{s:.1f}-{e:.1f}", f"{ytid}-{s:.3f}-{e:.3f}"]
    dashed += [f"Y{name}" for name in dashed]
    return [
        *names,
        *dashed,
        f"A [b] {s} [{ytid}]",
        f"id_{ytid}_{s:.2f}_{e:.2f}",
    ]


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
        ("s9d-2nhuJCQ_30.0-40.0", "<ytid>_<start>-<end>"),
        ("Ys9d-2nhuJCQ_30-40", "Y<ytid>_<start>-<end>"),
        ("s9d-2nhuJCQ-30.000-40.000", "<ytid>-<start>-<end>"),
        ("s9d-2nhuJCQ-30000-40000", "<ytid>-<start>-<end>"),
        ("id_s9d-2nhuJCQ", "id_<ytid>"),
        ("id_Ys9d-2nhuJCQ", "id_Y<ytid>"),
        ("id_s9d-2nhuJCQ_30_40", "id_<ytid>_<start>_<end>"),
        ("id_s9d-2nhuJCQ_30.000_40.000", "id_<ytid>_<start>_<end>"),
        ("id_s9d-2nhuJCQ_30000", "id_<ytid>_<ms>"),
        ("A dog [2019] - barks [s9d-2nhuJCQ]", "<title> [<ytid>]"),
        ("[s9d-2nhuJCQ]", "<title> [<ytid>]"),
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
        "s9d-2nhuJCQ-30",
        "s9d-2nhuJCQ_40.0-50.0",
        "s9d-2nhuJCQ-0.000-10.000",
        "id-s9d-2nhuJCQ",
        "ids9d-2nhuJCQ",
        "[s9d-2nhuJCQ] a dog",
        "a dog s9d-2nhuJCQ",
        "a dog [s9d-2nhuJC]",
        "a dog [s9d-2nhuJCQ_30000]",
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


@pytest.mark.parametrize("scheme", range(20))
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
    schemes=st.lists(st.integers(0, 15), min_size=20, max_size=20),
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
        "id_abcdefghijk",
        "A title [abcdefghijk]",
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


@pytest.mark.parametrize(
    "segment_id", ["rec_105", "007", "dog 1", "a-1.0-2.0", "b.c", "d [e]", "é"]
)
def test_own_ids_are_all_of_a_name(segment_id):
    path = f"x/{segment_id}.wav"
    others = [
        *(f"Y{segment_id}.wav", f"id_{segment_id}.wav", f"{segment_id}_0.wav"),
        *(f"{segment_id}_0_10.wav", f"t [{segment_id}].wav", "105.wav"),
        *(f"0{segment_id}.wav", "rec.wav", "7.wav", "a_1.0_2.0.wav", "b.wav"),
    ]
    assert find_audio(segment_id, index_paths(others)) is None
    assert find_audio(segment_id, index_paths([*others, path])) == path
    matches = match_audio([segment_id], [*others, path])
    assert matches == ({segment_id: path}, [], others)
    assert name_scheme(segment_id, path) == "<segment_id>"
    with pytest.raises(ValueError, match="not named after"):
        name_scheme(segment_id, others[0])


@pytest.mark.parametrize("name", ["a.wav", "Yab_3.0_13.0.MP3", "b 1.flac"])
def test_ids_that_are_file_names(name):
    stem = os.path.splitext(name)[0]
    other, path = f"0/{stem}.ogg", f"1/{name}"
    for paths in ([path], [other, path], [path, other]):
        assert find_audio(name, index_paths(paths)) == path
        matches = match_audio([name], paths)
        assert matches.path_of_clip == {name: path}
        assert matches.unmatched_paths == []
    assert find_audio(name, index_paths([other])) == other  # as FLAC, say
    assert name_scheme(name, path) == "<segment_id>"
    assert find_audio(stem, index_paths([path])) == path
    assert find_audio(f"x/{name}", index_paths([path])) is None


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


_SOUND = encode(noise(2000), 16000, "WAV")


def test_files_are_told_by_content_where_names_do_not_say(tmp_path):
    for name in ("abcdefghij-_30.000_40.000", "bcdefghijk-", "rec 1", "c.tape"):
        (tmp_path / name).write_bytes(_SOUND)
    (tmp_path / "d.json").write_bytes(_SOUND)
    _write(tmp_path, "d", "e", "rec 2.take", content="no sound")
    (tmp_path / "rec 2").write_bytes(_SOUND)
    (tmp_path / "f").write_bytes(_SOUND)
    _write(tmp_path, "deeper/f.wav")
    index = _index(tmp_path)
    names = {
        "abcdefghij-_30000": "abcdefghij-_30.000_40.000",
        "bcdefghijk-_5000": "bcdefghijk-",
        "rec 1": "rec 1",
        "rec 2": "rec 2",
        "c": "c.tape",
        "d": None,
        "e": None,
        "f": "deeper/f.wav",  # its name says that it is audio
    }
    paths = {i: n and str(tmp_path / n) for i, n in names.items()}
    for segment_id, path in paths.items():
        assert find_audio(segment_id, index) == path, segment_id
    assert indexed_audio(index) == {paths["f"]}
    survey = survey_audio(str(tmp_path), names)
    there = {i: path for i, path in paths.items() if path}
    assert survey.matches.path_of_clip == there
    assert survey.matches.unmatched_paths == []
    assert survey.num_of_scheme == {
        "<segment_id>": 4,
        "<ytid>_<start>_<end>": 1,
        "<ytid>": 1,
    }
    for segment_id, is_whole in (
        ("abcdefghij-_30000", False),
        ("bcdefghijk-_5000", True),
        ("rec 1", False),
    ):
        path = paths[segment_id]
        assert is_of_whole_video(segment_id, path, index) == is_whole


@pytest.mark.parametrize(
    ("stem", "is_whole"),
    [
        ("abcdefghijk", True),
        ("Yabcdefghijk", True),
        ("id_abcdefghijk", True),
        ("A title [abcdefghijk]", True),
        ("abcdefghijk_30000", False),
        ("id_abcdefghijk_30_40", False),
        ("abcdefghijk-30.0-40.0", False),
    ],
)
def test_which_names_are_of_whole_videos(stem, is_whole):
    path = f"{stem}.webm"
    index = index_paths([path])
    assert is_of_whole_video("abcdefghijk_30000", path, index) == is_whole


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
    sizes |= dict.fromkeys(paths("README"), 1)
    assert list_audio(str(tmp_path)) == AudioListing(
        *(audio, empty, paths(*sorted(unfinished)), {".txt": 2, "": 1}),
        *([], sizes),
        unknown_paths=paths("README"),
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


@pytest.mark.slow
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
        "  files with other extensions: 2 (1 .jpg, 1 without one)",
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
