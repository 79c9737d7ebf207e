"""Storage that fails: one clear line, nothing half-written, nothing lost."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from tiny_release import prepare_tiny

from audioset_strong.audio import decode
from audioset_strong.errors import InputError
from audioset_strong.records import prepare

# A tiny release takes 1.8 MB: shards of 0.5 MB, then others.
_BYTES = 1_000_000


def _command(release, output_dir, num_workers):
    return [
        sys.executable,
        "-m",
        "audioset_strong.prepare_records",
        f"--audio_dir={release / 'audio'}",
        f"--weak_labels={release / 'weak.csv'}",
        f"--strong_labels={release / 'strong.tsv'}",
        f"--class_map={release / 'classes.csv'}",
        f"--output_dir={output_dir}",
        "--held_out_fraction=0.2",
        "--clips_per_shard=4",
        f"--num_workers={num_workers}",
    ]


def _run(release, output_dir, num_workers=1, **options):
    return subprocess.run(
        _command(release, output_dir, num_workers),
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def _mount(folder, *options):
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """A file system with less room than the records need."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        _mount(folder, "-o", f"size={_BYTES}")
    except FileNotFoundError:
        pytest.skip("needs the command mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _last_line(done):
    return done.stderr.strip().splitlines()[-1]


def _check_nothing_is_half_written(output_dir):
    """Every shard under a final name has a report of its size."""
    shards = list(output_dir.glob("*.tfrecord"))
    for shard in shards:
        report = output_dir / "reports" / f"{shard.name}.json"
        assert f'"num_bytes": {shard.stat().st_size},' in report.read_text()
    assert not list(output_dir.rglob(".tmp-*"))
    assert not (output_dir / "manifest.json").exists()
    return len(shards)


def test_a_full_disk(tiny_release, small_disk):
    output_dir = small_disk / "out"
    done = _run(tiny_release, output_dir, num_workers=2)
    assert done.returncode == 2, done.stderr
    assert "No space left on device" in _last_line(done)
    assert "Finished shards are kept" in _last_line(done)
    assert "Traceback" not in done.stderr
    num_finished = _check_nothing_is_half_written(output_dir)
    assert num_finished < 6


def test_a_disk_that_got_room_again(tiny_release, tiny_records_dir, small_disk):
    output_dir = small_disk / "out"
    assert _run(tiny_release, output_dir).returncode == 2
    subprocess.run(
        ["mount", "-o", "remount,size=9000000", str(small_disk)], check=True
    )
    prepare_tiny(tiny_release, output_dir)
    for path in pathlib.Path(tiny_records_dir).rglob("*.*"):
        name = path.relative_to(tiny_records_dir)
        assert (output_dir / name).read_bytes() == path.read_bytes(), name


def test_files_that_may_not_grow(tiny_release, tmp_path):
    """Like a quota, and without the right to mount."""
    resource = pytest.importorskip("resource")
    output_dir = tmp_path / "out"
    done = _run(
        tiny_release,
        output_dir,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (200_000, 200_000)
        ),
    )
    assert done.returncode == 2, done.stderr
    assert "A shard could not be written" in _last_line(done)
    assert "File too large" in _last_line(done)
    # The shard of a single clip fits.
    assert _check_nothing_is_half_written(output_dir) < 6


def test_a_read_only_folder(tiny_release, tmp_path):
    folder = tmp_path / "fixed"
    folder.mkdir()
    if os.geteuid() == 0:  # permissions do not bind root
        _mount(folder, "-o", "ro")
    else:
        folder.chmod(0o555)
    try:
        done = _run(tiny_release, folder / "out")
        assert not list(folder.iterdir())
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(folder)], check=True)
    assert done.returncode == 2, done.stderr
    assert _last_line(done).startswith("prepare_records: error: ")
    assert str(folder / "out") in _last_line(done)
    assert any(
        words in _last_line(done)
        for words in ("Read-only file system", "Permission denied")
    )


def _contents(output_dir):
    return {p.name: p.read_bytes() for p in output_dir.glob("*.tfrecord")}


def test_audio_that_vanishes_is_read_by_the_next_run(
    tiny_release, tiny_records_dir, tmp_path, monkeypatch
):
    """A mount that is gone after the files were listed, or not on a worker."""
    release, output_dir = tmp_path / "release", tmp_path / "out"
    shutil.copytree(tiny_release, release)
    gone = release / "audio" / "more"  # with all clips that have weak labels

    def save_and_unmount(tasks):
        save_tasks(tasks)
        gone.rename(tmp_path / "elsewhere")

    save_tasks = prepare.save_tasks
    with monkeypatch.context() as patched:
        patched.setattr(prepare, "save_tasks", save_and_unmount)
        message = (
            r"2 of 5 shards are not written, 2 because a machine cannot read "
            r".* The first, on .*: .*/more/Ynuka_weak\d\d\.flac: No such file"
        )
        with pytest.raises(InputError, match=message):
            prepare_tiny(release, output_dir)
    assert not (output_dir / "manifest.json").exists()
    # The other shards are finished.
    assert {name[:5] for name in _contents(output_dir)} == {"stron", "held_"}
    # While it is gone the finished clips are kept, and the others are missing.
    (tmp_path / "elsewhere").rename(gone)
    prepare_tiny(release, output_dir)
    assert _contents(output_dir) == _contents(pathlib.Path(tiny_records_dir))
    assert not list(output_dir.glob("reports/*.failed.json"))
    # A folder that was lost between two runs takes nothing away.
    gone.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="14 finished clips.* 4 would have no"):
        prepare_tiny(release, output_dir)
    assert _contents(output_dir) == _contents(pathlib.Path(tiny_records_dir))


def test_a_package_that_is_installed_later_is_used(
    tiny_release, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched:
        # Files that only PyAV reads, and no PyAV.
        patched.setattr(decode, "SOUNDFILE_FORMATS", ())
        patched.setitem(sys.modules, "av", None)
        with pytest.raises(InputError, match="cannot read .* PyAV reads more"):
            prepare_tiny(tiny_release, tmp_path)
    manifest = prepare_tiny(tiny_release, tmp_path)
    assert sum(manifest["clips"].values()) == 14
