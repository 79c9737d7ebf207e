"""Audio in object storage is listed as audio in a folder is."""

import pathlib

import pytest

from audioset_strong import files
from audioset_strong.audio.decode import AudioError, decode_audio
from audioset_strong.audio.listing import list_audio

pytestmark = pytest.mark.xdist_group("s3")

# Of each kind of file, in subfolders and beside them; name and size.
_FILES = {
    "b_30000.flac": 3,
    "a.wav": 2,
    "none.mp3": 0,
    "cut.webm.part": 5,
    "cut.temp.flac": 5,
    "labels.csv": 4,
    "README": 1,
    "more/-dash.wav": 7,
    "more/deep/Y_under.ogg": 8,
}


@pytest.fixture
def folders(tmp_path, s3_dir):
    """The same files in a local and in a remote folder."""
    for name, num_bytes in _FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(num_bytes))
        with files.replace_when_whole(f"{s3_dir}/{name}") as temporary:
            pathlib.Path(temporary).write_bytes(bytes(num_bytes))
    return str(tmp_path), s3_dir


def test_remote_files_are_sorted_as_local_ones(folders):
    local, remote = folders
    listed = list_audio(remote)
    assert [path.removeprefix(f"{remote}/") for path in listed.paths] == [
        "a.wav",
        "b_30000.flac",
        "none.mp3",
        "more/-dash.wav",
        "more/deep/Y_under.ogg",
    ]
    # Sizes of audio are not asked for, so that an empty file is found by
    # decoding only.
    assert listed.empty_paths == []
    assert listed.num_bytes_of_path == {}
    expected = list_audio(local)
    for field in ("unfinished_paths", "num_other_files", "unreadable_folders"):
        of_local = repr(getattr(expected, field)).replace(local, remote)
        assert repr(getattr(listed, field)) == of_local, field
    with pytest.raises(AudioError, match="empty_file"):
        decode_audio(f"{remote}/none.mp3", 16000)


def test_of_a_missing_folder_nothing_is_listed(s3_dir, tmp_path):
    for folder in (s3_dir, str(tmp_path / "none")):
        listed = list_audio(folder)
        assert not any(listed)


def test_a_missing_bucket_is_an_error(s3_bucket):
    with pytest.raises(FileNotFoundError, match="No such object or bucket"):
        list_audio("s3://no-such-bucket/clips")
