r"""Writes the tables and figures of the ESC-50 run from its results.

    python -m experiments.esc50.report
    python -m experiments.esc50.report --check

Reads `experiments/results/esc50/` and nothing else; run it from the root of the
repository. Figures go there too. Tables go to the documents that have their
markers, which stand alone on their lines:

    <!-- generated: table1 -->
    <!-- end -->

Everything outside of markers is written by hand. --check writes nothing and
fails where a part or a figure is not what the results give. A figure holds the
hash of what it shows, so that it need not be drawn alike everywhere.
"""

import os
import re
from collections.abc import Mapping, Sequence

from absl import flags
from PIL import Image

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.plots import save_figure
from audioset_strong.records.manifest import write_text
from experiments.esc50 import other_runs
from experiments.esc50.figures import MadeFigure, make_figures
from experiments.esc50.tables import make_parts, read_data

_CHECK = flags.DEFINE_boolean(
    "check", False, "Fails where something is not what the results give."
)

RESULTS_DIR = os.path.join("experiments", "results", "esc50")
DOCUMENTS = (os.path.join(RESULTS_DIR, "README.md"), "README.md")

_PART = re.compile(
    r"^<!-- generated: (?P<name>\S+) -->\n.*?^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)
# Name of the text in a PNG that holds the hash.
_HASH_KEY = "Results-Hash"


def fill_document(text: str, parts: dict[str, str], path: str) -> str:
    """Replaces what stands between markers.

    Args:
      text: The document.
      parts: Markdown by name.
      path: Of the document, for messages.

    Raises:
      InputError: A marker names no part, or has no end.
    """

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in parts:
            raise InputError(
                f"{path}: expected parts of {', '.join(parts)}, found {name}."
            )
        start, _, _ = match[0].partition("\n")
        return f"{start}\n\n{parts[name]}\n\n<!-- end -->"

    filled = _PART.sub(fill, text)
    num_starts = text.count("<!-- generated: ")
    if not num_starts == len(_PART.findall(text)) == text.count("<!-- end -->"):
        raise InputError(
            f"{path}: expected an end after each of {num_starts} generated "
            f"parts, each alone on its line, as <!-- end -->."
        )
    return filled


def _read_hash(path: str) -> str:
    """Returns the hash that a figure holds; "" without one."""
    if not os.path.exists(path):
        return ""
    with Image.open(path) as image:
        return str(image.info.get(_HASH_KEY, ""))


def update(
    root: str,
    parts: dict[str, str],
    figures: Mapping[str, MadeFigure],
    is_check: bool,
) -> list[str]:
    """Writes documents and figures, or only compares them.

    Args:
      root: Of the repository.
      parts: Markdown by name.
      figures: By name.
      is_check: Whether to write nothing.

    Returns:
      Paths of those that were not what the results give.
    """
    changed = []
    for document in DOCUMENTS:
        path = os.path.join(root, document)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        filled = fill_document(text, parts, document)
        if filled != text:
            changed.append(document)
            if not is_check:
                write_text(filled, path)
    for name, figure in figures.items():
        document = os.path.join(RESULTS_DIR, f"{name}.png")
        path = os.path.join(root, document)
        if _read_hash(path) != figure.hash:
            changed.append(document)
        if not is_check:  # Also where only the drawing has changed.
            save_figure(figure.draw(), path, {_HASH_KEY: figure.hash})
    return changed


def main(argv: Sequence[str]) -> None:
    """Writes everything, or checks it."""
    run_flags.refuse_arguments(argv)
    if not os.path.isdir(RESULTS_DIR):
        raise InputError(
            f"Expected {RESULTS_DIR} here. Run this from the root of the "
            f"repository."
        )
    main_run = read_data(RESULTS_DIR)
    others = {
        name: read_data(os.path.join(RESULTS_DIR, name))
        for name in other_runs.FOLDERS
    }
    changed = update(
        ".",
        {
            **make_parts(main_run),
            **other_runs.make_parts(main_run, others),
        },
        make_figures(main_run),
        _CHECK.value,
    )
    if _CHECK.value and changed:
        raise InputError(
            f"Not what the results give: {', '.join(changed)}. Run python -m "
            f"experiments.esc50.report."
        )
    print(
        "\n".join(f"Written: {path}" for path in changed) or "As it should be."
    )


if __name__ == "__main__":
    run_flags.run(main)
