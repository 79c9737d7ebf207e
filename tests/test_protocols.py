"""Protocols: each against an oracle of its own, and what is said of them."""

import pathlib

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from audioset_strong.errors import InputError
from audioset_strong.evaluation.evaluating import evaluate
from audioset_strong.evaluation.events import F1Params, PsdsParams
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.protocols import (
    PROTOCOLS,
    ClassList,
    EventScoreParams,
    MedianFilter,
    ProtocolSettings,
    check_protocols,
    classes_of_training,
    read_class_list,
    read_lengths,
    score_protocols,
)
from audioset_strong.evaluation.report import headline_text, write_report
from audioset_strong.evaluation.segments import SegmentParams, partial_auc
from audioset_strong.evaluation.truth import read_truth
from audioset_strong.labels.clips import make_clips_table

_EXTRA = "pip install '.[psds]'"
_ROOT = pathlib.Path(__file__).parents[1]
_MIDS = ["/m/x", "/m/y", "/m/z", "/m/w"]
_CLIPS = [f"c{i}_0" for i in range(10)]
_HOP = 0.04


def strong_table(*rows):
    """Strong table of (segment_id, onset, offset, mid)."""
    columns = ["segment_id", "onset_seconds", "offset_seconds", "mid"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"onset_seconds": float, "offset_seconds": float})


# --- Fine scores stay fine ----------------------------------------------------


def _perfect(hop, strong, clips, clip_seconds=10.0):
    """Scores 1 in frames of events and 0 elsewhere."""
    count = round(clip_seconds / hop)
    mids = sorted(strong["mid"].unique())
    scores = np.zeros((len(clips), count, len(mids)), np.float32)
    for clip, onset, offset, mid in strong.itertuples(index=False):
        frames = slice(round(onset / hop), round(offset / hop))
        scores[clips.index(clip), frames, mids.index(mid)] = 1
    return NativeScores(
        segment_ids=np.array(clips),
        mids=np.array(mids),
        scores=scores.reshape(-1, len(mids)),
        num_frames=np.full(len(clips), count),
        frame_seconds=hop,
        audio_seconds=np.full(len(clips), clip_seconds),
    )


@pytest.mark.parametrize("hop", [0.02, 0.04, 0.2])
def test_a_perfect_fine_detector_is_perfect(hop):
    pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    # Events of 0.2 to 0.6 s, and gaps as short: label frames of 0.96 s hold
    # several of them.
    rng = np.random.default_rng(8)
    rows = []
    for clip in ("a_0", "b_0", "c_0"):
        for mid in ("/m/x", "/m/y"):
            onset = 0.2 * rng.integers(1, 6)
            while onset < 9:
                offset = onset + 0.2 * rng.integers(1, 4)
                rows.append((clip, round(onset, 3), round(offset, 3), mid))
                onset = offset + 0.2 * rng.integers(1, 6)
    strong = strong_table(*rows)
    clips = ["a_0", "b_0", "c_0"]
    truth = read_truth(strong_labels=strong)
    scores = _perfect(hop, strong, clips)
    names = ["dcase_psds1", "dcase_collar_f1", "dcase_intersection_f1"]
    for result in score_protocols(scores, truth, names):
        assert list(result.values.values()) == [1.0], result.name
    # The same on label frames: most events are gone or run together.
    coarse = NativeScores(
        segment_ids=scores.segment_ids,
        mids=scores.mids,
        scores=np.concatenate(
            [
                [
                    part.mean(axis=0)
                    for part in np.array_split(scores.of_clip(clip), 10)
                ]
                for clip in range(3)
            ]
        ),
        num_frames=np.full(3, 10),
        frame_seconds=1.0,
        audio_seconds=np.full(3, 10.0),
    )
    [result] = score_protocols(coarse, truth, ["dcase_psds1"])
    assert result.values["psds"] < 0.2


# --- Each against an oracle ---------------------------------------------------


