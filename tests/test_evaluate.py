"""`evaluate`, the binary above it, and common items."""

import dataclasses
import doctest
import json
import sys

import forked
import numpy as np
import pandas as pd
import pytest
from eval_examples import (
    X,
    Y,
    Z,
    hand_framed,
    hand_score_file,
    hand_weak,
    make_score_file,
)
from test_score_tables import write_table

from audioset_strong import evaluation as package
from audioset_strong.errors import InputError
from audioset_strong.evaluation import evaluating as evaluate_lib
from audioset_strong.evaluation.evaluating import (
    EvalSettings,
    Extent,
    ResamplingSettings,
    common_classes,
    common_label_frames,
    evaluate,
    on_listed_clips,
)
from audioset_strong.evaluation.items import STRONG_NEGATIVES
from audioset_strong.evaluation.report import report_dict
from audioset_strong.evaluation.score_arrays import make_scores
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.scores import (
    write_score_file,
)
from audioset_strong.evaluation.truth import read_truth
from audioset_strong.labels.class_map import (
    ClassMap,
    KnownClasses,
    read_known_classes,
    write_class_map,
)
from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.ids import read_clip_list, write_clip_list
from audioset_strong.labels.label_files import (
    write_display_names,
    write_framed_labels,
    write_pairs,
    write_strong_labels,
    write_weak_labels,
)
from audioset_strong.labels.label_mapping import LabelMapping
from audioset_strong.labels.ontology import Ontology
from audioset_strong.params import LabelMappingParams


def evaluate_files(
    scores,
    framed=None,
    weak=None,
    *,
    baseline=None,
    known=KnownClasses(),
    is_logits=False,
    strong=None,
    pairs=None,
    **settings,
):
    """Evaluates files as the binary does."""
    return evaluate(
        read_scores(scores, known, is_logits=is_logits),
        read_truth(framed, strong, weak, pairs),
        EvalSettings(
            resampling=ResamplingSettings(num_resamples=40), **settings
        ),
        None if baseline is None else read_scores(baseline, known),
    )


def evaluate_score_file(*args, **options):
    return report_dict(evaluate_files(*args, **options))


@pytest.fixture
def files(tmp_path):
    write_score_file(hand_score_file(), tmp_path / "S.npz")
    write_framed_labels(hand_framed(), tmp_path / "F.tsv")
    write_weak_labels(hand_weak(), tmp_path / "W.csv")
    write_class_map(
        ClassMap((X, Y, Z), ("Ex", "Why", "Zed")), tmp_path / "C.csv"
    )
    write_display_names([(X, "Strong ex")], tmp_path / "N.tsv")
    return tmp_path


