"""Writers of the AudioSet label files, byte for byte as the released ones.

They take the tables of `label_files.py`, whose readers give back what was
written. Times have three decimals as in the release, and more only where a
table has more.
"""

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from audioset_strong.errors import InputError
from audioset_strong.labels.label_text import Path
from audioset_strong.output_files import open_output
from audioset_strong.params import LabelFrameParams

WEAK_HEADER = "# YTID, start_seconds, end_seconds, positive_labels"
STRONG_HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
FRAMED_HEADER = STRONG_HEADER + "\tpresent"
PAIR_HEADER = "segment_id\tlabel"

# Joining a file of millions of lines at once would double the memory.
_ROWS_AT_ONCE = 1 << 17
# The date of a weak CSV made of a table that has none: the release's, so that
# equal tables give equal bytes.
_NO_DATE = datetime(2017, 3, 5)


def seconds_texts(seconds: "pd.Series[float]") -> npt.NDArray[np.object_]:
    """Writes times as the files do; object `[num_rows]` of str."""
    distinct, inverse = np.unique(seconds.to_numpy(), return_inverse=True)
    texts = np.empty(len(distinct), dtype=object)
    texts[:] = [_seconds_text(value) for value in distinct.tolist()]
    return texts[inverse]


def _seconds_text(seconds: float) -> str:
    """Writes a time with three decimals, or with up to nine if it has more."""
    # Further from a millisecond than any rounding of float64.
    milliseconds = seconds * 1000
    rounding = max(1e-7, 1e-15 * milliseconds)
    if abs(milliseconds - round(milliseconds)) > rounding:
        return f"{seconds:.9f}".rstrip("0")
    return f"{seconds:.3f}"


def write_weak_labels(
    table: pd.DataFrame, path: Path, created: datetime | None = None
) -> None:
    """Writes a weak table as a weak CSV.

    Args:
      table: Weak table (`label_files`).
      path: Where to write; the folder exists.
      created: Date for the first comment line; by default the table's own
        (`attrs["created"]`), or else the release's.
    """
    ytids = [s.rsplit("_", 1)[0] for s in table["segment_id"]]
    starts = seconds_texts(table["start_seconds"])
    ends = seconds_texts(table["end_seconds"])
    with open_output(path) as file:
        created = created or table.attrs.get("created")
        comments = weak_comments(
            table["mids"].tolist(), np.array(ytids, dtype=object), created
        )
        file.write("\n".join((*comments, WEAK_HEADER, "")))
        file.writelines(
            f'{ytid}, {start}, {end}, "{",".join(mids)}"\n'
            for ytid, start, end, mids in zip(
                ytids, starts, ends, table["mids"], strict=True
            )
        )


def weak_comments(
    mids_of_row: Sequence[tuple[str, ...]],
    ytids: npt.NDArray[np.object_],
    created: datetime | None,
) -> tuple[str, str]:
    """Makes the two comment lines before the header of a weak CSV.

    Args:
      mids_of_row: The mids of each row.
      ytids: object `[num_rows]`, the YouTube id of each row.
      created: When the file was made; None for the release's date.
    """
    labels = set(itertools.chain.from_iterable(mids_of_row))
    num_labels = sum(map(len, mids_of_row))
    return (
        f"# Segments csv created {(created or _NO_DATE).ctime()}",
        f"# num_ytids={_count_distinct(ytids)}, num_segs={len(mids_of_row)}, "
        f"num_unique_labels={len(labels)}, num_positive_labels={num_labels}",
    )


def _count_distinct(values: npt.NDArray[np.object_]) -> int:
    if (values[1:] > values[:-1]).all():
        return len(values)  # In ascending order, as the released files are.
    return len(set(values))


def write_strong_labels(table: pd.DataFrame, path: Path) -> None:
    """Writes a strong table as a strong TSV.

    Args:
      table: Strong table (`label_files`).
      path: Where to write; the folder exists.
    """
    onsets = seconds_texts(table["onset_seconds"])
    offsets = seconds_texts(table["offset_seconds"])
    columns = (table["segment_id"], onsets, offsets, table["mid"])
    _write_lines(
        STRONG_HEADER, map("\t".join, zip(*columns, strict=True)), path
    )


def write_framed_labels(
    table: pd.DataFrame,
    path: Path,
    params: LabelFrameParams = LabelFrameParams(),
) -> None:
    """Writes a framed table as a framed TSV.

    Args:
      table: Framed table (`label_files`).
      path: Where to write; the folder exists.
      params: The grid of label frames.

    Raises:
      InputError: A label frame is not on the grid.
    """
    # Lines differ in little but their id, so the rest is formatted once for
    # each (class, label frame, presence): millions of rows take a second.
    mid_codes, mids = pd.factorize(table["mid"])
    endings = np.array(_framed_endings(mids.tolist(), params), dtype=object)
    label_frames = table["label_frame"].to_numpy()
    if len(table) and not (
        0 <= label_frames.min() <= label_frames.max() < params.num_label_frames
    ):
        raise InputError(
            f"Expected label frames 0 to {params.num_label_frames - 1}, found "
            f"{label_frames.min()} to {label_frames.max()}."
        )
    codes = (mid_codes * params.num_label_frames + label_frames) * 2
    codes = codes + table["is_present"].to_numpy()
    segment_ids = table["segment_id"].to_numpy()
    with open_output(path) as file:
        file.write(FRAMED_HEADER + "\n")
        for start in range(0, len(table), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            file.write("".join(segment_ids[part] + endings[codes[part]]))


def _framed_endings(mids: Sequence[str], params: LabelFrameParams) -> list[str]:
    """Formats what follows the id, by (mid, label frame, is present)."""
    edges = [
        _seconds_text(label_frame * params.label_frame_seconds)
        for label_frame in range(params.num_label_frames + 1)
    ]
    return [
        f"\t{edges[label_frame]}\t{edges[label_frame + 1]}\t{mid}\t{present}\n"
        for mid in mids
        for label_frame in range(params.num_label_frames)
        for present in ("NOT_PRESENT", "PRESENT")
    ]


def write_pairs(table: pd.DataFrame, path: Path) -> None:
    """Writes (clip, class) pairs, columns segment_id and mid, as a TSV."""
    columns = (table["segment_id"], table["mid"])
    _write_lines(PAIR_HEADER, map("\t".join, zip(*columns, strict=True)), path)


def write_display_names(names: Iterable[tuple[str, str]], path: Path) -> None:
    """Writes (mid, display name) pairs as `mid_to_display_name.tsv`."""
    with open_output(path) as file:
        file.writelines(f"{mid}\t{name}\n" for mid, name in names)


def _write_lines(header: str, lines: Iterable[str], path: Path) -> None:
    with open_output(path) as file:
        file.write(header + "\n")
        file.writelines(f"{line}\n" for line in lines)