def _simulated(seed=0):
    """Random scores at 40 ms that know something, and their events.

    The last clip has no event, the one before it of a class that is rare.
    """
    rng = np.random.default_rng(seed)
    scores = ndimage.gaussian_filter1d(
        rng.random((len(_CLIPS), 250, len(_MIDS))), 8, axis=1
    )
    scores = (scores - scores.min()) / np.ptp(scores)
    rows = [
        ("c0_0", 1.0, 3.0, "/m/x"),
        ("c0_0", 2.0, 4.0, "/m/x"),  # overlaps
        ("c0_0", 4.0, 4.5, "/m/x"),  # touches
        ("c1_0", 0.5, 2.0, "/m/w"),
        ("c8_0", 2.0, 5.0, "/m/z"),
    ]
    for clip in _CLIPS[:8]:
        for mid in ("/m/x", "/m/y"):
            if rng.random() < 0.6:
                onset = round(5 + 3 * rng.random(), 3)
                offset = round(onset + 1.5 * rng.random(), 3)
                rows.append((clip, onset, offset, mid))
    frames = np.arange(250) * _HOP
    for clip, onset, offset, mid in rows:
        is_inside = (frames >= onset) & (frames < offset)
        scores[_CLIPS.index(clip), :, _MIDS.index(mid)] += 0.2 * is_inside
    scores = (scores / scores.max()).astype(np.float32)
    native = NativeScores(
        segment_ids=np.array(_CLIPS),
        mids=np.array(_MIDS),
        scores=scores.reshape(-1, len(_MIDS)),
        num_frames=np.full(len(_CLIPS), 250),
        frame_seconds=_HOP,
        audio_seconds=np.full(len(_CLIPS), 10.0),
    )
    truth = read_truth(
        strong_labels=strong_table(*rows),
        clips=make_clips_table(_CLIPS, [10.0] * len(_CLIPS), _CLIPS),
    )
    return native, truth, scores


# Training labels: w is rare, z is not there.
_TRAINING = strong_table(
    *((f"t{i}_0", 0, 10, mid) for i in range(40) for mid in ("/m/x", "/m/y")),
    ("t0_0", 0, 10, "/m/w"),
    ("t1_0", 0, 10, "/m/only_there"),
)


def _merged_truth(truth, mids):
    """Events by clip, merged second by second on a grid of milliseconds."""
    events = {}
    for (clip, mid), rows in truth.strong.groupby(["segment_id", "mid"]):
        if mid not in mids:
            continue
        is_on = np.zeros(10_002, bool)
        for onset, offset in rows[["onset_seconds", "offset_seconds"]].values:
            is_on[round(1000 * onset) + 1 : round(1000 * offset) + 1] = True
        edges = np.flatnonzero(np.diff(is_on.astype(int)))
        for start, end in edges.reshape(-1, 2).tolist():
            events.setdefault(clip, []).append((start / 1000, end / 1000, mid))
    return events


def _oracle(name, scores, truth, mids, masks, median):
    """The inputs of sed_scores_eval as the published code makes them."""
    events = _merged_truth(truth, mids)
    edges = np.arange(251) * _HOP
    tables = {}
    for row, clip in enumerate(_CLIPS):
        if clip not in events:
            continue
        values = ndimage.median_filter(scores[row].astype(float), (median, 1))
        if masks:
            present = {mid for _, _, mid in events[clip]}
            values = values * [mid in present for mid in _MIDS]
        table = pd.DataFrame(values, columns=_MIDS)[mids]
        table.insert(0, "onset", edges[:-1])
        table.insert(1, "offset", edges[1:])
        tables[clip] = _Writable(table)
    return tables, events, dict.fromkeys(tables, 10.0)


class _Writable(pd.DataFrame):
    """A table as sed_scores_eval 0.0.4 asks for with pandas 3."""

    @property
    def _constructor(self):
        return _Writable

    def to_numpy(self, *args, **kwargs):
        return super().to_numpy(*args, **kwargs).copy()


_ALL, _BOTH = _MIDS, ["/m/x", "/m/y", "/m/w"]
_PSDS1 = {"dtc_threshold": 0.7, "gtc_threshold": 0.7}


