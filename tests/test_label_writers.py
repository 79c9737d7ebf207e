"""Writers of label files: what readers read is written back."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioset_strong.labels import label_files

_mids = st.from_regex(r"/[mtg]/[0-9a-z_]{1,8}", fullmatch=True)
_ytids = st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True)
_segment_ids = st.tuples(_ytids, st.integers(0, 40000)).map(
    "{0[0]}_{0[1]}".format
)
_ms = st.integers(0, 10_000_000)
_seconds = _ms.map(lambda ms: f"{ms // 1000}.{ms % 1000:03d}")


def _times(draw):
    start, end = sorted(
        draw(st.tuples(_ms, _ms).filter(lambda p: p[0] != p[1]))
    )
    return tuple(f"{ms // 1000}.{ms % 1000:03d}" for ms in (start, end))


@st.composite
def _weak_text(draw):
    ytids = draw(st.lists(_ytids, max_size=6, unique=True))
    lines, labels = [], []
    for ytid in ytids:
        mids = draw(st.lists(_mids, min_size=1, max_size=4, unique=True))
        start, end = _times(draw)
        labels += mids
        lines.append(f'{ytid}, {start}, {end}, "{",".join(mids)}"\n')
    date = draw(
        st.datetimes(
            datetime.datetime(1990, 1, 1), datetime.datetime(2100, 1, 1)
        )
    )
    return (
        f"# Segments csv created {date.ctime()}\n"
        f"# num_ytids={len(ytids)}, num_segs={len(ytids)}, "
        f"num_unique_labels={len(set(labels))}, "
        f"num_positive_labels={len(labels)}\n"
        f"# YTID, start_seconds, end_seconds, positive_labels\n"
    ) + "".join(lines)


@st.composite
def _strong_text(draw):
    lines = ["segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"]
    for _ in range(draw(st.integers(0, 6))):
        start, end = _times(draw)
        lines.append(f"{draw(_segment_ids)}\t{start}\t{end}\t{draw(_mids)}\n")
    return "".join(lines)


@st.composite
def _framed_text(draw):
    lines = [
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\tpresent\n"
    ]
    for _ in range(draw(st.integers(0, 6))):
        label_frame = draw(st.integers(0, 9))
        start, end = (0.96 * f for f in (label_frame, label_frame + 1))
        present = draw(st.sampled_from(["PRESENT", "NOT_PRESENT"]))
        lines.append(
            f"{draw(_segment_ids)}\t{start:.3f}\t{end:.3f}\t{draw(_mids)}\t"
            f"{present}\n"
        )
    return "".join(lines)


@st.composite
def _pairs_text(draw):
    rows = draw(st.lists(st.tuples(_segment_ids, _mids), max_size=6))
    return "".join(f"{a}\t{b}\n" for a, b in [("segment_id", "label"), *rows])


@st.composite
def _names_text(draw):
    words = st.text(
        st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=9
    )
    names = draw(st.dictionaries(_mids, words, max_size=6))
    return "".join(f"{mid}\t{name}\n" for mid, name in names.items())


@pytest.mark.parametrize(
    ("text", "read", "write"),
    [
        (
            _weak_text(),
            label_files.read_weak_labels,
            label_files.write_weak_labels,
        ),
        (
            _strong_text(),
            label_files.read_strong_labels,
            label_files.write_strong_labels,
        ),
        (
            _framed_text(),
            label_files.read_framed_labels,
            label_files.write_framed_labels,
        ),
        (_pairs_text(), label_files.read_pairs, label_files.write_pairs),
        (
            _names_text(),
            label_files.read_display_names,
            lambda names, path: label_files.write_display_names(
                names.items(), path
            ),
        ),
    ],
    ids=["weak", "strong", "framed", "pairs", "names"],
)
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_writer_after_reader_is_the_identity(
    tmp_path_factory, text, read, write, data
):
    path = tmp_path_factory.getbasetemp() / "identity"
    written = data.draw(text)
    path.write_bytes(written.encode())
    write(read(path), path)
    assert path.read_bytes().decode() == written


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(_ms, st.integers(0, 999_999)), max_size=5))
def test_times_with_more_decimals_are_kept(parts):
    # Up to nine decimals are read; seconds below 10,000 keep all of them.
    texts = [f"{ms // 1000}.{ms % 1000:03d}{rest:06d}" for ms, rest in parts]
    seconds = pd.Series([float(text) for text in texts], dtype="float64")
    written = label_files.seconds_texts(seconds).to_pylist()
    assert [float(text) for text in written] == seconds.tolist()
    for text, given_text in zip(written, texts, strict=True):
        assert len(text) <= len(given_text)


def test_times_have_three_decimals():
    # 0.1 + 0.2 is 0.30000000000000004: noise of floats, not a decimal.
    seconds = pd.Series([0.1 + 0.2, 10.0, 0.0005, 8.64, np.float64(9) * 0.96])
    assert label_files.seconds_texts(seconds).to_pylist() == [
        "0.300",
        "10.000",
        "0.0005",
        "8.640",
        "8.640",
    ]


def test_a_weak_table_without_a_date_gets_the_releases(tmp_path):
    table = pd.DataFrame(
        {
            "segment_id": ["b_30000", "a_0"],
            "start_seconds": [30.0, 0.0],
            "end_seconds": [40.0, 10.0],
            "mids": [("/m/x",), ("/m/x", "/m/y")],
        }
    )
    label_files.write_weak_labels(table, tmp_path / "w.csv")
    assert (tmp_path / "w.csv").read_text().splitlines() == [
        "# Segments csv created Sun Mar  5 00:00:00 2017",
        "# num_ytids=2, num_segs=2, num_unique_labels=2, num_positive_labels=3",
        "# YTID, start_seconds, end_seconds, positive_labels",
        'b, 30.000, 40.000, "/m/x"',
        'a, 0.000, 10.000, "/m/x,/m/y"',
    ]


def test_a_failed_writer_leaves_no_file(tmp_path):
    table = label_files.empty_strong_labels().drop(columns="mid")
    with pytest.raises(KeyError):
        label_files.write_strong_labels(table, tmp_path / "s.tsv")
    assert not list(tmp_path.iterdir())
