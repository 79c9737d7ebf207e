"""The console command `audioset-strong <verb>`.

    audioset-strong evaluate --scores=scores.npz --report_dir=report

is `python -m audioset_strong.evaluate` with the same flags. Without a verb it
lists them all, each with the first line of its documentation.
"""

import ast
import difflib
import pathlib
import re
import runpy
import sys

_PACKAGE = pathlib.Path(__file__).parent
_RUNS_MAIN = re.compile(r"^    run_flags\.run\(main", re.MULTILINE)


def verbs() -> dict[str, str]:
    """Returns each command's name and what it does, sorted by name.

    A command is a module beside this one that runs `run_flags.run`. The sources
    are read and not imported, because that would load TensorFlow.
    """
    found = {}
    for path in sorted(_PACKAGE.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        if _RUNS_MAIN.search(source):
            summary = ast.get_docstring(ast.parse(source)) or ""
            found[path.stem] = summary.partition("\n")[0]
    return found


def _usage() -> str:
    lines = [f"  {verb:<21} {summary}" for verb, summary in verbs().items()]
    return "\n".join(
        [
            "usage: audioset-strong <verb> [--flag=value ...]",
            "",
            *lines,
            "",
            "audioset-strong <verb> --help lists the flags of a verb.",
        ]
    )


def main() -> None:
    """Runs the verb that the command line names."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help", "help"):
        print(_usage())
        sys.exit(0 if len(sys.argv) > 1 else 2)
    if sys.argv[1] == "--version":
        from audioset_strong import __version__

        print(__version__)
        return
    # Words of a verb may be joined by dashes, as in most console commands.
    verb = sys.argv[1].replace("-", "_")
    if verb not in verbs():
        close = difflib.get_close_matches(verb, verbs(), n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        print(
            f"audioset-strong: error: {sys.argv[1]} is not a verb.{hint} "
            f"audioset-strong --help lists them.",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.argv = sys.argv[1:]
    # As `python -m` does: absl's --help and worker processes look for the
    # command's module under the name __main__.
    runpy.run_module(
        f"audioset_strong.{verb}", run_name="__main__", alter_sys=True
    )


if __name__ == "__main__":
    main()