@pytest.mark.parametrize(
    ("name", "metric", "mids", "masks", "median", "arguments"),
    [
        (
            "psds1_audioset_strong_407",
            "psds",
            _BOTH,
            False,
            9,
            {**_PSDS1, "alpha_st": 1},
        ),
        ("psds1_audioset_strong_407", "psds_macro", _BOTH, False, 9, _PSDS1),
        ("psds1_a", "psds", _ALL, False, 9, _PSDS1),
        ("psds1_t", "psds", _ALL, True, 9, _PSDS1),
        ("psds1_open", "psds", _ALL, False, 3, _PSDS1),
        (
            "psds1_open",
            "psds_penalized",
            _ALL,
            False,
            3,
            {**_PSDS1, "alpha_st": 1},
        ),
        ("psds1_common_rare", "psds", _BOTH, False, 1, _PSDS1),
        ("dcase_psds1", "psds", _ALL, False, 1, {**_PSDS1, "alpha_st": 1}),
        (
            "dcase_psds2",
            "psds",
            _ALL,
            False,
            1,
            {
                "dtc_threshold": 0.1,
                "gtc_threshold": 0.1,
                "cttc_threshold": 0.3,
                "alpha_ct": 0.5,
                "alpha_st": 1,
            },
        ),
    ],
)
def test_psds_protocols(name, metric, mids, masks, median, arguments):
    library = pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    native, truth, scores = _simulated()
    settings = ProtocolSettings()
    if PROTOCOLS[name].of_both_splits:
        settings = ProtocolSettings(
            classes=classes_of_training(_TRAINING, "train")
        )
    [result] = score_protocols(native, truth, [name], settings)
    expected, of_class, *_ = library.intersection_based.psds(
        *_oracle(name, scores, truth, mids, masks, median), **arguments
    )
    assert result.values[metric] == pytest.approx(expected, abs=1e-12)
    assert result.per_class["mid"].tolist() == mids
    assert result.per_class[metric].tolist() == pytest.approx(
        [of_class[mid] for mid in mids]
    )
    assert expected < 0.99
    # A spread of classes can leave nothing.
    assert expected > 0.01 or arguments.get("alpha_st")
    assert len(result.truth.segment_ids) == len(_merged_truth(truth, mids))
    if name == "psds1_common_rare":
        assert result.values["psds_rare"] == pytest.approx(of_class["/m/w"])
        assert result.values["psds_common"] == pytest.approx(
            np.mean([of_class["/m/x"], of_class["/m/y"]])
        )


@pytest.mark.parametrize("kind", ["collar", "intersection"])
def test_f1_protocols(kind):
    library = pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    native, truth, scores = _simulated(3)
    [result] = score_protocols(native, truth, [f"dcase_{kind}_f1"])
    tables, events, _ = _oracle("", scores, truth, _ALL, False, 1)
    criteria = {
        "intersection": {"dtc_threshold": 0.5, "gtc_threshold": 0.5},
        "collar": {
            "onset_collar": 0.2,
            "offset_collar": 0.2,
            "offset_collar_rate": 0.2,
        },
    }[kind]
    f1, *_ = getattr(library, f"{kind}_based").fscore(
        tables, events, 0.5, **criteria
    )
    assert result.values == {"f1": pytest.approx(f1["macro_average"])}
    assert f1["macro_average"] > 0


@pytest.mark.parametrize(
    ("name", "metric", "mids", "median", "pool", "max_fpr", "curve"),
    [
        ("segment_auroc", "auroc", _ALL, 1, "max", 1.0, "straight"),
        ("segment_pauroc", "pauroc", _ALL, 1, "max", 0.1, "straight"),
        ("segment_pauroc_407", "pauroc", _BOTH, 9, "max", 0.1, "stairs"),
        ("dcase2024_mpauc", "mpauc", _ALL, 1, "mean", 0.1, "stairs"),
        ("dcase2024_mpauc", "mauc", _ALL, 1, "mean", 1.0, "stairs"),
    ],
)
def test_segment_protocols(name, metric, mids, median, pool, max_fpr, curve):
    native, truth, scores = _simulated(1)
    settings = ProtocolSettings(
        classes=classes_of_training(_TRAINING, "train")
        if PROTOCOLS[name].of_both_splits
        else None
    )
    [result] = score_protocols(native, truth, [name], settings)
    events = _merged_truth(truth, mids)
    areas = []
    for mid in mids:
        of_segments, is_positive = [], []
        for clip, of_clip in events.items():
            values = ndimage.median_filter(
                scores[_CLIPS.index(clip), :, _MIDS.index(mid)].astype(float),
                median,
            )
            pooled = values.reshape(10, 25)
            of_segments += list(getattr(pooled, pool)(axis=1))
            is_positive += [
                any(
                    onset < second + 1 and offset > second
                    for onset, offset, event_mid in of_clip
                    if event_mid == mid
                )
                for second in range(10)
            ]
        areas.append(
            partial_auc(
                np.array(of_segments), np.array(is_positive), max_fpr, curve
            )
        )
    assert result.per_class[metric].tolist() == pytest.approx(areas)
    assert result.values[metric] == pytest.approx(np.mean(areas))


def test_logits_rank_as_probabilities_do():
    pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    native, truth, scores = _simulated()
    probabilities = np.clip(native.scores.astype(float), 1e-9, 1 - 1e-9)
    logits = np.log(probabilities) - np.log1p(-probabilities)
    as_logits = NativeScores(
        **{
            **{
                name: getattr(native, name)
                for name in (
                    "segment_ids",
                    "mids",
                    "num_frames",
                    "frame_seconds",
                    "audio_seconds",
                )
            },
            "scores": logits,
            "is_logits": True,
        }
    )
    names = ["psds1_t", "psds1_a", "dcase_collar_f1", "segment_pauroc"]
    own = score_protocols(native, truth, names)
    of_logits = score_protocols(as_logits, truth, names)
    for a, b in zip(own, of_logits, strict=True):
        assert a.values == pytest.approx(b.values), a.name


