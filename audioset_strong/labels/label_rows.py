"""The rows of one label file, and checks that find the bad and the odd ones.

`label_files.py` says what the files are and which rows are bad; this is how the
checks work on columns of codes. A bad row is left out of the table and kept in
the log, which decides whether the command stops (`problems.py`).
"""

import re
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from audioset_strong.labels.ids import (
    MID_PATTERN,
    make_segment_id,
)
from audioset_strong.labels.line_parser import (
    EXPECTED_SECONDS,
    LabelText,
    ParsedLines,
    shown,
)
from audioset_strong.labels.problems import ProblemLog

# Freebase ids and those that AudioSet made like them.
_AUDIOSET_MID = re.compile(r"/[mtg]/[0-9A-Za-z_]+")

_CLASS_ID = re.compile(MID_PATTERN)

_YOUTUBE_SEGMENT = "^[A-Za-z0-9_-]{11}_[0-9]+$"

# Ten digits of milliseconds: more is no time of a recording.
_MAX_SECONDS = 1e7
# The mids of each display name (`class_map.KnownClasses.mids_of_name`).
Names = Mapping[str, Sequence[str]]
_Bools = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]


class LabelRows:
    """The rows of one file, and checks that leave out or report some of them.

    A column is kept as codes of its distinct values, so that checks compare
    integers and look at each text once. Texts are numbered as they appear.

    Attributes:
      text: The file.
      log: Takes the problems.
      line_numbers: int64 `[num_rows]`, the line of each row.
      codes: By name, int `[num_rows]`, index into `values`.
      values: By name, the distinct values: texts as `pa.StringArray`, seconds
        as float64, label frames as int64.
    """

    def __init__(
        self, text: LabelText, parsed: ParsedLines, log: ProblemLog
    ) -> None:
        self.text = text
        self.log = log
        self.line_numbers = parsed.line_numbers
        self.codes: dict[str, npt.NDArray[Any]] = {}
        self.values: dict[str, Any] = {}
        for name, column in parsed.columns.items():
            if name.endswith("_seconds"):
                texts = column.dictionary.to_pylist()
                seconds = np.array([t.rstrip(",") for t in texts], np.float64)
                # Not more than a file can mean, and no noise of floats; zero
                # is added to make 0.0 of -0.0.
                seconds = np.rint(seconds * 1000) / 1000 + 0.0
                self.values[name], code_of_text = np.unique(
                    seconds, return_inverse=True
                )
                self.codes[name] = code_of_text[column.indices.to_numpy()]
            else:
                self.add_texts(name, column)
        for name, values in self.values.items():
            if name.endswith("_seconds"):
                is_bad = ~((values >= 0) & (values < _MAX_SECONDS))
                if is_bad.any():
                    is_bad = is_bad[self.codes[name]]
                    self.leave_out(is_bad, EXPECTED_SECONDS)

    def add_texts(self, name: str, column: Any) -> None:
        """Adds a `pa.DictionaryArray`, without the texts that no row has."""
        self.codes[name], used = pd.factorize(column.indices.to_numpy())
        self.values[name] = column.dictionary.take(pa.array(used))

    def encoded(self, name: str) -> Any:
        """Returns a column of texts as `pa.DictionaryArray` `[num_rows]`."""
        codes = pa.array(self.codes[name])
        return pa.DictionaryArray.from_arrays(codes, self.values[name])

    def array(self, name: str) -> npt.NDArray[Any]:
        """Returns a column `[num_rows]`; equal texts are one object."""
        values = self.values[name]
        if isinstance(values, pa.Array):
            values = values.to_numpy(zero_copy_only=False)
        array: npt.NDArray[Any] = values[self.codes[name]]
        return array

    def table(self, names: Iterable[str]) -> pd.DataFrame:
        """Makes a table of some columns."""
        # The dtype is given because pandas would take str for object.
        columns = {
            name: pd.Series(array, dtype=array.dtype)
            for name, array in ((name, self.array(name)) for name in names)
        }
        return pd.DataFrame(columns, copy=False)

    def leave_out(
        self, is_bad: _Bools, expected: str | Callable[[int], str]
    ) -> None:
        """Drops rows, bool `[num_rows]`, and reports each."""
        for row in np.flatnonzero(is_bad).tolist():
            reason = expected if isinstance(expected, str) else expected(row)
            self._add(row, reason, 1, is_left_out=True)
        self._drop(is_bad)

    def _drop(self, is_dropped: _Bools) -> None:
        if is_dropped.any():
            self.line_numbers = self.line_numbers[~is_dropped]
            for name, codes in self.codes.items():
                self.codes[name] = codes[~is_dropped]
            for name, values in self.values.items():
                if isinstance(values, pa.Array):
                    self.add_texts(name, self.encoded(name))

    def report_as_one(
        self, is_odd: _Bools, expected: str | Callable[[int], str]
    ) -> None:
        """Notes these rows as one doubt, at the first of them."""
        if is_odd.any():
            row = int(np.argmax(is_odd))
            reason = expected if isinstance(expected, str) else expected(row)
            self._add(row, reason, int(np.sum(is_odd)))

    def report_texts(
        self,
        codes: _Ints,
        rows: _Ints | None,
        is_odd: _Bools,
        expected: Callable[[int], str],
    ) -> None:
        """Reports each odd text once, with the number of times it stands.

        Args:
          codes: int64 `[num_labels]`, a text each.
          rows: int64 `[num_labels]`, ascending, the row of each; None for one
            a row.
          is_odd: bool `[num_texts]`.
          expected: Says of a code what was expected.
        """
        odd = np.flatnonzero(is_odd[codes])
        found, first, counts = np.unique(
            codes[odd], return_index=True, return_counts=True
        )
        for index in np.argsort(first).tolist():
            label = odd[first[index]]
            row = label if rows is None else rows[label]
            self._add(row, expected(int(found[index])), int(counts[index]))

    def _add(
        self, row: int, expected: str, num_lines: int, is_left_out: bool = False
    ) -> None:
        line = int(self.line_numbers[row])
        self.log.add(
            self.text.path,
            line,
            f"{expected}, found {shown(self.text.line(line))}",
            num_lines=num_lines,
            is_left_out=is_left_out,
            clip=self._clip_of(row) if is_left_out else None,
        )

    def _clip_of(self, row: int) -> str | None:
        names = [n for n in ("segment_id", "ytid") if n in self.codes]
        if not names:
            return None
        clip: str = self.values[names[0]][
            int(self.codes[names[0]][row])
        ].as_py()
        if names[0] == "ytid":
            code = self.codes["start_seconds"][row]
            start = max(self.values["start_seconds"][code], 0.0)
            clip = make_segment_id(clip.rstrip(","), float(start))
        return clip

    def leave_out_backward(self, what: str, start: str, end: str) -> None:
        """Leaves out rows that do not end after they start."""
        self.leave_out(
            self.array(end) <= self.array(start),
            f"expected {what} that ends after it starts",
        )

    def find_repeated(self, keys: list[str]) -> tuple[_Ints, _Ints]:
        """Finds rows that repeat an earlier one in these columns.

        Returns:
          repeated: int64 `[num_repeated]`, rows.
          first: int64, same shape, the first row that each repeats.
        """
        none = np.zeros(0, np.int64)
        codes: _Ints = np.zeros(len(self.line_numbers), np.int64)
        num_codes = 1
        for key in keys:
            num_values = len(self.values[key])
            if num_values == len(codes):
                return none, none  # all differ
            if num_codes * num_values >= 2**63:
                codes, distinct = pd.factorize(codes)
                num_codes = len(distinct)
            codes = codes * num_values + self.codes[key]
            num_codes *= num_values
        codes = pd.factorize(codes)[0]
        # Numbered as they appear: a row is new if its number is.
        largest_before = np.maximum.accumulate(np.append(-1, codes))[:-1]
        is_new = codes > largest_before  # [num_rows]
        repeated = np.flatnonzero(~is_new)
        return repeated, np.flatnonzero(is_new)[codes[repeated]]

    def report_repeated(self, keys: list[str], what: str) -> None:
        """Notes rows that repeat an earlier one in these columns."""
        repeated, first = self.find_repeated(keys)
        is_odd = np.zeros(len(self.line_numbers), dtype=bool)
        is_odd[repeated] = True
        self.report_as_one(is_odd, lambda _: self._once(what, first[0]))

    def merge_repeated(
        self, keys: list[str], what: str, is_same: Callable[[_Ints, _Ints], Any]
    ) -> None:
        """Takes rows that repeat an earlier one once; contradictions are bad.

        Args:
          keys: The columns in which rows are repeated.
          what: A row, for messages.
          is_same: Says of rows and those that they repeat, int64
            `[num_repeated]` each, which say the same: bool, same shape.
        """
        repeated, first = self.find_repeated(keys)
        if not len(repeated):
            return
        same = np.asarray(is_same(repeated, first), dtype=bool)
        is_merged = np.zeros(len(self.line_numbers), dtype=bool)
        is_bad = np.zeros(len(self.line_numbers), dtype=bool)
        is_merged[repeated[same]] = True
        is_bad[repeated[~same]] = True
        first_of = dict(zip(repeated.tolist(), first.tolist(), strict=True))
        self.report_as_one(
            is_merged,
            lambda row: (
                f"{self._once(what, first_of[row])} and says the same, so it "
                f"is taken once"
            ),
        )
        for row in repeated[~same].tolist():
            text = f"{self._once(what, first_of[row])} and says something else"
            self._add(row, text, 1, is_left_out=True)
        self._drop(is_merged | is_bad)

    def _once(self, what: str, first_row: int) -> str:
        return (
            f"expected each {what} once, this one stands at line "
            f"{self.line_numbers[first_row]} already"
        )

    def resolve_labels(
        self, known_mids: Collection[str] | None, names: Names | None
    ) -> None:
        """Replaces display names by mids; leaves out what is no class."""
        labels = self.values["mid"].to_pylist()
        codes = self.codes["mid"]
        counts = np.bincount(codes, minlength=len(labels))
        mids, reasons = find_mids(labels, counts, known_mids, names)
        if mids == labels and not reasons:
            return
        self.report_as_one(
            np.array([m not in (None, n) for m, n in zip(mids, labels)])[codes],
            lambda row: note_of_names(labels[codes[row]], mids[codes[row]]),
        )
        self.values["mid"] = pa.array(mids, pa.string())
        is_bad = np.array([mid is None for mid in mids])[codes]
        self.leave_out(is_bad, lambda row: reasons[labels[codes[row]]])
        # Two labels can have become one mid.
        mid_of_row = self.encoded("mid").dictionary_decode()
        self.add_texts("mid", mid_of_row.dictionary_encode())

    def report_strange_ids(self) -> None:
        """Reports ids that are not YouTube's, in a file where most are.

        A file of one's own sounds can name them as it likes; a few odd ids
        among YouTube's are ids that a spreadsheet changed.
        """
        ids = self.values["segment_id"]
        is_youtube = pc.match_substring_regex(ids, _YOUTUBE_SEGMENT)
        is_odd = ~is_youtube.to_numpy(zero_copy_only=False)  # [num_clips]
        if is_odd.any() and is_odd.mean() < 0.5:
            self.report_as_one(
                is_odd[self.codes["segment_id"]],
                "expected a YouTube id of 11 characters, as most are",
            )

    def report_unknown_mids(
        self,
        known_mids: Collection[str] | None,
        column: str = "mid",
        codes: _Ints | None = None,
        rows: _Ints | None = None,
    ) -> None:
        """Reports classes outside the vocabulary, one problem a class.

        Args:
          known_mids: The vocabulary; None to take any class.
          column: Holds the classes.
          codes: As in `report_texts`; None for those of the column.
          rows: As there.
        """
        if known_mids is not None:
            known = frozenset(known_mids)
            mids = self.values[column].to_pylist()
            self.report_texts(
                self.codes[column] if codes is None else codes,
                rows,
                np.array([mid not in known for mid in mids], dtype=bool),
                lambda code: (
                    f"expected one of the {len(known)} known mids, not "
                    f"{mids[code]!r}"
                ),
            )


