"""Fixtures that several test modules share: real files, the tiny release."""

import importlib.util
import os
import pathlib
import sys

import pytest
from tiny_release import prepare_tiny, write_tiny_release

# Where the real files may lie; see README.md.
_DATA = pathlib.Path(
    os.environ.get(
        "AUDIOSET_STRONG_DATA",
        pathlib.Path(__file__).parents[2] / "shared" / "data",
    )
)

# `make test` gives each file to one process, because what a module sets up is
# slow. The longest go first, so that no process waits for another in the end.
_LONGEST = (
    "test_streams.py",
    "test_train_damage.py",
    "test_trainer.py",
    "test_waveform_model.py",
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in _LONGEST)


@pytest.fixture(autouse=True)
def _seeded_models():
    """Gives every test that builds a network the same first weights."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


def _real_folder(name):
    if not (_DATA / name).is_dir():
        pytest.skip(f"no real files in {_DATA / name}; see README.md")
    return _DATA / name


@pytest.fixture(scope="session")
def audioset_labels():
    """Folder of released weak labels, names and ontology, or a skip."""
    return _real_folder("audioset_labels")


@pytest.fixture(scope="session")
def strong_excerpts():
    """Folder of excerpts of the released strong files, or a skip."""
    return _real_folder("audioset_strong_excerpts")


@pytest.fixture(scope="session")
def esc50_dir():
    """Folder of real recordings in ESC-50's layout, or a skip."""
    return _real_folder("esc50")


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory):
    """Folder of the tiny release: audio/, weak.csv, strong.tsv, classes.csv."""
    folder = tmp_path_factory.mktemp("tiny_release")
    write_tiny_release(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_records_dir(tiny_release, tmp_path_factory):
    """Folder of the tiny release's records; not to be changed."""
    output_dir = tmp_path_factory.mktemp("tiny_records")
    prepare_tiny(tiny_release, output_dir)
    return str(output_dir)


@pytest.fixture(scope="session")
def untrained_workdir(tmp_path_factory):
    """Folder of a run of a tiny network that was never trained."""
    from untrained_run import save_untrained_run

    folder = tmp_path_factory.mktemp("run")
    save_untrained_run(str(folder))
    return str(folder)


@pytest.fixture(scope="session")
def export_dir(untrained_workdir, tmp_path_factory):
    """Folder of that run's export, which was compared with it."""
    from audioset_strong.export.formats import export_model

    folder = tmp_path_factory.mktemp("exports") / "model"
    [difference] = export_model(untrained_workdir, str(folder)).values()
    assert difference <= 1e-4
    return str(folder)


@pytest.fixture(scope="session")
def s3_bucket():
    """An empty s3:// bucket of a server on loopback, or a skip."""
    from s3_server import BUCKET, environment_of, run_s3_server

    for package in ("moto", "s3fs"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; see README.md")
    with run_s3_server() as endpoint, environment_of(endpoint):
        yield f"s3://{BUCKET}"


@pytest.fixture
def s3_dir(s3_bucket, request):
    """An s3:// folder of a test's own; it holds nothing."""
    return f"{s3_bucket}/{request.node.name}"
