"""The structure holds: who imports whom, and what is loaded when."""

import ast
import pathlib
import subprocess
import sys

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGE = _ROOT / "audioset_strong"

# Later packages may import earlier ones, as in the data flow.
_ORDER = (
    "labels",
    "label_analysis",
    "audio",
    "records",
    "evaluation",
    "inspection",
    "models",
    "training",
    "inference",
    "export",
    "simulation",
)
_WITHOUT_TENSORFLOW = ("labels", "label_analysis", "evaluation", "inspection")


def _module_name(path):
    name = ".".join(path.relative_to(_ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


_SOURCES = {_module_name(p): p.read_text() for p in _PACKAGE.rglob("*.py")}


def _imports(source, at_load=False):
    """Names of the modules of ours that a source imports."""
    tree = ast.parse(source)
    for node in tree.body if at_load else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in _SOURCES else node.module


def _package(name):
    parts = name.split(".")
    return parts[1] if len(parts) > 2 else ""


def test_imports_follow_the_data_flow():
    backward = []
    for name, source in _SOURCES.items():
        if _package(name) in _ORDER:
            later = _ORDER[_ORDER.index(_package(name)) + 1 :]
            backward += [
                (name, imported)
                for imported in _imports(source)
                if _package(imported) in later
            ]
    assert not backward


def test_no_module_imports_itself_through_others():
    graph = {
        name: {i for i in _imports(source, at_load=True) if i in _SOURCES}
        for name, source in _SOURCES.items()
    }
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path, name])
        if name not in done:
            path.append(name)
            for imported in sorted(graph[name]):
                visit(imported)
            path.pop()
            done.add(name)

    for name in graph:
        visit(name)


def test_libraries_read_no_flags():
    readers = [
        name
        for name, source in _SOURCES.items()
        if _package(name)
        and {
            "absl.flags",
            "absl.app",
            "argparse",
            "audioset_strong.run_flags",
        }.intersection(_imports(source))
    ]
    assert not readers


def test_labels_and_metrics_do_without_tensorflow():
    names = [n for n in _SOURCES if _package(n) in _WITHOUT_TENSORFLOW]
    code = (
        f"import importlib, sys\n"
        f"for name in {names}:\n"
        f"    importlib.import_module(name)\n"
        f"print([m for m in ('tensorflow', 'keras') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
