"""Output files are whole or not there."""

import pytest

from audioset_strong.errors import InputError
from audioset_strong.files import open_output, temporary_path


def test_a_whole_file_gets_its_name(tmp_path):
    path = tmp_path / "out.csv"
    with open_output(path) as file:
        file.write("a\r\nb\n")
        assert not path.exists()
    assert path.read_bytes() == b"a\r\nb\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")

    def write_and_stop():
        with open_output(path, "wb") as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_writers_that_choose_a_format_see_the_extension(tmp_path):
    with temporary_path(tmp_path / "figure.png") as temporary:
        assert temporary.endswith(".png")
        with open(temporary, "wb") as file:
            file.write(b"png")
    assert (tmp_path / "figure.png").read_bytes() == b"png"


def test_nothing_written_is_an_error(tmp_path):
    with (
        pytest.raises(FileNotFoundError),
        temporary_path(tmp_path / "never.csv"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    with open_output(tmp_path / "link.csv") as file:
        file.write("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with (
        pytest.raises(InputError, match="none is none. Make it first"),
        open_output(tmp_path / "none" / "a.csv"),
    ):
        pass


def test_object_storage_is_refused_and_no_folder_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(InputError, match="local path, found s3://bucket/a.csv"),
        open_output("s3://bucket/a.csv"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
