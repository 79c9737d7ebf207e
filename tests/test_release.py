"""A simulated release, its binaries, and mined candidates in it."""

import dataclasses
import json
import os
import pathlib
import sys

import forked
import numpy as np
import pandas as pd
import pytest
import soundfile

from audioset_strong.errors import InputError
from audioset_strong.labels import label_files
from audioset_strong.labels.class_map import read_class_map
from audioset_strong.simulation import release
from audioset_strong.simulation.release import annotate_candidates, make_release
from audioset_strong.simulation.soundscapes import SoundscapeParams
from audioset_strong.simulation.sources import SourceSettings
from audioset_strong.simulation.timing import TimingParams

_PARAMS = SoundscapeParams(
    num_weak_clips=6, num_strong_clips=8, num_eval_clips=30, seed=1
)
_SYNTHETIC = SourceSettings()
_ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def release_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    make_release(str(folder), _PARAMS, _SYNTHETIC, num_workers=1)
    return folder


def _contents(folder):
    """Bytes of every file, the journal's lines sorted."""
    contents = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".jsonl":
                data = b"".join(sorted(data.splitlines(keepends=True)))
            contents[str(path.relative_to(folder))] = data
    return contents


def _saved(params=_PARAMS):
    """Params as JSON has them."""
    return json.loads(json.dumps(dataclasses.asdict(params)))


