"""Which files of a folder are audio, and which of a clip."""

import os

from audioset_strong.audio.listing import (
    find_audio,
    index_audio_files,
    list_audio_files,
    make_listing,
    sort_file,
)


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
    _write(tmp_path, "x.txt", "y.TXT", "README")
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
    assert listing.num_other_files == {".txt": 2, "": 1}
    assert listing.unreadable_folders == []


def test_sizes_are_those_of_the_files(tmp_path):
    _write(tmp_path, "a/x.m4a", "b.wav", "note.txt", content="xyz")
    _write(tmp_path, "zero.webm", content="")
    assert list_audio_files(str(tmp_path)).num_bytes_of_path == {
        str(tmp_path / "a/x.m4a"): 3,
        str(tmp_path / "b.wav"): 3,
        str(tmp_path / "zero.webm"): 0,
    }


def test_files_that_lie_elsewhere_are_sorted_alike():
    listing = make_listing()
    for name, num_bytes in {
        "a.d/x.MP4": 5,
        "a.d/y.flac": 0,
        "a.d/z.m4a.part": 7,
        "a.d/plain": 1,
    }.items():
        sort_file(f"s3://bucket/{name}", num_bytes, listing)
    assert listing.paths == ["s3://bucket/a.d/x.MP4"]
    assert listing.empty_paths == ["s3://bucket/a.d/y.flac"]
    assert listing.unfinished_paths == ["s3://bucket/a.d/z.m4a.part"]
    assert listing.num_other_files == {"": 1}
    assert list(listing.num_bytes_of_path.values()) == [5, 0]


def test_what_libsndfile_reads_is_taken_before_what_needs_pyav(tmp_path):
    _write(tmp_path, "a_0.mp4", "a_0.wav", "b_0.webm", "z/b_0.m4a")
    _write(tmp_path, "b_0.flac", content="")
    path_of_stem = index_audio_files(str(tmp_path))
    assert find_audio("a_0", path_of_stem) == str(tmp_path / "a_0.wav")
    assert find_audio("b_0", path_of_stem) == str(tmp_path / "b_0.webm")


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
