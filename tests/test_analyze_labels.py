"""The analyze_labels binary, and the files that it writes."""

import csv
import json
import sys

import forked
import pytest

from audioset_strong.label_analysis.analysis import analyze_files
from audioset_strong.label_analysis.class_names import read_class_info
from audioset_strong.label_analysis.odds_ratios import OddsRatioParams
from audioset_strong.label_analysis.tables import (
    summary_dict,
    summary_text,
    write_analysis,
)
from audioset_strong.labels.problems import ProblemLog

_WEAK_HEAD = "# a\n# b\n# YTID, start_seconds, end_seconds, positive_labels\n"
_STRONG_HEAD = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A folder of hand-written files: five clips, four of them in both."""
    folder = tmp_path_factory.mktemp("labels")
    (folder / "weak.csv").write_text(
        _WEAK_HEAD
        + 'a, 0.000, 10.000, "/m/dog,/m/drum"\n'
        + 'b, 0.000, 10.000, "/m/dog"\n'
        + 'c, 0.000, 10.000, "/m/drum"\n'
        + 'd, 0.000, 10.000, "/m/cat"\n'
        + 'e, 0.000, 10.000, "/m/cat"\n'
    )
    events = [
        ("a_0", "/m/bark"),
        ("a_0", "/m/bark"),
        ("b_0", "/m/bark"),
        ("c_0", "/m/music"),
        ("d_0", "/m/cat"),
        ("d_0", "/m/music"),
    ]
    lines = [
        f"\n{s}\t{i}.000\t{i + 1}.000\t{m}" for i, (s, m) in enumerate(events)
    ]
    (folder / "strong.tsv").write_text(_STRONG_HEAD + "".join(lines) + "\n")
    framed = [
        ("a_0", "/m/bark", 0, "PRESENT"),
        ("a_0", "/m/bark", 1, "NOT_PRESENT"),
    ]
    framed += [("e_0", "/m/bark", i, "NOT_PRESENT") for i in range(2)]
    (folder / "framed.tsv").write_text(
        _STRONG_HEAD
        + "\tpresent\n"
        + "".join(
            f"{s}\t{0.96 * i:.3f}\t{0.96 * (i + 1):.3f}\t{m}\t{p}\n"
            for s, m, i, p in framed
        )
    )
    (folder / "classes.csv").write_text(
        "index,mid,display_name\n"
        '0,/m/dog,"Dog"\n1,/m/cat,"Cat"\n2,/m/drum,"Drum, snare"\n'
        '3,/m/music,"Music | all"\n4,/m/never,"Never"\n'
    )
    (folder / "names.tsv").write_text("/m/bark\tBark\n/m/cat\tCat, meow\n")
    nodes = [("/m/04rlf", "Music", ["/m/drum"]), ("/m/drum", "Drum", [])]
    (folder / "ontology.json").write_text(
        json.dumps([{"id": m, "name": n, "child_ids": c} for m, n, c in nodes])
    )
    return folder


def _run(release, output_dir, *flags):
    command = [
        *(sys.executable, "-m", "audioset_strong.analyze_labels"),
        f"--weak_labels={release}/weak.csv",
        f"--strong_labels={release}/strong.tsv",
        f"--output_dir={output_dir}",
    ]
    return forked.run([*command, *flags], capture_output=True, text=True)


def _rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["mid"]: row for row in csv.DictReader(file)}


def test_binary_end_to_end(release, tmp_path):
    done = _run(
        release,
        tmp_path / "out",
        f"--framed_labels={release}/framed.tsv",
        f"--class_map={release}/classes.csv",
        f"--display_names={release}/names.tsv",
        f"--ontology={release}/ontology.json",
        "--classes=dog,Bark",
        "--min_common_clips=1",
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    written = {path.name for path in out.iterdir()}
    assert written == {
        *("figure2.png", "odds_ratios.csv", "per_class.csv", "priors.csv"),
        *("summary.json", "summary.md", "top_lists.json", "top_lists.md"),
    }
    assert all(str(out / name) in done.stdout for name in written)
    assert (out / "summary.md").read_text() in done.stdout

    per_class = _rows(out / "per_class.csv")
    assert len(per_class) == 6
    bark = per_class["/m/bark"]
    assert bark["display_name"] == "Bark"
    assert bark["is_in_class_map"] == "False"
    assert (bark["num_strong_clips"], bark["num_events"]) == ("2", "3")
    assert bark["num_explicit_negative_clips"] == "1"
    assert bark["num_complementary_negative_label_frames"] == "1"
    assert per_class["/m/drum"]["is_music_descendant"] == "True"
    assert per_class["/m/cat"]["display_name"] == "Cat, meow"
    assert per_class["/m/cat"]["weak_display_name"] == "Cat"
    assert per_class["/m/never"]["num_weak_clips"] == "0"

    priors = _rows(out / "priors.csv")
    # d is one of the four common clips; e, with weak labels only, is not.
    assert priors["/m/cat"]["weak_prior"] == "0.25"
    assert priors["/m/bark"]["prior_ratio"] == "inf"
    assert priors["/m/never"]["prior_ratio"] == ""

    with open(out / "odds_ratios.csv", newline="") as file:
        pairs = {
            (row["weak_name"], row["strong_name"]): row
            for row in csv.DictReader(file)
        }
    # a, b and c of dog/bark: 2 with both, none with one, 2 with neither, so
    # (2.5 * 2.5) / (0.5 * 0.5) = 25.
    assert float(pairs["Dog", "Bark"]["odds_ratio"]) == 25.0
    # dog-bark, drum-bark, drum-music, cat-cat, cat-music share a clip.
    assert len(pairs) == 5

    summary = json.loads((out / "summary.json").read_text())
    assert summary["common_clips"]["num_clips"] == 4
    assert summary["common_clips"]["num_weak_only"] == 1
    assert summary["common_clips"]["weak_labels_per_clip"] == 1.25
    # 3 weak times 3 strong classes
    assert summary["odds_ratios"]["num_pairs_without_clip"] == 9 - 5
    missing = summary["weak_classes_without_strong_labels"]
    assert missing["mids"] == ["/m/dog", "/m/drum", "/m/never"]
    assert missing["num_music_descendants"] == 1
    assert missing["num_weak_classes"] == 5

    lists = json.loads((out / "top_lists.json").read_text())
    assert [(x["name"], x["label_set"], x["num_clips"]) for x in lists] == [
        ("Dog", "weak", 2),
        ("Bark", "strong", 2),
    ]
    ranked = [row["weak_name"] for row in lists[1]["ranked"]]
    assert ranked == ["Dog", "Drum, snare"]
    assert "| 1 | Dog | 25.0 |" in (out / "top_lists.md").read_text()


def test_unknown_class_ends_in_one_line(release, tmp_path):
    done = _run(release, tmp_path, "--classes=/m/dogg")
    assert done.returncode == 2
    assert "analyze_labels: error:" in done.stderr
    assert "Received: '/m/dogg'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_needs_no_more_than_weak_and_strong_labels(release):
    analysis = analyze_files(
        [release / "weak.csv", release / "weak.csv"], [release / "strong.tsv"]
    )
    # The clips of both weak files are joined.
    assert analysis.num_clips == {"weak": 5, "strong": 4}
    assert analysis.common.weak.num_instances == 5
    summary = summary_dict(analysis)
    assert summary["counts_per_class_of_class_map"] is None
    missing = summary["weak_classes_without_strong_labels"]
    assert missing["mids"] == ["/m/dog", "/m/drum"]
    assert missing["num_music_descendants"] is None
    # By default the most frequent classes of both sets, in both directions.
    top_lists = {"weak": [], "strong": []}
    for top_list in analysis.top_lists:
        top_lists[top_list.direction].append(top_list.mid)
    assert set(top_lists["weak"]) == {"/m/dog", "/m/drum", "/m/cat"}
    assert set(top_lists["strong"]) == {"/m/cat", "/m/bark", "/m/music"}


def test_ratios_that_are_not_finite_are_null_in_json(release, tmp_path):
    params = OddsRatioParams(haldane_correction=0.0, min_common_clips=1)
    analysis = analyze_files(
        [release / "weak.csv"],
        [release / "strong.tsv"],
        chosen=["/m/dog"],
        params=params,
    )
    write_analysis(analysis, str(tmp_path))
    (top_list,) = json.loads((tmp_path / "top_lists.json").read_text())
    # No clip has only one of the two: 2 * 2 / (0 * 0).
    assert top_list["ranked"][0]["num_both"] == 2
    assert top_list["ranked"][0]["odds_ratio"] is None
    assert ",inf," in (tmp_path / "odds_ratios.csv").read_text()


def test_large_changes_of_priors_are_named(tmp_path):
    ytids = [f"{i:02d}" for i in range(24)]
    weak = [f'{y}, 0.000, 10.000, "/m/{"up" if y == "00" else "down"}"\n'
            for y in ytids]  # fmt: skip
    strong = [f"{y}_0\t0.0\t1.0\t/m/{'down' if y == '00' else 'up'}\n"
              for y in ytids]  # fmt: skip
    (tmp_path / "w.csv").write_text(_WEAK_HEAD + "".join(weak))
    (tmp_path / "s.tsv").write_text(_STRONG_HEAD + "\n" + "".join(strong))
    analysis = analyze_files([tmp_path / "w.csv"], [tmp_path / "s.tsv"])
    priors = summary_dict(analysis)["priors"]
    assert [c["mid"] for c in priors["grown"]] == ["/m/up"]
    assert priors["grown"][0]["prior_ratio"] == 23
    assert [c["mid"] for c in priors["dropped"]] == ["/m/down"]
    assert "/m/up (23x)" in summary_text(analysis)


def test_real_excerpt(audioset_labels, strong_excerpts, tmp_path):
    classes = read_class_info(
        audioset_labels / "class_labels_indices.csv",
        audioset_labels / "mid_to_display_name.tsv",
        audioset_labels / "ontology.json",
    )
    analysis = analyze_files(
        [audioset_labels / "eval_segments.csv"],
        [strong_excerpts / "audioset_eval_strong.top110.tsv"],
        classes=classes,
        chosen=["Speech", "Mechanisms"],
        problems=ProblemLog(),
    )
    write_analysis(analysis, str(tmp_path))
    assert analysis.common.num_clips == 15_646
    assert len(classes.weak_names) == 527
    # Section 3.1 names "Male speech" first for weak "Speech", at 12.1 on the
    # training clips.
    first = analysis.top_lists[0].table.iloc[0]
    assert classes.name(first["strong_mid"]).startswith("Male speech")
    assert first["odds_ratio"] == pytest.approx(11.0, abs=0.05)
    # 149 of the 527 lie below Music; the release has strong labels of 12 of
    # them, bells and chimes for example, so 137 lack any (the paper: 140). The
    # excerpt's 110 classes have two of the twelve.
    assert len(classes.music_mids & set(classes.weak_names)) == 149
    missing = summary_dict(analysis)["weak_classes_without_strong_labels"]
    assert missing["num_classes"] == 527 - 101
    assert missing["num_music_descendants"] == 149 - 2
