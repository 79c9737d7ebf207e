r"""Label statistics of releases, real and simulated, in one table.

    python -m experiments.label_statistics --ontology=ontology.json \
      --release=real=audioset_eval_strong.tsv,eval_segments.csv \
      --release=simulated=audioset_eval_strong.tsv,eval_segments.csv \
      --output_dir=statistics

Each --release is a name, a strong TSV and a weak CSV. `release_statistics.py`
says what is counted: how long events and classes last, how common classes are,
what weak labels miss, widen and mistake, and how far priors shift (Figure 2 of
the paper). Only clips with both kinds of labels are compared.

--output_dir receives `label_statistics.json` and `label_statistics.md`; the
first has a row a class too.
"""

import os
from collections.abc import Sequence

from absl import flags

from audioset_strong import files, run_flags
from audioset_strong.errors import InputError
from audioset_strong.labels.label_files import (
    read_strong_labels,
    read_weak_labels,
)
from audioset_strong.labels.ontology import read_ontology
from audioset_strong.records.manifest import write_json, write_text
from experiments.release_statistics import format_table, measure_release

_RELEASES = flags.DEFINE_multi_string(
    "release", None, "NAME=STRONG.tsv,WEAK.csv; repeat it.", required=True
)
_ONTOLOGY = flags.DEFINE_string(
    "ontology", None, "ontology.json, for what is wider.", required=True
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where to write.", required=True
)


def main(argv: Sequence[str]) -> None:
    """Measures all releases and writes them side by side."""
    run_flags.refuse_arguments(argv)
    ontology = read_ontology(_ONTOLOGY.value)
    measured, paths = {}, {}
    for release in _RELEASES.value:
        name, _, pair = release.partition("=")
        strong, comma, weak = pair.partition(",")
        if not (name and comma and strong and weak):
            raise InputError(
                f"Expected --release=NAME=STRONG.tsv,WEAK.csv. Received: "
                f"{release}."
            )
        paths[name] = [os.path.basename(strong), os.path.basename(weak)]
        measured[name] = measure_release(
            read_strong_labels(strong), read_weak_labels(weak), ontology
        )
    table = format_table(measured)
    files.make_output_folder(_OUTPUT_DIR.value)
    path = os.path.join(_OUTPUT_DIR.value, "label_statistics")
    write_json({"files": paths, "releases": measured}, f"{path}.json")
    write_text(f"{table}\n", f"{path}.md")
    print(table)


if __name__ == "__main__":
    run_flags.run(main)
