"""What a folder of audio holds, for machines and for people."""

import pytest

from audioset_strong.audio.listing import survey_audio
from audioset_strong.errors import InputError


def test_by_hand(tmp_path):
    for name, content in {
        "Yabcdefghij-_0.000_10.000.wav": "x",  # a clip
        "more/abcdefghij-.flac": "x",  # and again
        "bcdefghijk-.wav": "x",  # a clip
        "cdefghijkl-_0.wav": "",  # an empty one
        "cdefghijkl-_40000.wav": "x",  # another start
        "defghijklm-.wav.part": "x",
        "cover.jpg": "x",
        "notes": "x",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    clips = ["abcdefghij-_0", "bcdefghijk-_5000", "cdefghijkl-_0"]
    survey = survey_audio(str(tmp_path), [*clips, "defghijklm-_0"])
    timed = str(tmp_path / "Yabcdefghij-_0.000_10.000.wav")
    bare = str(tmp_path / "bcdefghijk-.wav")
    assert survey.matches.path_of_clip == {clips[0]: timed, clips[1]: bare}
    assert survey.as_json() == {
        "audio_dir": str(tmp_path),
        "num_audio_files": 4,
        "num_clips": 2,
        "num_of_scheme": {"Y<ytid>_<start>_<end>": 1, "<ytid>": 1},
        "duplicate_files": {
            "num": 1,
            "first": [str(tmp_path / "more" / "abcdefghij-.flac")],
        },
        "unmatched_files": {
            "num": 1,
            "first": [str(tmp_path / "cdefghijkl-_40000.wav")],
        },
        "empty_files": {
            "num": 1,
            "first": [str(tmp_path / "cdefghijkl-_0.wav")],
        },
        "unfinished_files": {
            "num": 1,
            "first": [str(tmp_path / "defghijklm-.wav.part")],
        },
        "unreadable_folders": {"num": 0, "first": []},
        "num_other_files": {".jpg": 1, "": 1},
    }
    assert survey.lines() == [
        f"{tmp_path}: 4 audio files, 2 labelled clips.",
        "  named Y<ytid>_<start>_<end>: 1",
        "  named <ytid>: 1",
        "  further files of a clip that is there: 1, such as "
        "more/abcdefghij-.flac",
        "  audio files of no labelled clip: 1, such as cdefghijkl-_40000.wav",
        "  empty audio files, not counted as there: 1, such as "
        "cdefghijkl-_0.wav",
        "  unfinished files, not counted as there: 1, such as "
        "defghijklm-.wav.part",
        "  files with other extensions, not looked at: 2 "
        "(1 .jpg, 1 without one)",
    ]


def test_sound_is_taken_before_a_video_of_the_same_clip(tmp_path):
    for name in ("abcdefghij-_0.mp4", "abcdefghij-_0.wav"):
        (tmp_path / name).write_text("x")
    survey = survey_audio(str(tmp_path), ["abcdefghij-_0"])
    assert survey.matches.path_of_clip == {
        "abcdefghij-_0": str(tmp_path / "abcdefghij-_0.wav")
    }
    assert survey.matches.duplicate_paths == [
        str(tmp_path / "abcdefghij-_0.mp4")
    ]


def test_few_of_many_are_named(tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02}.wav").write_text("x")
    survey = survey_audio(str(tmp_path), ["abcdefghij-_0"])
    unmatched = survey.as_json()["unmatched_files"]
    assert unmatched["num"] == 12
    assert unmatched["first"][0] == str(tmp_path / "00.wav")
    assert len(unmatched["first"]) == 5


def test_an_empty_folder_and_none(tmp_path):
    survey = survey_audio(str(tmp_path), ["abcdefghij-_0"])
    assert survey.lines() == [f"{tmp_path}: 0 audio files, 0 labelled clips."]
    with pytest.raises(InputError, match="none is not a folder"):
        survey_audio(str(tmp_path / "none"), [])
