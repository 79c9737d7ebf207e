"""The documents are true: links, paths, commands, flags and examples exist."""

import pathlib
import re

import pytest

import audioset_strong
from audioset_strong import cli

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGE = _ROOT / "audioset_strong"
_DOCUMENTS = [
    "README.md",
    "BUILD_NOTES.md",
    "CONTRIBUTING.md",
    "experiments/README.md",
    "experiments/audioset/README.md",
    "experiments/esc50/README.md",
    "experiments/results/esc50/README.md",
    *sorted(f"docs/{path.name}" for path in (_ROOT / "docs").glob("*.md")),
]
# `audioset-strong verb --flags` or `python -m package.module --flags`.
_COMMAND = re.compile(
    r"(?:audioset-strong|python -m audioset_strong\.?)[ ]?([a-z]\w+)((?: .*)?)$"
    r"|python -m (experiments[.\w]*)(.*)",
    re.MULTILINE,
)


def _text(name):
    # A command that goes on in the next line is one line.
    return (_ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")


@pytest.mark.parametrize("name", _DOCUMENTS)
def test_links_lead_somewhere(name):
    folder = (_ROOT / name).parent
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", _text(name))
    missing = [link for link in links if not (folder / link).exists()]
    assert not missing


@pytest.mark.parametrize("name", _DOCUMENTS)
def test_paths_exist(name):
    packages = [p.parent.name for p in _PACKAGE.glob("*/__init__.py")]
    paths = re.findall(
        rf"`((?:{'|'.join(packages)})/[\w/]*(?:\.py)?)`", _text(name)
    )
    missing = [path for path in paths if not (_PACKAGE / path).exists()]
    assert not missing


def test_names_in_the_papers_table_exist():
    # Such as `Mixture` in `records/streams.py`.
    found = re.findall(r"`(\w+)` in `([\w/]+\.py)`", _text("README.md"))
    assert len(found) >= 5
    missing = [
        (name, path)
        for name, path in found
        if not re.search(
            rf"^(?:def |class )?{name}\b", (_PACKAGE / path).read_text(), re.M
        )
    ]
    assert not missing


def _commands():
    found = []
    for name in _DOCUMENTS:
        for verb, flags, experiment, more in _COMMAND.findall(_text(name)):
            if verb in cli.verbs() or "--" in flags:
                found.append((f"audioset_strong.{verb}", flags))
            elif experiment:
                found.append((experiment.rstrip("."), more))
    return sorted(set(found))


def test_there_are_commands():
    assert len(_commands()) > 20


@pytest.mark.parametrize("command", _commands(), ids=lambda c: c[0])
def test_commands_and_their_flags_exist(command):
    module, arguments = command
    if module == "experiments":  # "python -m experiments.<name>"
        return
    path = _ROOT / f"{module.replace('.', '/')}.py"
    assert path.exists()
    # Flags are defined in the module or, for several, in these.
    shared = ("run_flags.py", "evaluation_flags.py", "params.py")
    sources = [path, *(_PACKAGE / name for name in shared)]
    sources.append(_PACKAGE / "evaluation" / "evaluating.py")
    sources.append(_ROOT / "experiments" / "rows.py")
    defined = "\n".join(source.read_text() for source in sources)
    for flag in re.findall(r"--(?:no)?(\w+)", arguments):
        if flag == "flagfile":  # absl's own
            continue
        # prepare_records takes the options of Beam's runners too.
        if module.endswith("prepare_records") and flag.startswith("dask_"):
            continue
        assert re.search(rf'"{flag}"|^    {flag}: ', defined, re.M), flag


def test_every_public_name_loads():
    assert len(set(audioset_strong.__all__)) == len(audioset_strong.__all__)
    for name in audioset_strong.__all__:
        assert getattr(audioset_strong, name).__doc__
