"""The README is true of the files: paths, commands and their flags exist."""

import pathlib
import re

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_DOCUMENTS = ["README.md", "BUILD_NOTES.md", "experiments/README.md"]
_COMMAND = re.compile(r"python -m ((?:audioset_strong|experiments)[.\w]*)(.*)")


def _text(name):
    # A command that goes on in the next line is one line.
    return (_ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")


@pytest.mark.parametrize("name", _DOCUMENTS)
def test_links_lead_somewhere(name):
    folder = (_ROOT / name).parent
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", _text(name))
    missing = [link for link in links if not (folder / link).exists()]
    assert not missing


def test_modules_of_the_tables_exist():
    text = _text("README.md")
    packages = ("labels", "evaluation", "features", "records", "models")
    packages += ("training", "inference", "simulation", "analysis", "download")
    paths = re.findall(rf"`((?:{'|'.join(packages)})/[\w/]*(?:\.py)?)`", text)
    assert len(paths) > 10
    missing = [p for p in paths if not (_ROOT / "audioset_strong" / p).exists()]
    assert not missing


def _commands():
    found = []
    for name in _DOCUMENTS:
        found += _COMMAND.findall(_text(name))
    return sorted(set(found))


def test_there_are_commands():
    assert len(_commands()) > 10


@pytest.mark.parametrize("command", _commands(), ids=lambda c: c[0])
def test_commands_and_their_flags_exist(command):
    module, arguments = command
    if module.endswith("."):  # "python -m audioset_strong.<name>"
        return
    path = _ROOT / f"{module.replace('.', '/')}.py"
    assert path.exists()
    # Flags are defined in the module or, for several, in these two.
    sources = [path, _ROOT / "audioset_strong" / "run_flags.py"]
    sources += [_ROOT / "audioset_strong" / "params.py"]
    defined = "\n".join(source.read_text() for source in sources)
    runner = re.search(r"--runner=(\w+)", arguments)
    if runner:
        # The command takes the options of this runner too.
        beam = pytest.importorskip("audioset_strong.records.beam")
        options = beam.unknown_options(runner[1], arguments.split())
        arguments = " ".join(options)
    for flag in re.findall(r"--(?:no)?(\w+)", arguments):
        assert re.search(rf'"{flag}"|^    {flag}: ', defined, re.M), flag