# --- What protocols are given -------------------------------------------------


def test_the_407_classes_are_those_of_both_splits(strong_excerpts):
    path = strong_excerpts / "class_counts.full_release.tsv"
    counts = pd.read_csv(path, sep="\t")
    in_both = (counts["train_event_count"] > 0) & (
        counts["eval_event_count"] > 0
    )
    assert in_both.sum() == 407


def test_training_labels_say_which_classes_are_rare():
    classes = classes_of_training(
        strong_table(
            ("a_0", 0, 10, "/m/rare"),
            *((f"{i}_0", 0, 9, "/m/common") for i in range(40)),
            *((f"{i}_0", 0, 9, "/m/just_not") for i in range(39)),
        ),
        "train.tsv",
    )
    assert classes.mids == {"/m/rare", "/m/common", "/m/just_not"}
    assert classes.group_of_mid == {
        "/m/rare": "rare",
        "/m/common": "common",
        "/m/just_not": "rare",
    }


def test_lists_of_classes(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("/m/x\tcommon\n\nBell, rung\trare\n/m/z\n")
    names = {"Bell, rung": ["/m/y"], "Twice": ["/m/a", "/m/b"]}
    classes = read_class_list(path, names)
    assert classes.mids == {"/m/x", "/m/y", "/m/z"}
    assert classes.group_of_mid == {"/m/x": "common", "/m/y": "rare"}
    for text, message in [
        ("\n", "expected a class a line"),
        ("/m/x\n/m/x\n", "classes.txt:2: .* an earlier line has"),
        ("Twice\n", "classes.txt:1: .* a name of 2: /m/a, /m/b"),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_class_list(path, names)


def test_median_filters(tmp_path):
    seconds = MedianFilter(0.36)
    assert seconds.frames_of(["/m/x"], 0.04) == {"/m/x": 9}
    assert seconds.frames_of(["/m/x"], 0.02) == {"/m/x": 17}
    assert seconds.frames_of(["/m/x"], 0.24) == {"/m/x": 1}
    path = tmp_path / "lengths.csv"
    path.write_text("mid,length\n/m/x,3\n/m/y,5\n")
    frames = MedianFilter(read_lengths(path), "frames")
    assert frames.frames_of(["/m/x", "/m/y"], 1) == {"/m/x": 3, "/m/y": 5}
    with pytest.raises(InputError, match="median filter of /m/z in frames"):
        frames.frames_of(["/m/z"], 1)
    with pytest.raises(InputError, match="found 2.5"):
        MedianFilter(2.5, "frames").frames_of(["/m/z"], 1)
    path.write_text("class,length\n/m/x,3\n")
    with pytest.raises(InputError, match="columns mid and length"):
        read_lengths(path)


def test_a_given_filter_replaces_the_protocols():
    native, truth, _ = _simulated()
    settings = ProtocolSettings(median_filter=MedianFilter(5, "frames"))
    [result] = score_protocols(native, truth, ["segment_auroc"], settings)
    assert result.conditions["median_filter"] == (
        "5 frames, 0.2 s (given, not the protocol's)"
    )
    [plain] = score_protocols(native, truth, ["segment_auroc"])
    assert plain.conditions["median_filter"] == "none"
    assert plain.values != result.values


def test_what_is_missing_is_said():
    native, truth, _ = _simulated()
    for names, settings, message in [
        (["psds2"], ProtocolSettings(), "hershey2021, psds1.*found psds2"),
        ([], ProtocolSettings(), "found none"),
        (
            ["segment_pauroc_407"],
            ProtocolSettings(),
            "train_strong_labels.*protocol_classes",
        ),
        (
            ["psds1_common_rare"],
            ProtocolSettings(classes=ClassList(frozenset(_MIDS), {}, "listed")),
            "groups common, rare .*found none",
        ),
    ]:
        with pytest.raises(InputError, match=message):
            score_protocols(native, truth, names, settings)
    framed = read_truth(
        framed_labels=pd.DataFrame(
            {
                "segment_id": ["c0_0"],
                "label_frame": [0],
                "mid": ["/m/x"],
                "is_present": [True],
            }
        )
    )
    with pytest.raises(InputError, match="Give strong_labels"):
        score_protocols(native, framed, ["segment_auroc"])
    assert score_protocols(native, framed, ["hershey2021"]) == ()
    assert check_protocols(["psds1_a", "psds1_a"]) == ("psds1_a",)


def test_framed_and_strong_labels_go_together():
    native, truth, _ = _simulated()
    both = read_truth(framed_labels=truth.framed, strong_labels=truth.strong)
    assert both.framed is truth.framed
    assert "for protocols of events" in " ".join(both.notes)
    [result] = score_protocols(native, both, ["segment_auroc"])
    [alone] = score_protocols(native, truth, ["segment_auroc"])
    assert result.values == alone.values


def test_every_parameter_stands_beside_its_number():
    pytest.importorskip("sed_scores_eval", reason=_EXTRA)
    native, truth, _ = _simulated()
    settings = ProtocolSettings(
        classes=ClassList(frozenset(["/m/x", "/m/y"]), {}, "listed in L"),
        events=EventScoreParams(onset_collar=0.3),
        thresholds={"/m/x": 0.5, "/m/y": 0.25},
    )
    first, events = score_protocols(
        native, truth, ["psds1_audioset_strong_407", "events"], settings
    )
    macro, psds, conditions = first.lines()
    assert macro.startswith("psds1_audioset_strong_407 psds_macro: 0.")
    assert psds.endswith(
        "(dtc_threshold 0.7, gtc_threshold 0.7, cttc_threshold none, alpha_ct "
        "0, alpha_st 1, max_efpr 100, classes all)"
    )
    for text in (
        "classes: 2 that are scored and have an event, of 2 listed in L (407 "
        "in the whole of AudioSet Strong)",
        "overlapped or touched one of their class and were merged",
        "left out, 2 here",
        "frames: 0.04 s",
        "median filter: 9 frames, 0.36 s",
        "source: fschmid56/PretrainedSED",
    ):
        assert text in conditions
    assert events.parameters["collar_f1"] == {
        "onset_collar": 0.3,
        "offset_collar": 0.2,
        "offset_collar_rate": 0.2,
        "matching": "collar",
        "threshold": "of each class",
        "counts_threshold": True,
        "average": "mean of classes",
    }
    # Listed clips without an event count in it.
    assert "clips: 10, 0.03 hours, 1 without any event" in events.lines()[-1]


# --- The documentation --------------------------------------------------------


def _documented(protocol):
    """The row of a protocol in docs/protocols.md."""
    metrics = []
    for name, metric in protocol.metrics.items():
        defaults = type(metric)
        changed = {
            key: value
            for key, value in vars(metric).items()
            if not isinstance(metric, F1Params)
            and value != getattr(defaults, key)
        }
        if isinstance(metric, F1Params):
            changed = {**metric.criteria}
            if metric.average == "all together":
                changed["average"] = metric.average
        text = ", ".join(f"{key} {value}" for key, value in changed.items())
        metrics.append(f"`{name}`" + (f" ({text})" if text else ""))
    length = "none"
    if protocol.median_seconds:
        length = f"{protocol.median_seconds} s"
    elif protocol.median_frames:
        length = f"{protocol.median_frames} frames"
    classes = "both splits" if protocol.of_both_splits else "labelled"
    clips = "with events" if protocol.drops_empty_clips else "all listed"
    if not protocol.metrics:
        classes = clips = length = "-"
    cells = [
        f"`{protocol.name}`",
        "<br>".join(metrics) or "-",
        classes,
        clips,
        length,
        protocol.source,
    ]
    return f"| {' | '.join(cells)} |"


def test_the_documentation_has_every_protocol():
    text = (_ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    for protocol in PROTOCOLS.values():
        assert _documented(protocol) in text, _documented(protocol)
    for defaults in (PsdsParams(), SegmentParams()):
        for key, value in vars(defaults).items():
            shown = "none" if value is None else value
            assert f"{key} {shown}" in text


def test_reports_show_protocols(tmp_path):
    native, truth, _ = _simulated()
    report = evaluate(
        native, truth, protocols=["segment_auroc"], baseline=native
    )
    written = write_report(report, tmp_path)
    assert report.results == ()
    [scored] = written["protocols"]
    assert scored["baseline_values"] == scored["values"]
    assert scored["parameters"]["auroc"]["curve"] == "straight"
    assert [row["mid"] for row in scored["classes"]] == _MIDS
    table = pd.read_csv(tmp_path / "per_class.csv")
    assert table["evaluation"].tolist() == ["segment_auroc"] * 4
    value = f"{scored['values']['auroc']:.4f}"
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text.count(value) == 2
        assert "segment_seconds 1, max_fpr 1, pooling max" in text
    console = headline_text(report)
    assert f"\nsegment_auroc auroc: {value} (" in console
    assert f"\nbaseline, segment_auroc auroc: {value} (" in console