def run_evaluate(*arguments):
    return forked.run(
        [sys.executable, "-m", "audioset_strong.evaluate", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_end_to_end(files):
    with open(files / "F.tsv", "a") as file:
        file.write("a broken line\n")
    done = run_evaluate(
        f"--scores={files}/S.npz",
        f"--baseline_scores={files}/S.npz",
        f"--framed_labels={files}/F.tsv",
        f"--weak_labels={files}/W.csv",
        f"--class_map={files}/C.csv",
        f"--display_names={files}/N.tsv",
        "--skip_bad_lines",
        "--rank_over=evaluated",
        "--negatives=explicit",
        "--negatives=implied",
        "--system_name=Ours",
        f"--report_dir={files}/R",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Evaluation of Ours (2")
    assert done.stdout.splitlines()[-1] == f"Report: {files}/R/report.html"
    assert "a broken line" in done.stderr
    results = json.loads((files / "R" / "report.json").read_text())
    assert set(results["strong"]) == {"explicit", "implied"}
    assert results["strong"]["explicit"]["lwlrap"] == pytest.approx(5 / 6)
    assert results["difference"]["strong"]["explicit"]["d_prime"] == 0
    assert results["label_problems"]["num_left_out"] == 1
    identity = results["identity"]
    assert identity["baseline_name"] == "S"
    assert identity["protocols"] == ["hershey2021"]
    assert set(identity["files"]) == {
        *("scores", "baseline_scores", "framed_labels", "weak_labels"),
        *("class_map", "display_names"),
    }
    csv = (files / "R" / "per_class.csv").read_text()
    assert "strong,explicit,/m/x,Strong ex," in csv
    assert "weak,implied,/m/z,Zed," in csv


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Expected framed or strong labels, weak labels or both"),
        (
            ["--weak_labels=W.csv", "--protocol", "segment_auroc"],
            "Give strong_labels, all events of the clips",
        ),
        (["--weak_labels=W.csv", "--common_with_baseline"], "a baseline"),
        (
            ["--weak_labels=W.csv", "--subsume_music"],
            "subsume_music needs an ontology and display_names",
        ),
        (["--weak_labels=F.tsv"], "expected the header"),
        (["--weak_labels=none.csv"], "No such file or directory: none.csv"),
        (["--weak_labels=W.csv", "extra"], "Expected flags only"),
    ],
)
def test_bad_input_is_one_line(files, arguments, message):
    arguments = [
        a if "none" in a or "protocol" in a else a.replace("=", f"={files}/")
        for a in arguments
    ]
    done = run_evaluate(
        f"--scores={files}/S.npz", f"--report_dir={files}/R", *arguments
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (files / "R").exists()


def test_own_recordings_of_any_length(tmp_path):
    # Eight windows a label frame. Of `hush` and `still`, which hold no event,
    # the model is sure that they hold a wren; `new` nobody has listened to.
    rng = np.random.default_rng(9)
    seconds = {"yard 7": 25.4, "007": 2.2, "hush": 41.0, "still": 5.0}
    windows, frames = {}, {}
    (tmp_path / "S").mkdir()
    for name, length in {**seconds, "new": 9.0}.items():
        windows[name] = 0.4 * rng.random((int(length / 0.12), 2))
        if name in ("hush", "still"):
            windows[name][:, 1] += 0.6
        edges = np.arange(len(windows[name]) + 1) * 0.12
        columns = ["dog_bark", "wren"]
        write_table(
            tmp_path / "S" / f"{name}.tsv", windows[name], edges, columns
        )
        count = int(length / 0.96)
        frames[name] = windows[name][: 8 * count].reshape(count, 8, 2).mean(1)
    (tmp_path / "C.tsv").write_text(
        "segment_id\tduration_seconds\tgroup\n"
        + "".join(
            f"{name}\t{length}\tmy site\n" for name, length in seconds.items()
        )
    )
    (tmp_path / "L.tsv").write_text(
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        "007\t0.000\t1.920\tdog_bark\n"
        "yard 7\t19.200\t24.000\twren\n"
    )
    flags = [
        f"--scores={tmp_path}/S",
        f"--strong_labels={tmp_path}/L.tsv",
        "--negatives=implied",
        "--num_resamples=0",
        f"--report_dir={tmp_path}/R",
    ]
    done = run_evaluate(*flags, f"--clips={tmp_path}/C.tsv")
    assert done.returncode == 0, done.stderr
    assert "1 scored clips have no strong labels, such as new" in done.stderr
    results = json.loads((tmp_path / "R" / "report.json").read_text())
    assert results["inputs"]["clips"] == f"{tmp_path}/C.tsv"
    found = results["strong"]["implied"]
    # 26 and 2 label frames, and 42 and 5 of clips without events.
    assert found["num_items"] == 26 + 2 + 42 + 5
    assert found["num_positives"] == 2 + 5
    assert found["alignment"]["num_clips_evaluated"] == 4
    # Wren: all of both clips without events lie above all its positives.
    scores = np.concatenate([frames[name][:, 1] for name in seconds])
    positives, others = scores[20:25], np.delete(scores, range(20, 25))
    [auc] = [c["auc"] for c in found["classes"] if c["mid"] == "wren"]
    assert auc == pytest.approx((positives[:, np.newaxis] > others).mean())
    assert auc < 28 / 70

    # Without the list it is another world; the console says what is missing.
    done = run_evaluate(*flags, "--clip_seconds=25.4")
    assert done.returncode == 2
    assert "found 4 of 5 clips whose scores end long before" in done.stderr
    done = run_evaluate(*flags, "--clip_seconds=25.4", "--allow_partial_scores")
    assert done.returncode == 0, done.stderr
    assert "3 scored clips have no strong labels (if somebody" in done.stderr
    assert "scores of 1 of 5 clips go on after the end" in done.stderr
    results = json.loads((tmp_path / "R" / "report.json").read_text())
    assert results["strong"]["implied"]["num_items"] == 28
    assert "clips" not in results["inputs"]


def test_labels_alone_give_their_eval(files):
    results = evaluate_score_file(files / "S.npz", files / "F.tsv")
    assert set(results["strong"]) == set(STRONG_NEGATIVES)
    assert results["weak"] == {}
    assert results["inputs"]["scores"] == str(files / "S.npz")
    results = evaluate_score_file(files / "S.npz", weak=files / "W.csv")
    assert results["strong"] == {}
    assert set(results["weak"]) == {"implied"}


def test_numbers_of_files_by_hand(files):
    results = evaluate_score_file(
        files / "S.npz", files / "F.tsv", files / "W.csv"
    )
    # As in test_items.py.
    np.testing.assert_allclose(
        [
            results["strong"]["explicit"]["mean_auc"],
            results["strong"]["implied"]["mean_auc"],
            results["weak"]["explicit"]["mean_auc"],
            results["weak"]["implied"]["mean_auc"],
        ],
        [7 / 12, (3 / 4 + 1 / 3) / 2, 0, 0.5],
    )


def _keep_classes(score_file, columns):
    return dataclasses.replace(
        score_file,
        mids=score_file.mids[columns],
        scores=score_file.scores[:, :, columns],
    )


def test_a_baseline_with_other_classes(files, caplog):
    # Without z, and with x and y the other way round.
    write_score_file(_keep_classes(hand_score_file(), [1, 0]), files / "B.npz")
    arguments = (files / "S.npz", files / "F.tsv", files / "W.csv")
    report = evaluate_score_file(*arguments, baseline=files / "B.npz")
    assert report["inputs"]["compared_classes"] == (
        "2 in all; classes left out: 1 of the scores"
    )
    assert "class 0 is /m/x there, /m/y here" in caplog.text
    assert hand_score_file().class_map_hash in caplog.text
    for evaluation in ("strong", "weak"):
        for negatives in ("explicit", "implied"):
            # The same scores over the same classes.
            difference = report["difference"][evaluation][negatives]
            difference.pop("intervals")
            assert set(difference.values()) <= {0.0, None}
            assert "z" not in [
                c["mid"][-1]
                for c in report[evaluation][negatives]["undefined_classes"]
                if c["reason"] != "not in the score file"
            ]
    # Over all of its classes the score file is another: lwlrap ranks three.
    alone = evaluate_score_file(*arguments)
    assert "compared_classes" not in alone["inputs"]
    assert (
        alone["weak"]["implied"]["lwlrap"]
        != report["weak"]["implied"]["lwlrap"]
    )


def test_classes_without_a_name_are_counted(files, caplog):
    write_class_map(ClassMap((X,), ("Ex",)), files / "C.csv")
    evaluate_score_file(
        files / "S.npz",
        files / "F.tsv",
        known=read_known_classes(files / "C.csv"),
    )
    assert "2 of 3 scored classes" in caplog.text
    assert "such as /m/y" in caplog.text


def test_mapped_truth(files):
    graph = Ontology({X: "X", Y: "Y", Z: "Z"}, {Z: (X, Y)})
    mapping = LabelMapping(LabelMappingParams(smear_labels=True), graph)
    report = evaluate_score_file(
        files / "S.npz", files / "F.tsv", files / "W.csv", mapping=mapping
    )
    per_class = (
        evaluate_files(files / "S.npz", files / "F.tsv", mapping=mapping)
        .results[0]
        .per_class.set_index("mid")
    )
    # z is present where x or y is: in a 0 (x, y) and b 0 (y). All other label
    # frames of a and b are its negatives, of which a 1 and b 1 are scored.
    assert per_class.loc[Z, "num_positives"] == 2
    assert per_class.loc[Z, "num_negatives"] == 2
    # a 0 and b 0 have .1, .3, the negatives too: an AUC of a half.
    assert per_class.loc[Z, "auc"] == 0.5
    text = report["inputs"]["label_mapping"]
    # Four clips with x or y or both; c has z already, w is no class of it.
    assert text.startswith("smear_labels; 5 weak labels became 8; 3 framed ")


def numbers_of(report):
    return [
        (r.evaluation, r.negatives, r.mean_auc, r.lwlrap, r.num_items)
        for r in report.results
    ]


def test_tables_of_display_names_give_the_same_numbers(files):
    score_file = hand_score_file()
    (files / "tables").mkdir()
    for segment_id, scores, count in zip(
        score_file.segment_ids,
        score_file.scores,
        score_file.num_label_frames,
        strict=True,
    ):
        # Four equal windows a label frame.
        write_table(
            files / "tables" / f"{segment_id}.tsv",
            np.repeat(scores[:count], 4, axis=0),
            np.arange(4 * count + 1) * 0.24,
            ["Strong ex", "Why", "Zed"],
        )
    labels = (files / "F.tsv", files / "W.csv")
    known = read_known_classes(files / "C.csv", files / "N.tsv")
    of_tables = evaluate_files(
        files / "tables", *labels, known=known, allow_partial_scores=True
    )
    of_file = evaluate_files(files / "S.npz", *labels)
    np.testing.assert_equal(numbers_of(of_tables), numbers_of(of_file))
    notes = of_tables.inputs["scores_notes"]
    assert "3 of 3 columns (3 by display name)" in notes
    assert "60 windows of 0.240 s in 4 tables" in notes
    assert "in 4 clips, pooled by mean onto 15 label frames" in notes


def test_strong_labels_are_framed_as_frame_labels_does(files):
    strong = pd.DataFrame(
        {
            "segment_id": ["a_0", "a_0", "b_0"],
            "onset_seconds": [0.0, 0.0, 0.0],
            "offset_seconds": [0.96, 0.9, 1.0],
            "mid": [X, Y, Y],
        }
    )
    pairs = pd.DataFrame({"segment_id": ["b_0", "c_0"], "mid": [X, Y]})
    write_strong_labels(strong, files / "T.tsv")
    write_pairs(pairs, files / "P.tsv")
    write_framed_labels(frame_strong_labels(strong, pairs), files / "F2.tsv")
    framed_here = evaluate_files(
        files / "S.npz",
        weak=files / "W.csv",
        strong=files / "T.tsv",
        pairs=files / "P.tsv",
    )
    framed_before = evaluate_files(
        files / "S.npz", files / "F2.tsv", files / "W.csv"
    )
    np.testing.assert_equal(numbers_of(framed_here), numbers_of(framed_before))
    assert "3 events became 3 PRESENT" in framed_here.inputs["truth"]
    assert framed_here.inputs["strong_labels"] == str(files / "T.tsv")


def test_logits_are_said_where_it_matters(files, caplog):
    score_file = hand_score_file()
    logits = np.log(score_file.scores + 1e-3) * 9
    write_score_file(
        dataclasses.replace(score_file, scores=logits), files / "L.npz"
    )
    strong = evaluate_files(files / "L.npz", files / "F.tsv")
    assert "not in [0, 1]" not in caplog.text
    weak = evaluate_files(files / "L.npz", None, files / "W.csv")
    assert "not in [0, 1]" in weak.inputs["scores_notes"]
    assert "not in [0, 1], and clip scores" in caplog.text
    caplog.clear()
    done = evaluate_files(
        files / "L.npz", files / "F.tsv", files / "W.csv", is_logits=True
    )
    assert "not in [0, 1]" not in caplog.text
    assert done.results[0].mean_auc == strong.results[0].mean_auc


def test_listed_clips(files):
    write_clip_list(["b_0", "a_0", "d_0", "x_0"], files / "clips.txt", "Some.")
    report = evaluate_files(
        files / "S.npz",
        files / "F.tsv",
        files / "W.csv",
        clips=read_clip_list(files / "clips.txt"),
    )
    for result in report.results:
        alignment = result.alignment
        assert alignment.num_clips_evaluated == 2
        assert alignment.clips_not_scored == ("d_0",)
        assert alignment.clips_without_labels == ()
    assert report.inputs["scores_notes"].endswith(
        "2 of 4 listed clips are scored, 2 scored ones are not listed"
    )


def test_two_systems_on_common_label_frames(files):
    ours = hand_score_file()
    # Without clip c; b has one label frame, clip a more than ours.
    baseline = dataclasses.replace(
        ours,
        segment_ids=ours.segment_ids[:2],
        scores=ours.scores[:2],
        num_label_frames=np.array([5, 1]),
    )
    write_score_file(baseline, files / "B.npz")
    arguments = (files / "S.npz", files / "F.tsv", files / "W.csv")
    apart = evaluate_files(*arguments, baseline=files / "B.npz")
    assert [r.num_items for r in apart.results] != [
        r.num_items for r in apart.baseline_results
    ]
    common = evaluate_files(
        *arguments, baseline=files / "B.npz", only_common_label_frames=True
    )
    assert common.inputs["compared_clips"].startswith(
        "2 clips in all; clips left out: 2 of the scores; label frames"
    )
    assert common.results[0].num_items == 3
    for result in common.results:
        baseline = common.baseline_of(result)
        np.testing.assert_equal(baseline.mean_auc, result.mean_auc)
        assert baseline.num_items == result.num_items


def test_scores_of_other_classes_are_refused(files):
    score_file = hand_score_file()
    foreign = dataclasses.replace(
        score_file, mids=np.array([f"/m/other{i}" for i in range(3)])
    )
    write_score_file(foreign, files / "O.npz")
    with pytest.raises(InputError, match="have no class in common"):
        evaluate_score_file(files / "O.npz", files / "F.tsv")


def test_example():
    results = doctest.testmod(evaluate_lib)
    assert results.failed == 0
    assert results.attempted > 5


def test_everything_that_is_exported_is_there():
    for name in package.__all__:
        assert callable(getattr(package, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_arrays_give_the_numbers_of_files(files):
    score_file = hand_score_file()
    of_files = evaluate_files(files / "S.npz", files / "F.tsv", files / "W.csv")
    # The same scores in 25 equal frames a label frame.
    scores = np.repeat(score_file.scores, 24, axis=1)
    of_arrays = evaluate(
        make_scores(
            scores,
            score_file.segment_ids.tolist(),
            score_file.mids.tolist(),
            frame_seconds=0.04,
            num_frames=(score_file.num_label_frames * 24).tolist(),
        ),
        read_truth(framed_labels=hand_framed(), weak_labels=files / "W.csv"),
        EvalSettings(only_common_label_frames=True),
        score_file,
    )
    assert len(of_files.results) == 6
    for results in (of_arrays.results, of_arrays.baseline_results):
        for ours, theirs in zip(results, of_files.results, strict=True):
            assert ours.evaluation == theirs.evaluation
            assert ours.negatives == theirs.negatives
            np.testing.assert_allclose(ours.mean_auc, theirs.mean_auc)
            np.testing.assert_allclose(ours.lwlrap, theirs.lwlrap)
    assert of_arrays.inputs["scores"] == "an array"


def test_settings_of_arrays():
    score_file = hand_score_file()
    class_map = ClassMap(tuple(score_file.mids.tolist()), ("X", "Y", "Z"))
    scores = make_scores(
        score_file.scores,
        score_file.segment_ids.tolist(),
        ["0", "1", "2"],
        known=KnownClasses(class_map),
    )
    report = evaluate(
        scores,
        read_truth(weak_labels=hand_weak()),
        EvalSettings(clips=["a_0", "b_0"], negatives=["implied"]),
    )
    [result] = report.results
    assert result.num_items == 2
    assert result.per_class["display_name"].tolist()[:3] == ["X", "Y", "Z"]


def scores_of(segment_ids, mids=(X, Y), num_label_frames=None):
    rng = np.random.default_rng(len(segment_ids))
    shape = (len(segment_ids), 10, len(mids))
    return make_score_file(
        rng.random(shape, dtype=np.float32),
        segment_ids,
        list(mids),
        num_label_frames,
    )


def extents_of(*systems):
    names = ("ours", "theirs", "others")
    return {n: Extent.of(s) for n, s in zip(names, systems)}


def test_common_classes():
    ours = scores_of(["a_0"], [X, Y])
    theirs = scores_of(["a_0"], [Z, Y])
    extents, text = common_classes(extents_of(ours, theirs))
    left, right = (
        extents["ours"].of_scores(ours),
        extents["theirs"].of_scores(theirs),
    )
    assert left.mids.tolist() == right.mids.tolist() == [Y]
    np.testing.assert_array_equal(left.scores[:, :, 0], ours.scores[:, :, 1])
    np.testing.assert_array_equal(right.scores[:, :, 0], theirs.scores[:, :, 1])
    assert text == "1 in all; classes left out: 1 of ours, 1 of theirs"
    same = scores_of(["a_0"], [Y, X])
    extents, text = common_classes(extents_of(ours, same))
    assert text == ""
    assert extents["ours"].of_scores(ours) is ours
    assert extents["theirs"].of_scores(same) is same
    _, text = common_classes(extents_of(ours, same, theirs))
    assert text == (
        "1 in all; classes left out: 1 of ours, 1 of theirs, 1 of others"
    )
    with pytest.raises(InputError, match="ours and theirs have no class in c"):
        common_classes(extents_of(ours, scores_of(["a_0"], [Z])))


def test_common_label_frames():
    ours = scores_of(["a_0", "b_0", "c_0"], num_label_frames=[10, 4, 10])
    theirs = scores_of(
        ["d_0", "c_0", "b_0", "e_0"], num_label_frames=[9, 7, 8, 9]
    )
    extents, text = common_label_frames(extents_of(ours, theirs))
    left = extents["ours"].of_scores(ours)
    right = extents["theirs"].of_scores(theirs)
    # Each in its own order.
    assert left.segment_ids.tolist() == ["b_0", "c_0"]
    assert right.segment_ids.tolist() == ["c_0", "b_0"]
    assert left.num_label_frames.tolist() == [4, 7]
    assert right.num_label_frames.tolist() == [7, 4]
    np.testing.assert_array_equal(left.scores, ours.scores[1:])
    np.testing.assert_array_equal(right.scores, theirs.scores[1:3])
    assert text == (
        "2 clips in all; clips left out: 1 of ours, 2 of theirs; label frames "
        "of these clips left out: 3 of ours, 4 of theirs"
    )
    third = scores_of(["c_0"], num_label_frames=[2])
    extents, text = common_label_frames(extents_of(ours, theirs, third))
    for extent in extents.values():
        assert extent.segment_ids.tolist() == ["c_0"]
        assert extent.num_label_frames.tolist() == [2]
    assert text.endswith("left out: 8 of ours, 5 of theirs")
    with pytest.raises(InputError, match=r"no clip in common; .*\['a_0'\]"):
        common_label_frames(extents_of(ours, scores_of(["x_0"])))


def test_common_items_listed_clips():
    scores = scores_of(["a_0", "b_0", "c_0"], num_label_frames=[1, 2, 3])
    listed, text = on_listed_clips(scores, ["c_0", "x_0", "a_0"])
    assert listed.segment_ids.tolist() == ["a_0", "c_0"]
    assert listed.num_label_frames.tolist() == [1, 3]
    np.testing.assert_array_equal(listed.scores, scores.scores[[0, 2]])
    assert text == (
        "2 of 3 listed clips are scored, 1 scored ones are not listed"
    )
    with pytest.raises(InputError, match="found none: .*'a_0'.*'x_0'"):
        on_listed_clips(scores, ["x_0"])
