r"""Fetches the official AudioSet label files, and checks them.

    python -m audioset_strong.download_labels --output_dir=labels

Writes to --output_dir, under their official names: the weak CSVs
(eval_segments.csv, balanced_train_segments.csv, unbalanced_train_segments.csv),
class_labels_indices.csv, the strong files (audioset_train_strong.tsv,
audioset_eval_strong.tsv, audioset_eval_strong_framed_posneg.tsv,
mid_to_display_name.tsv) and ontology.json. --files chooses among them.

Files that are there are not fetched again. An interrupted download goes on when
the same command is given again. Each file is read and its rows, clips and
classes are counted; one that is not as the release is kept as
`<name>.unexpected` and the command fails. With --check_only nothing is fetched.

The labels are Google's, CC BY 4.0; the ontology is CC BY-SA 4.0. No audio is
fetched.
"""

from collections.abc import Sequence

from absl import flags

from audioset_strong import run_flags
from audioset_strong.errors import InputError
from audioset_strong.labels.download import (
    RELEASED_FILES,
    FileResult,
    check_files,
    fetch_files,
    result_lines,
    select_files,
)

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder of the label files.", required=True
)
_FILES = flags.DEFINE_list(
    "files", [], "Official names of the files to fetch or check; all if empty."
)
_BASE_URL = flags.DEFINE_string(
    "base_url",
    None,
    "Folder of a mirror, http or https, that holds the files under their "
    "official names; the official places if not given.",
)
_CHECK_ONLY = flags.DEFINE_boolean(
    "check_only", False, "Check the files that are there, and fetch none."
)


def main(argv: Sequence[str]) -> None:
    """Fetches or looks, checks, and prints a table."""
    run_flags.refuse_arguments(argv)
    files = select_files(RELEASED_FILES, _FILES.value)
    if _CHECK_ONLY.value:
        results = check_files(files, _OUTPUT_DIR.value)
    else:
        results = fetch_files(files, _OUTPUT_DIR.value, _BASE_URL.value)
    print("\n".join(result_lines(results)))
    licences = dict.fromkeys(released.licence for released in files)
    print(f"Licences: {'; '.join(licences)}.")
    # Whoever looks at a folder of some files need not have all; whoever names
    # a file means it.
    may_be_missing = _CHECK_ONLY.value and not _FILES.value
    _raise_for(results, may_be_missing)


def _raise_for(results: Sequence[FileResult], may_be_missing: bool) -> None:
    """Raises if a file is not there as the release has it.

    Raises:
      InputError: There is such a file, or there are no files at all.
    """
    if all(result.state == "not there" for result in results):
        raise InputError(
            f"{_OUTPUT_DIR.value} holds none of the files. Fetch them without "
            f"--check_only."
        )
    bad = [
        result
        for result in results
        if not result.is_ok
        and not (may_be_missing and result.state == "not there")
    ]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        # The table above has the other notes.
        reasons = bad[0].notes[0] if bad[0].notes else f"{bad[0].state}."
        raise InputError(
            f"{len(bad)} of {len(results)} files are not there as the release "
            f"has them: {bad[0].name}{more}. {reasons}"
        )


if __name__ == "__main__":
    run_flags.run(main)
