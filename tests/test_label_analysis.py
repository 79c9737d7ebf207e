"""Label analysis: changes of priors, and the real excerpt."""

import time

import pytest

from audioset_strong.label_analysis.tables import (
    analyze_files,
    markdown_table,
    read_class_info,
    summary_dict,
    summary_text,
    write_analysis,
)
from audioset_strong.labels.problems import ProblemLog

_WEAK_HEAD = "# a\n# b\n# YTID, start_seconds, end_seconds, positive_labels\n"
_STRONG_HEAD = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"


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


def test_bars_in_cells_are_escaped():
    assert markdown_table(["a"], [["x|y"]])[-1] == r"| x\|y |"


def test_real_excerpt(audioset_labels, strong_excerpts, tmp_path):
    start = time.monotonic()
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
    assert time.monotonic() - start < 10
    assert analysis.instances.num_clips == 15_646
    assert len(analysis.classes.class_map_mids) == 527
    # Section 3.1 names "Male speech" first for weak "Speech", at 12.1 on the
    # training clips.
    first = analysis.top_lists[0].table.iloc[0]
    assert classes.names.name(first["strong_mid"]).startswith("Male speech")
    assert first["odds_ratio"] == pytest.approx(11.0, abs=0.05)
    # 149 of the 527 lie below Music; the release has strong labels of 12 of
    # them, bells and chimes for example, so 137 lack any (the paper: 140). The
    # excerpt's 110 classes have two of the twelve.
    assert len(classes.music_mids & set(classes.class_map_mids)) == 149
    missing = summary_dict(analysis)["weak_classes_without_strong_labels"]
    assert missing["num_classes"] == 527 - 101
    assert missing["num_music_descendants"] == 149 - 2
