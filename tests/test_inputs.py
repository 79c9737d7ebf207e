import io
import os
import tarfile

import pytest

from audioset_strong.errors import InputError
from audioset_strong.inference.inputs import (
    find_inputs,
    one_line,
    split_class_names,
)
from audioset_strong.labels.class_map import ClassMap
from audioset_strong.labels.ids import is_segment_id

_WAV = b"RIFF\x24\0\0\0WAVEfmt "


def _write(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_WAV)


def _find(*arguments, listed=b""):
    return find_inputs([os.fspath(a) for a in arguments], io.BytesIO(listed))


def _ids(*arguments, listed=b""):
    found = _find(*arguments, listed=listed)
    return [recording.segment_id for recording in found.recordings]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_gives_all_audio_in_it_by_content_too(here):
    _write(here, "rec/z.wav", "rec/deep/er/a b.flac", "rec/no_extension")
    (here / "rec" / "notes.txt").write_text("no audio")
    (here / "rec" / "unknown.xyz").write_text("no audio")
    _write(here, "rec/half.wav.part", "rec/._z.wav")
    found = _find("rec")
    assert [r.segment_id for r in found.recordings] == [
        "deep/er/a b",
        "no_extension",
        "z",
    ]
    assert found.recordings[0].path == "rec/deep/er/a b.flac"
    assert any("unfinished" in n and "half.wav.part" in n for n in found.notes)
    assert any("macOS" in n and "._z.wav" in n for n in found.notes)


def test_files_are_named_from_the_working_directory(here):
    _write(here, "rec/a.wav", "b.mp3", "c.with.dots")
    assert _ids("rec/a.wav", "./b.mp3", here / "c.with.dots") == [
        "rec/a",
        "b",
        "c.with.dots",
    ]


def test_files_from_elsewhere_are_named_from_what_they_share(
    here, tmp_path_factory
):
    other = tmp_path_factory.mktemp("other")
    _write(other, "x/a.wav", "y/a.wav")
    assert _ids(other / "x" / "a.wav") == ["a"]
    assert _ids(*other.glob("*/a.wav")) == [
        f"{path.parent.name}/a" for path in other.glob("*/a.wav")
    ]


def test_equal_names_keep_extension_then_folder_then_a_number(here):
    _write(here, "mon/door 7.wav", "mon/door 7.flac", "tue/door 7.wav")
    _write(here, "mon/other.wav")
    assert _ids("mon", "tue") == [
        "door 7.flac",
        "mon/door 7.wav",
        "other",
        "tue/door 7.wav",
    ]
    _write(here, "w/a.wav", "w/a.flac", "w/a.wav.mp3")
    ids = _ids("w")
    assert sorted(ids) == ["a.flac", "a.wav.mp3", "w/a.wav"]
    # One is named as another's odd character is written.
    _write(here, "v/a\tb.wav", "v/a%09b.wav")
    ids = _ids("v")
    assert len(set(ids)) == 2
    assert all(name.startswith("v/a%09b.wav (") for name in ids)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\0"])
def test_lists_on_standard_input(here, ending):
    _write(here, "rec/a.wav", "-0abc.wav", "*.wav")
    listed = b"\xef\xbb\xbf" + ending.join([b"rec", b"-0abc.wav", b"*.wav"])
    assert _ids("-", listed=listed + ending) == ["a", "-0abc", "*"]


def test_only_nul_can_list_any_name(here):
    _write(here, "a\nb.wav")
    assert _ids("-", listed=b"a\nb.wav\0") == ["a%0Ab"]


def test_patterns_are_expanded_and_names_like_patterns_are_files(here):
    _write(here, "rec/a.wav", "rec/deep/b.wav", "[ab].wav", "a.wav")
    assert _ids("rec/**/*.wav") == ["rec/a", "rec/deep/b"]
    assert _ids("[ab].wav") == ["[ab]"]


def test_a_file_counts_once_however_it_is_named(here):
    _write(here, "rec/a.wav")
    os.symlink("rec", here / "link")
    os.symlink("rec/a.wav", here / "b.wav")
    found = _find("rec", "./rec/../rec/a.wav", "link/a.wav", here / "b.wav")
    assert [r.path for r in found.recordings] == ["rec/a.wav"]
    [note] = found.notes
    assert "scored once: 3 (" in note
    assert "'link/a.wav' is 'rec/a.wav'" in note


def test_what_is_not_there_is_left_to_scoring(here):
    _write(here, "a.wav")
    assert [r.path for r in _find("a.wav", "gone.wav", "*.mp3").recordings] == [
        "a.wav",
        "gone.wav",
        "*.mp3",
    ]


def test_nothing_at_all_is_an_error(here):
    (here / "rec").mkdir()
    (here / "rec" / "a.txt").write_text("text")
    with pytest.raises(InputError, match="found none. rec holds no audio"):
        _find("rec")
    with pytest.raises(InputError, match="Received: none"):
        _find()
    with pytest.raises(InputError, match="found none"):
        _find("-", listed=b"\n\n")


def test_members_of_tars_never_name_a_place(here):
    _write(here, "a.wav")
    (here / "a.json").write_text('{"id": "../k2"}')
    (here / "rec").mkdir()
    with tarfile.open(here / "rec" / "x.tar", "w") as tar:
        tar.add("a.wav", "k1.wav")
        tar.add("a.wav", "../../x.y.wav")
        tar.add("a.wav", "b/.. .wav")
        tar.add("a.json", "b/.. .json")
    assert _ids("rec") == ["x.tar/k1", "x.tar/x.y", "x.tar/%2E%2E/k2"]
    assert _ids("rec/x.tar") == ["k1", "x.y", "%2E%2E/k2"]


def test_a_bad_tar_is_one_recording_that_fails(here):
    _write(here, "rec/a.wav")
    (here / "rec" / "bad.tar").write_bytes(b"no tar" * 200)
    found = _find("rec")
    assert [r.path for r in found.recordings] == ["rec/a.wav", "rec/bad.tar"]
    assert any("bad.tar is no tar that can be read" in n for n in found.notes)


@pytest.mark.parametrize(
    "name",
    [
        b"tab\there.wav",
        b"new\nline.wav",
        b'quote".wav',
        b"not-utf-8-\xff\xfe.wav",
        b" leading.wav",
        b"x" * 245 + b".wav",
        b"\xc3\xa9" * 122 + b".wav",
        b"del\x7f.wav",
    ],
)
def test_any_name_gives_an_id_for_tables_and_files(here, name):
    os.mkdir("rec")
    with open(b"rec/" + name, "wb") as file:
        file.write(_WAV)
    [recording] = _find("rec").recordings
    assert is_segment_id(recording.segment_id)
    assert os.fsencode(recording.path) == b"rec/" + name
    assert "\n" not in one_line(recording.path)
    # Results are called so, with an extension.
    (here / f"{recording.segment_id}.selections.txt").write_text("")


def test_classes_are_split_at_commas_unless_one_has_them():
    class_map = ClassMap(("/m/1", "/m/2"), ("Child speech, kid", "Dog"))
    split = split_class_names(
        ["Child speech, kid", 'Dog, "Child speech, kid"', "/m/1,/m/2"],
        class_map,
    )
    assert split == [
        "Child speech, kid",
        "Dog",
        "Child speech, kid",
        "/m/1",
        "/m/2",
    ]