def _run(binary, *arguments):
    return forked.run(
        [sys.executable, "-m", f"audioset_strong.{binary}", *arguments],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_audio_and_labels_belong_together(release_dir):
    labels = release_dir / "labels"
    expected = {"train": 14, "eval": 30}
    weak_names = {
        "train": ["balanced_train_segments", "unbalanced_train_segments"],
        "eval": ["eval_segments"],
    }
    for folder, number in expected.items():
        paths = sorted((release_dir / "audio" / folder).iterdir())
        assert len(paths) == number
        listed = pd.concat(
            label_files.read_weak_labels(labels / f"{name}.csv")
            for name in weak_names[folder]
        )
        assert {p.stem for p in paths} == set(listed["segment_id"])
        info = soundfile.info(str(paths[0]))
        form = (info.samplerate, info.channels, info.frames)
        assert form == (16000, 1, 160000)
        assert (info.format, info.subtype) == ("FLAC", "PCM_16")
        samples, _ = soundfile.read(paths[0])
        assert 1e-4 < samples.std() < np.abs(samples).max() < 1.0


def test_strong_labels_are_complete_and_specific(release_dir):
    labels = release_dir / "labels"
    names = label_files.read_display_names(labels / "mid_to_display_name.tsv")
    truth = label_files.read_strong_labels(labels / "ground_truth.tsv")
    strong = pd.concat(
        [
            label_files.read_strong_labels(labels / f"audioset_{s}_strong.tsv")
            for s in ("train", "eval")
        ],
        ignore_index=True,
    )
    assert set(strong["mid"]) <= set(names)
    pairs = ["segment_id", "mid"]
    is_marked = truth["segment_id"].isin(strong["segment_id"])
    # All but the 6 clips with weak labels only.
    assert truth.loc[~is_marked, "segment_id"].nunique() == 6
    pd.testing.assert_frame_equal(
        strong[pairs].sort_values(pairs, ignore_index=True),
        truth.loc[is_marked, pairs].sort_values(pairs, ignore_index=True),
    )


def test_framed_file_has_negatives_of_every_class(release_dir):
    labels = release_dir / "labels"
    framed = label_files.read_framed_labels(
        labels / "audioset_eval_strong_framed_posneg.tsv"
    )
    class_map = read_class_map(labels / "class_labels_indices.csv")
    pairs = framed.groupby(["segment_id", "mid"])["is_present"]
    # Ten label frames a pair, and explicit negatives of every class.
    assert (pairs.size() == 10).all()
    absent = pairs.any().reset_index().query("not is_present")
    assert set(absent["mid"]) == set(class_map.mids)
    assert class_map.num_classes == 35
    assert absent.groupby("mid").size().max() <= 15
    truth = label_files.read_strong_labels(labels / "ground_truth.tsv")
    heard = pd.MultiIndex.from_frame(truth[["segment_id", "mid"]])
    asked = pd.MultiIndex.from_frame(absent[["segment_id", "mid"]])
    assert not asked.isin(heard).any()


def test_settings_and_counts_are_saved_and_other_ones_refused(release_dir):
    saved = json.loads((release_dir / "soundscapes.json").read_text())
    assert saved["params"] == dataclasses.asdict(_PARAMS)
    assert saved["source"] == {"name": "synthetic"}
    truth = label_files.read_strong_labels(
        release_dir / "labels" / "ground_truth.tsv"
    )
    counts = [sum(c.values()) for c in saved["event_counts"].values()]
    assert sum(counts) == len(truth)
    other = dataclasses.replace(_PARAMS, seed=2)
    with pytest.raises(InputError, match="seed=1, not 2"):
        make_release(str(release_dir), other, _SYNTHETIC, num_workers=1)


def test_a_release_of_an_earlier_version_has_the_defaults_of_new_settings(
    release_dir, tmp_path
):
    saved = json.loads((release_dir / "soundscapes.json").read_text())
    del saved["params"]["timing"], saved["params"]["strong_recordings_share"]
    (tmp_path / "soundscapes.json").write_text(json.dumps(saved))
    release._claim_folder(str(tmp_path), {**saved, "params": _saved()})
    other = {**_saved(), "strong_recordings_share": 0.5}
    with pytest.raises(InputError, match=r"share=0\.0, not 0\.5"):
        release._claim_folder(str(tmp_path), {**saved, "params": other})


def test_timing_is_saved_and_other_ones_refused(tmp_path):
    params = dataclasses.replace(_PARAMS, timing=TimingParams())
    settings = {"params": _saved(params), "source": {"name": "synthetic"}}
    release._claim_folder(str(tmp_path), settings)
    release._claim_folder(str(tmp_path), settings)
    timing = dataclasses.replace(params.timing, mean_classes=2.0)
    other = _saved(dataclasses.replace(params, timing=timing))
    with pytest.raises(InputError, match="timing="):
        release._claim_folder(str(tmp_path), {**settings, "params": other})


def test_an_interrupted_release_is_finished_and_nothing_made_twice(
    release_dir, tmp_path, monkeypatch
):
    make_one = release._make_clip
    made = []

    def interrupted(*arguments):
        if len(made) == 20:
            raise KeyboardInterrupt
        made.append(arguments)
        return make_one(*arguments)

    monkeypatch.setattr(release, "_make_clip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_release(str(tmp_path), _PARAMS, _SYNTHETIC, num_workers=1)
    # As if killed while writing a line, and one finished clip was lost.
    with open(tmp_path / "clips.jsonl", "a") as journal:
        journal.write('{"subset": "ev')
    next((tmp_path / "audio" / "train").glob("*.flac")).unlink()

    made_later = []
    monkeypatch.setattr(
        release,
        "_make_clip",
        lambda *arguments: made_later.append(arguments) or make_one(*arguments),
    )
    make_release(str(tmp_path), _PARAMS, _SYNTHETIC, num_workers=1)
    assert len(made_later) == 44 - 20 + 1
    assert _contents(tmp_path) == _contents(release_dir)


@pytest.mark.slow
def test_two_processes_make_the_same_release_as_one(
    release_dir, tmp_path, monkeypatch
):
    # So few clips are not worth a second process, so it is forced.
    monkeypatch.setattr(release, "_MIN_CLIPS_PER_WORKER", 1)
    make_release(str(tmp_path), _PARAMS, _SYNTHETIC, num_workers=2)
    assert _contents(tmp_path) == _contents(release_dir)


def test_a_folder_with_other_label_files_is_refused(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "eval_segments.csv").write_text("real")
    with pytest.raises(InputError, match="did not write"):
        make_release(str(tmp_path), _PARAMS, _SYNTHETIC, num_workers=1)
    assert (tmp_path / "labels" / "eval_segments.csv").read_text() == "real"


@pytest.fixture
def copied_dir(release_dir, tmp_path):
    """The release without its audio, to write into."""
    (tmp_path / "labels").mkdir()
    for path in release_dir.rglob("*.*"):
        if path.suffix in (".csv", ".tsv", ".json"):
            target = tmp_path / path.relative_to(release_dir)
            target.write_bytes(path.read_bytes())
    return tmp_path


def _write_candidates(path, mids, segment_ids):
    rows = [
        (mid, segment_id, 1 - rank / 100, rank)
        for mid in mids
        for rank, segment_id in enumerate(segment_ids, start=1)
    ]
    columns = ["mid", "segment_id", "score", "rank"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)


def test_mined_candidates_become_the_negatives(copied_dir):
    labels = copied_dir / "labels"
    weak = label_files.read_weak_labels(labels / "eval_segments.csv")
    path = copied_dir / "candidates.csv"
    # Siren has two kinds of sirens below it, and no event of its own.
    siren, bark = "/m/03kmc9", "/m/05tny_"
    _write_candidates(path, [siren, bark], weak["segment_id"])
    counts = annotate_candidates(str(copied_dir), path, num_per_class=20)
    assert counts["num_shown"].tolist() == [20, 20]
    framed = label_files.read_framed_labels(
        labels / "audioset_eval_strong_framed_posneg.tsv"
    )
    pairs = framed.groupby(["segment_id", "mid"])["is_present"].any()
    absent = pairs[~pairs].reset_index()
    found = absent.groupby("mid").size().reindex(counts["mid"])
    assert set(absent["mid"]) == {siren, bark}
    assert found.tolist() == counts["num_negatives"].tolist()
    truth = label_files.read_strong_labels(labels / "ground_truth.tsv")
    sirens = truth[truth["mid"].isin(["/m/0dgbq", "/m/04qvtq"])]
    without_siren = absent[absent["mid"] == siren]["segment_id"]
    assert not set(without_siren) & set(sirens["segment_id"])
    # Not all were absent, so the answers were needed.
    assert counts["num_negatives"].sum() < 40


@pytest.mark.parametrize(
    ("mid", "segment_id"),
    [("/m/unknown", None), ("/m/05tny_", "elsewhere00_0")],
)
def test_candidates_of_other_releases_are_refused(copied_dir, mid, segment_id):
    weak = label_files.read_weak_labels(
        copied_dir / "labels" / "eval_segments.csv"
    )
    path = copied_dir / "candidates.csv"
    _write_candidates(path, [mid], [segment_id or weak["segment_id"][0]])
    with pytest.raises(InputError, match="first '(/m/unknown|elsewhere00_0)'"):
        annotate_candidates(str(copied_dir), path)


def test_binaries_run(tmp_path):
    folder = tmp_path / "release"
    made = _run(
        "make_soundscapes",
        f"--output_dir={folder}",
        "--num_weak_clips=0",
        "--num_strong_clips=2",
        "--num_eval_clips=4",
        "--num_workers=1",
    )
    assert made.returncode == 0, made.stderr
    weak = label_files.read_weak_labels(folder / "labels" / "eval_segments.csv")
    candidates = tmp_path / "candidates.csv"
    _write_candidates(candidates, ["/m/0dgbq"], weak["segment_id"])
    annotated = _run(
        "annotate_candidates",
        f"--soundscapes_dir={folder}",
        f"--candidates={candidates}",
    )
    assert annotated.returncode == 0, annotated.stderr
    assert "1 classes: 4 candidates shown" in annotated.stderr


def test_bad_input_ends_in_one_line(tmp_path):
    failed = _run(
        "make_soundscapes",
        f"--output_dir={tmp_path / 'new'}",
        "--sources=esc50",
        f"--esc50_dir={tmp_path}",
    )
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
    assert "as esc50_dir" in failed.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found 'an empty file'"),
        ("mid,segment_id\n", "expected the header"),
        ("mid,segment_id,score,rank\n", "found none"),
        ("mid,segment_id,score,rank\n/m/a,b_0\n", ":2: expected"),
    ],
)
def test_bad_candidate_files_are_refused(tmp_path, text, message):
    path = tmp_path / "candidates.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        release.read_mined_candidates(path)