def note_of_names(label: str, mid: str | None) -> str:
    """Says that labels which are a name were taken for its mid."""
    return (
        f"expected class ids; display names were taken for theirs, such as "
        f"{label!r} for {mid}"
    )


def find_mids(
    labels: list[str],
    counts: _Ints,
    known_mids: Collection[str] | None,
    names: Names | None,
) -> tuple[list[str | None], dict[str, str]]:
    """Finds the class that each label means (`label_files.py`).

    Args:
      labels: Distinct labels.
      counts: int64 `[num_labels]`, how often each stands in the file.
      known_mids: The vocabulary.
      names: The mids of each display name.

    Returns:
      mids: The class of each label; None for a bad one.
      reasons: What was expected of each bad label.
    """
    known = {mid for mids in (names or {}).values() for mid in mids}
    known.update(known_mids or ())
    is_mid = [_AUDIOSET_MID.fullmatch(label) is not None for label in labels]
    if known:
        num_mids = sum(map(bool, map(_AUDIOSET_MID.fullmatch, known)))
        has_mids = num_mids >= len(known) / 2
    else:
        num_mids = int(counts[np.array(is_mid, dtype=bool)].sum())
        has_mids = num_mids > 0 and num_mids >= counts.sum() / 2
    name_of = f", or one of {len(names)} display names" if names else ""
    # Beside names, what is none is a slip of the pen, not a class of its own.
    has_names = any(
        label not in known and label.strip() in (names or {})
        for label in labels
    )
    mids: list[str | None] = []
    reasons = {}
    for label, is_audioset_mid in zip(labels, is_mid, strict=True):
        found = (names or {}).get(label.strip(), ())
        mid: str | None = None
        if label in known or is_audioset_mid:
            mid = label
        elif len(found) == 1:
            mid = found[0]
        elif found:
            reasons[label] = (
                f"expected a class id: {label!r} is the display name of "
                f"{' and of '.join(found)}"
            )
        elif has_mids:
            reasons[label] = (
                f"expected a class id such as /m/09x0r{name_of}, not {label!r}"
            )
        elif has_names and label:
            reasons[label] = (
                f"expected one of {len(names or {})} display names, as other "
                f"labels are, or a class id of the class map, not {label!r}"
            )
        elif not label:
            reasons[label] = "expected no comma without a class id on each side"
        elif _CLASS_ID.fullmatch(label) is None:
            what = "spaces" if any(map(str.isspace, label)) else "quotes"
            reasons[label] = (
                f"expected a class id without {what}{name_of}, not {label!r}"
            )
        else:
            mid = label
        mids.append(mid)
    return mids, reasons
