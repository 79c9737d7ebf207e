"""Table 1, the sweep of mu, and the run of both on ESC-50's recordings.

What is run, what is kept, and the tables.
"""

import copy
import json
import os
import pathlib
import subprocess
import sys

import pytest
from absl import flags
from absl.testing import flagsaver

from audioset_strong.errors import InputError
from audioset_strong.labels.training_sets import get_training_set
from experiments import (
    mu_sweep,
    rows,
    steps,
    strong_share,
    table1,
    training_steps,
)
from experiments.esc50 import run as esc50_run

_ROOT = pathlib.Path(__file__).parents[1]


def test_rows_are_those_of_the_paper():
    assert [row.training_set for row in table1.ROWS] == [
        "Weak-small",
        "Diffuse-small",
        "Strong-small",
        "Weak-large",
        "+ Diffuse",
        "+ Strong",
    ]
    last = table1.ROWS[-1]
    assert last.paper == (1.28, 0.42, 1.39, 0.47)
    assert last.train == {"mixed_training_set": "strong", "mu": 0.8}
    assert last.starts_from == "Weak-large"
    # The small sets take the same clips.
    small = [row.train["training_set"] for row in table1.ROWS[:3]]
    assert all(get_training_set(name).needs_strong_labels for name in small)


def _result(training_set, seed, values, **must_agree):
    return {
        "point": {"training_set": training_set, "seed": seed},
        "must_agree": must_agree,
        "must_agree_here": {f"{training_set}-{seed}": f"its weights {seed}"},
        "values": dict(zip(table1.METRICS, values)),
        "run": f"{training_set}-{seed}",
        "report": "report.html",
        "versions": {},
    }


def _last_line(results):
    return table1.format_table(table1.summarise(results)).splitlines()[-3:]


def test_table_has_our_numbers_and_the_papers():
    one = [_result("Weak-small", 4, (0.5, 0.25, None, 0.125))]
    assert _last_line(one) == [
        "| Weak-small | 0.50 (0.86) | 0.25 (0.39) | - (0.81) | 0.12 (0.29) |",
        "",
        "In brackets: the paper, on AudioSet.",
    ]
    control = [_result("+ Weak", 0, (1, 1, 1, 1))]
    assert _last_line(control)[0] == "| + Weak | 1.00 | 1.00 | 1.00 | 1.00 |"
    # Of which the paper gives one number.
    by_lwlrap = [_result("+ Strong by lwlrap", 0, (1, 1, 1, 0.5))]
    assert _last_line(by_lwlrap)[0].endswith("| 1.00 | 0.50 (0.48) |")


def test_readme_shows_the_table_of_the_demo():
    path = _ROOT / "experiments" / "results" / "table1_demo.json"
    table = table1.format_table(json.loads(path.read_text())["rows"])
    assert f"\n{table}\n" in (_ROOT / "README.md").read_text()


def test_table_of_several_seeds_has_mean_and_range():
    results = [
        _result("+ Strong", 2, (1.5, 0.5, None, 0.5)),
        _result("+ Strong", 1, (1.0, 0.2, 1.25, 0.5)),
        _result("+ Strong", 7, (1.1, 0.5, 1.75, 0.5)),
    ]
    row, _, note = _last_line(results)
    assert row == (
        "| + Strong | 1.20 [1.00, 1.50] (1.28) | 0.40 [0.20, 0.50] (0.42) | "
        "1.50 [1.25, 1.75] (1.39) | 0.50 [0.50, 0.50] (0.47) |"
    )
    assert "of 3 seeds" in note
    (summed,) = table1.summarise(results)
    assert summed["seeds"] == [1, 2, 7]


def test_each_weak_large_counts_alike():
    results = [
        _result("+ Strong", seed, (value, 0.5, None, 0.5))
        for seed, value in enumerate((1.0, 2.0, 6.0, None, 2.0))
    ]
    for result, start in zip(results, "xyzxx", strict=True):
        result["must_agree_here"]["weak-large"] = start
    (summed,) = table1.summarise(results)
    # (1 + 2) / 2, 2 and 6.
    assert summed[table1.METRICS[0]] == pytest.approx(9.5 / 3)
    assert summed["ranges"][table1.METRICS[0]] == [1.0, 6.0]
    assert summed[table1.METRICS[2]] is None


@pytest.mark.parametrize("path", sorted(_ROOT.glob("experiments/*.flags")))
def test_flagfile_parses(path):
    values = flags.FlagValues()
    for flag in table1._own_flags():
        values[flag.name] = copy.deepcopy(flag)
    command = ["table1", "--output_dir=x", f"--flagfile={path}"]
    assert values(command) == ["table1"]
    assert values["width"].present


def _run(module, *arguments):
    rows.train_row.cache_clear()
    with flagsaver.flagsaver():
        flags.FLAGS(["x", *arguments])
        module.main(["x"])


def test_half_of_the_real_inputs_is_an_error(tmp_path):
    with pytest.raises(InputError, match="need all of .*--eval_records_dir"):
        _run(table1, f"--output_dir={tmp_path}", "--train_records_dir=records")
    assert not list(tmp_path.iterdir())


_REAL = (
    "--train_records_dir=train",
    "--eval_records_dir=eval",
    "--eval_weak_labels=W.csv",
    "--eval_framed_labels=F.tsv",
)


def test_real_clips_never_get_the_small_network_unasked(tmp_path):
    output = f"--output_dir={tmp_path}"
    with pytest.raises(InputError, match="need --row_flagfiles=.* --width, "):
        _run(table1, output, *_REAL)
    with pytest.raises(InputError, match="or --stem_stride, .*"):
        _run(mu_sweep, output, _REAL[0], "--width=1")
    with pytest.raises(InputError, match="need --train_records_dir"):
        _run(mu_sweep, output, *_REAL[1:])
    with pytest.raises(InputError, match="--held_out_fraction are for simulat"):
        _run(mu_sweep, output, _REAL[0], "--held_out_fraction=0.1")
    with pytest.raises(InputError, match="makes its clips itself"):
        _run(esc50_run, output, *_REAL)
    assert not list(tmp_path.iterdir())


def test_evaluation_clips_in_training_records_are_refused(tmp_path):
    for part, clip in (
        ("train", "video-----b_5000"),
        ("eval", "video-----b_0"),
    ):
        (tmp_path / part).mkdir()
        (tmp_path / part / "segment_ids.txt").write_text(f"{part}_0\n{clip}\n")
    with pytest.raises(
        InputError,
        match="1 groups of clips .* such as video-----b, are both in .*labels",
    ):
        _run(
            table1,
            f"--output_dir={tmp_path}",
            f"--train_records_dir={tmp_path}/train",
            f"--eval_records_dir={tmp_path}/eval",
            "--eval_weak_labels=W.csv",
            "--eval_framed_labels=F.tsv",
            f"--row_flagfiles={_ROOT}/experiments/audioset",
        )


class _Fake:
    """An experiment whose steps write text files; notes what they make."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.made = folder, []
        self.records = {"train": "T", "eval": "E"}
        self.kernels = "those of today"
        (folder / "weak.csv").write_text("weak labels")
        (folder / "framed.tsv").write_text("framed labels")
        inputs = training_steps.ExperimentInputs(
            "train", "eval", f"{folder}/weak.csv", f"{folder}/framed.tsv", ""
        )
        known = {"explicit": dict.fromkeys(("d_prime", "lwlrap"), 0.5)}
        known["implied"] = known["explicit"]
        report = {"weak": known, "strong": known}
        for module, name, fake in (
            (rows, "make_experiment_inputs", lambda: inputs),
            (rows, "make_training_records", lambda: "train"),
            (table1, "check_no_shared_clips", lambda *_: None),
            (table1, "save_figure", lambda *_: None),
            (strong_share, "check_no_shared_clips", lambda *_: None),
            (strong_share, "_count_strong_clips", self._count_strong_clips),
            (training_steps, "train", self._train),
            (training_steps, "hash_records_dir", self.records.get),
            (training_steps, "weights_hash", self._weights_hash),
            (training_steps, "write_scores", self._write_scores),
            (training_steps, "read_scores", lambda *_: None),
            (training_steps, "read_truth", lambda **_: None),
            (training_steps, "evaluate", lambda *_: None),
            (training_steps, "write_report", self._write_report),
        ):
            monkeypatch.setattr(module, name, fake)
        self._report = report

    def _count_strong_clips(self, records_dir, share, seed):
        return round(1000 * share) + seed

    def _train(self, records_dir, workdir, model_params, params, recipe):
        self.made.append("train " + os.path.basename(workdir))
        os.makedirs(workdir)
        start = params.warm_start_workdir
        with open(f"{workdir}/weights", "w") as file:
            print(self.kernels, self.records[records_dir], params.mu, file=file)
            print(
                params.strong_fraction, params.strong_fraction_seed, file=file
            )
            print(params.num_steps, params.seed, model_params, file=file)
            print(start and self._weights_hash(start), file=file)
        # The best mu by d' is 0.6, by lwlrap 0.2.
        by_d_prime, by_lwlrap = abs(params.mu - 0.6), abs(params.mu - 0.2)
        with open(f"{workdir}/metrics.jsonl", "w") as file:
            for step, more in ((1, 0.0), (2, 0.25)):
                metrics = {
                    "step": step,
                    "validation_d_prime": 1 - by_d_prime + more,
                    "validation_lwlrap": 1 - by_lwlrap - more,
                }
                print(json.dumps(metrics), file=file)
        return {"best_step": 2}

    def _weights_hash(self, workdir):
        return steps.hash_file(f"{workdir}/weights")

    def _write_scores(self, workdir, records_dir, path):
        self.made.append("score " + os.path.basename(workdir))
        with open(path, "w") as file:
            file.write(self._weights_hash(workdir) + self.records[records_dir])

    def _write_report(self, _, report_dir):
        self.made.append("evaluate " + os.path.basename(report_dir))
        os.makedirs(report_dir, exist_ok=True)
        with open(f"{report_dir}/report.json", "w") as file:
            file.write("report")
        with open(f"{report_dir}/per_class.csv", "w") as file:
            file.write(
                "evaluation,negatives,mid,display_name,num_positives,"
                "num_negatives,auc,d_prime,average_precision,lwlrap\n"
                "strong,explicit,/m/bark,Bark,9,8,0.75,0.9,0.123456,0.5\n"
                "strong,implied,/m/bark,Bark,9,90,0.85,1.4,0.2,0.5\n"
            )
        return self._report

    def run(self, module, *arguments):
        """Runs a script; returns what was made."""
        self.made = []
        _run(module, f"--output_dir={self.folder}/out", *arguments)
        return self.made


@pytest.fixture
def fake(tmp_path, monkeypatch):
    return _Fake(tmp_path, monkeypatch)


def _made_of(*names, kinds=("train", "score", "evaluate")):
    return [f"{kind} {name}-seed0" for name in names for kind in kinds]


_SMALL = ("weak-small", "diffuse-small", "strong-small")
_TUNED = ("plus_diffuse-mu0.7", "plus_strong-mu0.8")


def test_only_what_depends_on_a_change_is_redone(fake):
    everything = _made_of(*_SMALL, "weak-large", *_TUNED)
    assert fake.run(table1) == everything
    table = json.loads((fake.folder / "out" / "table1.json").read_text())
    assert [row["training_set"] for row in table["rows"]] == [
        row.training_set for row in table1.ROWS
    ]
    assert fake.run(table1) == []
    # A setting of one kind of row.
    changed = ["--small_steps=7"]
    assert fake.run(table1, *changed) == _made_of(*_SMALL)
    assert (fake.folder / "out/models/weak-small-seed0.old-1/weights").exists()
    # That of the row which others start from.
    changed.append("--large_steps=9")
    assert fake.run(table1, *changed) == _made_of("weak-large", *_TUNED)
    # Its weights, trained anew with other kernels.
    (fake.folder / "out/models/weak-large-seed0").rename(fake.folder / "gone")
    fake.kernels = "those of tomorrow"
    assert fake.run(table1, *changed) == _made_of("weak-large", *_TUNED)
    # Records and labels of the evaluation.
    fake.records["eval"] = "other clips"
    assert fake.run(table1, *changed) == _made_of(
        *_SMALL, "weak-large", *_TUNED, kinds=("score", "evaluate")
    )
    (fake.folder / "framed.tsv").write_text("more negatives")
    assert fake.run(table1, *changed) == _made_of(
        *_SMALL, "weak-large", *_TUNED, kinds=("evaluate",)
    )
    fake.records["train"] = "other clips"
    assert fake.run(table1, *changed) == everything
    # A score file that is not of these weights.
    path = fake.folder / "out/models/strong-small-seed0/eval_scores.npz"
    path.write_text("of another run")
    assert fake.run(table1, *changed) == ["score strong-small-seed0"]


def test_rows_and_seeds_apart_make_one_table(fake, capsys):
    out = f"{fake.folder}/out"
    # A row brings the one that it starts from, without evaluating it.
    made = fake.run(table1, "--rows=plus_strong", "--seeds=3")
    assert made == [
        "train weak-large-seed3",
        "train plus_strong-mu0.8-seed3",
        "score plus_strong-mu0.8-seed3",
        "evaluate plus_strong-mu0.8-seed3",
    ]
    other = f"--output_dir={fake.folder}/other"
    fake.run(table1, other, "--rows=plus_strong,weak-large", "--seeds=4,5")
    joined = f"--output_dir={fake.folder}/joined"
    joins = joined, f"--join={out},{fake.folder}/other"
    assert fake.run(table1, *joins) == []
    table = json.loads((fake.folder / "joined" / "table1.json").read_text())
    assert [(r["training_set"], r["seeds"]) for r in table["rows"]] == [
        ("Weak-large", [4, 5]),
        ("+ Strong", [3, 4, 5]),
    ]
    # Rows of other settings, or of other labels, are no part of it.
    fake.run(table1, other, "--rows=plus_strong", "--large_steps=8")
    with pytest.raises(InputError, match="train.num_steps 8 and 1200"):
        fake.run(table1, *joins)
    capsys.readouterr()
    fake.run(table1, "--rows=weak-small", "--width=0.5")
    table = capsys.readouterr().out
    assert "| Weak-small |" in table
    assert "| + Strong |" not in table


def test_table_has_no_row_from_weights_that_are_gone(fake, caplog):
    fake.run(table1, "--rows=plus_strong,weak-large,weak-small")
    (fake.folder / "out/models/weak-large-seed0").rename(fake.folder / "gone")
    fake.kernels = "those of tomorrow"
    with caplog.at_level("INFO", logger="absl"):
        made = fake.run(table1, "--rows=weak-large")
    assert made == _made_of("weak-large")
    assert "Not in the table: weights of weak-large-seed0" in caplog.text
    table = json.loads((fake.folder / "out" / "table1.json").read_text())
    names = [row["training_set"] for row in table["rows"]]
    assert names == ["Weak-small", "Weak-large"]
    assert fake.run(table1, "--rows=plus_strong") == _made_of(
        "plus_strong-mu0.8"
    )


def test_unknown_row_is_an_error(fake):
    with pytest.raises(InputError, match="Expected --rows of weak-small, .*"):
        fake.run(table1, "--rows=weak-small,Strong")
    assert not fake.made


def test_sweep_shares_runs_with_the_table_and_gives_its_mu(fake):
    sweep = "--mus=0,0.2,0.6,0.9", "--sets=strong"
    names = ["plus_weak", *(f"plus_strong-mu{mu}" for mu in (0.2, 0.6, 0.9))]
    made = fake.run(mu_sweep, *sweep)
    assert made == _made_of("weak-large", *names, kinds=("train",))
    out = fake.folder / "out"
    found = json.loads((out / "mu_sweep.json").read_text())
    assert found["chosen"] == {"strong": {"d_prime": 0.6, "lwlrap": 0.2}}
    assert [point["mu"] for point in found["points"]] == [0, 0.2, 0.6, 0.9]
    # One checkpoint for both metrics, or each metric's own.
    values = ("d_prime", "lwlrap_at_best_step", "lwlrap", "lwlrap_step")
    assert [found["points"][2][name] for name in values] == pytest.approx(
        [1.25, 0.35, 0.6, 1]
    )
    assert (out / "mu_sweep.png").stat().st_size > 1000
    assert fake.run(mu_sweep, *sweep) == []
    # More of the grid joins what is there.
    made = fake.run(mu_sweep, "--mus=0.7", "--sets=strong,diffuse")
    assert made == _made_of(
        "plus_strong-mu0.7", "plus_diffuse-mu0.7", kinds=("train",)
    )
    found = json.loads((out / "mu_sweep.json").read_text())
    assert len(found["points"]) == 6
    taken = f"--mu_from={out}/mu_sweep.json"
    made = fake.run(table1, "--rows=plus_strong,plus_diffuse", taken)
    assert made == _made_of(
        "plus_strong-mu0.6", "plus_diffuse-mu0.7", kinds=("score", "evaluate")
    )
    with pytest.raises(InputError, match="as --mu_strong. Received: both"):
        fake.run(table1, taken, "--mu_strong=0.7")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--large_steps=9", "Weak-large: train.num_steps 1200 and 9"),
        ("--fine_tune_steps=7", "fine-tuning: train.num_steps 400 and 7"),
        ("", "Weak-large: records 'T' and 'U'"),
    ],
)
def test_mu_of_other_settings_is_refused(fake, change, message):
    fake.run(mu_sweep, "--mus=0.2,0.6", "--sets=strong")
    taken = f"--mu_from={fake.folder}/out/mu_sweep.json"
    by_lwlrap = "--rows=plus_strong_by_lwlrap"
    assert fake.run(table1, by_lwlrap, taken)
    if not change:
        fake.records["train"] = "U"
    changed = [change] if change else []
    for row in ("--rows=plus_strong", by_lwlrap):
        with pytest.raises(InputError, match=message):
            fake.run(table1, row, taken, *changed)
    # A number is taken as it is; other rows need none.
    assert fake.run(table1, "--rows=plus_strong", "--mu_strong=0.6", *changed)
    fake.run(table1, "--rows=weak-large", taken, *changed)


def test_table_says_which_mu():
    results = [
        _result(name, 0, (1, 1, 1, 1))
        for name in ("Weak-large", "+ Diffuse", "+ Strong")
    ]
    for result, mu in zip(results, (0.0, 0.7, 0.25), strict=True):
        result["values"]["mu"] = mu
    assert _last_line(results)[-1].endswith(
        "on AudioSet. mu: + Diffuse 0.7, + Strong 0.25."
    )


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--join=a,b --mus=0.3", "runs nothing. Leave out --mus."),
        ("--mus=0.2,1.5", r"--mus in \[0, 1\]"),
        ("--mus=much", r"--mus in \[0, 1\]"),
        ("--sets=weak", "--sets of strong, diffuse"),
        ("--seeds=a", "whole numbers as --seeds"),
        ("--join=nowhere", "Expected results in nowhere/mu_sweep, found none"),
    ],
)
def test_bad_sweep_is_one_line(fake, argument, message):
    with pytest.raises(InputError, match=message):
        fake.run(mu_sweep, *argument.split())
    assert not fake.made


def test_row_by_lwlrap_has_the_mu_and_the_checkpoint_of_that_metric(fake):
    name = "--rows=plus_strong_by_lwlrap"
    made = fake.run(table1, name, "--patience_validations=4")
    assert made == _made_of("weak-large", kinds=("train",)) + _made_of(
        "plus_strong_by_lwlrap-mu0.2"
    )
    path = fake.folder / "out/rows/plus_strong_by_lwlrap-seed0.json"
    agreed = json.loads(path.read_text())["must_agree"]
    settings = agreed["settings of + Strong by lwlrap"]
    assert settings["train.selection_metric"] == "lwlrap"
    assert settings["recipe.patience_validations"] == 4
    sweep = "--mus=0,0.3,0.7", "--sets=strong"
    fake.run(mu_sweep, *sweep)
    taken = f"--mu_from={fake.folder}/out/mu_sweep.json"
    fake.run(table1, name, taken)
    assert json.loads(path.read_text())["values"]["mu"] == 0.3
    # Weak alone, with a checkpoint of its own.
    made = fake.run(table1, name, "--mu_strong_by_lwlrap=0")
    assert made == _made_of("plus_strong_by_lwlrap-mu0")


def test_row_at_the_same_mu_is_a_run_of_diffuse_with_the_mu_of_strong(fake):
    mus = "--mu_diffuse=0.4", "--mu_strong=0.6"
    fake.run(table1, "--rows=plus_diffuse", *mus)
    made = fake.run(table1, "--rows=plus_diffuse_at_same_mu", *mus)
    assert made == _made_of("plus_diffuse-mu0.6")
    path = fake.folder / "out/rows/plus_diffuse_at_same_mu-seed0.json"
    result = json.loads(path.read_text())
    assert result["values"]["mu"] == 0.6
    settings = result["must_agree"]["settings of + Diffuse at same mu"]
    assert settings["train.mixed_training_set"] == "diffuse"
    # By the sweep: of Strong, though it mixes in Diffuse.
    fake.run(mu_sweep, "--mus=0.2,0.6", "--sets=strong")
    taken = f"--mu_from={fake.folder}/out/mu_sweep.json"
    assert fake.run(table1, "--rows=plus_diffuse_at_same_mu", taken) == []


def test_shares_of_strong_are_runs_of_the_table(fake, capsys):
    shares = "--shares=0.2,0.5,1", "--mu_strong=0.6"
    assert fake.run(table1, "--rows=plus_strong", "--mu_strong=0.6")
    made = fake.run(strong_share, *shares, "--seeds=0")
    assert made == _made_of(
        "plus_strong-mu0.6-share0.2", "plus_strong-mu0.6-share0.5"
    )
    assert fake.run(strong_share, *shares) == []
    capsys.readouterr()
    made = fake.run(strong_share, *shares, "--seeds=3", "--shares=0.5")
    assert "score plus_strong-mu0.6-share0.5-seed3" in made
    assert "| 0.5 | 502 | 0.500 [0.500, 0.500] | " in capsys.readouterr().out
    out = fake.folder / "out"
    weights = (out / "models/plus_strong-mu0.6-share0.5-seed3/weights").open()
    assert weights.read().splitlines()[1] == "0.5 3"
    found = json.loads((out / "strong_share.json").read_text())["points"]
    assert [(p["strong_fraction"], p["seeds"]) for p in found] == [
        (0.2, [0]),
        (0.5, [0, 3]),
        (1, [0]),
    ]
    assert [p["num_strong_clips"] for p in found] == [200, 501.5, 1000]
    # Results of before there were shares go with those of today.
    row = json.loads((out / "rows/plus_strong-seed0.json").read_text())
    settings = row["must_agree"]["settings of + Strong"]
    assert settings["train.mu"] == 0.6
    assert not any("strong_fraction" in name for name in settings)
    assert (out / "strong_share.png").stat().st_size > 1000
    joined = f"--output_dir={fake.folder}/joined", f"--join={out}"
    assert fake.run(strong_share, *joined) == []
    # They are no rows of the table.
    table = table1.summarise(table1.read_results([str(out)], "rows"))
    assert [row["seeds"] for row in table] == [[0]]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--shares=0.5,1.1", "--shares above 0, at most 1. Received: 0.5,1.1"),
        ("--shares=0,0.3", "--shares above 0"),
        ("--shares=half", "--shares above 0"),
        ("--rows=plus_diffuse", "of . Strong. Leave out --rows"),
        ("--mu_strong=0", "mu above 0 for . Strong"),
        ("--join=a --shares=0.5", "runs nothing. Leave out --shares."),
    ],
)
def test_bad_share_is_one_line(fake, argument, message):
    with pytest.raises(InputError, match=message):
        fake.run(strong_share, *argument.split())
    assert not fake.made


@pytest.mark.slow
def test_everything_runs_and_runs_again_from_what_is_there(tmp_path):
    command = [
        *(sys.executable, "-m", "experiments.table1"),
        f"--output_dir={tmp_path}",
        "--num_weak_clips=60",
        "--num_strong_clips=60",
        "--num_eval_clips=40",
        "--small_steps=2",
        "--large_steps=2",
        "--fine_tune_steps=2",
        "--miner_steps=2",
        "--global_batch_size=8",
        "--width=0.0625",
        "--stem_stride=4",
    ]

    def run(*arguments):
        return subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            check=True,
            cwd=_ROOT,
        ).stderr

    run()
    first = json.loads((tmp_path / "table1.json").read_text())
    assert len(first["rows"]) == 6
    assert all(metric in first["rows"][0] for metric in table1.METRICS)
    again = run()
    assert json.loads((tmp_path / "table1.json").read_text()) == first
    # Release, two records, miner, its scores, negatives; three a row.
    assert (again.count(": kept."), again.count(": made")) == (6 + 18, 0)
    assert ": to be made." not in again
    changed = run("--fine_tune_learning_rate=0.5")
    assert changed.count(": made anew, because train.learning_rate was") == 2
    assert changed.count(": kept.") == 6 + 12


@pytest.fixture
def esc50(fake, monkeypatch):
    """Runs the conclusive run's driver with fake steps; see `_Fake.run`."""
    monkeypatch.setattr(esc50_run, "check_no_shared_clips", lambda *_: None)
    monkeypatch.setattr(esc50_run, "make_reproducible", lambda **_: None)
    monkeypatch.setattr(esc50_run, "hash_records_dir", fake.records.get)
    # Of scores, which here there are none: test_esc50_run.py has them.
    for name in ("write_intervals", "write_class_priors"):
        monkeypatch.setattr(esc50_run, name, lambda *_: None)
    release = fake.folder / "out" / "release"
    release.mkdir(parents=True)
    (release / "soundscapes.json").write_text('{"classes": [], "params": {}}')
    fixed = (
        "--nice=0",
        f"--results_dir={fake.folder}/results",
        "--mus=0.2,0.6",
        "--sweep_seeds=0",
        "--large_seeds=0",
        "--shares=0.3,1",
    )
    return lambda *arguments: fake.run(esc50_run, *fixed, *arguments)


def test_esc50_run_chooses_mu_and_goes_on_where_it_was_stopped(esc50, fake):
    fine_tuned = ("plus_diffuse-mu0.6", "plus_strong-mu0.6")
    first = esc50("--rows=weak-small,weak-large", "--seeds=0")
    assert first == _made_of("weak-small", "weak-large")
    made = esc50("--seeds=0,1")
    trained = [name for name in made if name.startswith("train")]
    sweep = [
        f"plus_{mixed}-mu{mu}"
        for mixed in ("diffuse", "strong")
        for mu in (0.2, 0.6)
    ]
    # All seeds start from the one Weak-large; chosen points are not rerun.
    assert trained == [
        *_made_of("diffuse-small", "strong-small", *sweep, kinds=("train",)),
        *(f"train {name}-seed1" for name in _SMALL),
        "train plus_weak-seed0",
        "train plus_weak-seed1",
        *(f"train {name}-seed1" for name in fine_tuned),
        "train plus_strong_by_lwlrap-mu0.2-seed0",
        "train plus_strong_by_lwlrap-mu0.2-seed1",
        "train plus_strong-mu0.6-share0.3-seed0",
    ]
    assert esc50("--seeds=0,1") == []
    results = fake.folder / "results"
    lines = (results / "runs.jsonl").read_text().splitlines()
    runs = [json.loads(line) for line in lines]
    assert len(runs) == 17  # eight rows of two seeds, and Weak-large
    strong = [r for r in runs if r["point"]["training_set"] == "+ Strong"]
    assert {r["values"]["mu"] for r in strong} == {0.6}
    assert len((results / "mu_sweep.jsonl").read_text().splitlines()) == 4
    lines = (results / "strong_share.jsonl").read_text().splitlines()
    assert [json.loads(line)["point"] for line in lines] == [
        {"training_set": "+ Strong", "seed": 0, "strong_fraction": share}
        for share in (0.3, 1.0)
    ]
    lines = (results / "classes.csv").read_text().splitlines()
    assert len(lines) == 1 + 17
    assert lines[3] == "+ Diffuse,0,strong,/m/bark,0.75,0.1235,0.5"
    lines = (results / "eval_classes.csv").read_text().splitlines()
    assert lines[1:] == ["strong,/m/bark,Bark,9,8"]


def test_esc50_rows_keep_their_mu_when_more_seeds_are_swept(esc50, fake):
    rows_of = "--rows=plus_strong", "--shares=1"
    esc50(*rows_of, "--seeds=0", "--mus=0.2")
    with pytest.raises(InputError, match="train.mu 0.6 and 0.2"):
        esc50(*rows_of, "--seeds=1", "--sweep_seeds=1", "--mus=0.6")
    esc50(*rows_of, "--seeds=0,1", "--mus=0.2", "--share_seeds=0,1")
    assert fake.made[:1] == ["train plus_strong-mu0.2-seed1"]
    lines = (fake.folder / "results" / "runs.jsonl").read_text().splitlines()
    assert [json.loads(line)["values"]["mu"] for line in lines] == [0.2, 0.2]
    # Together, with a point that the choice does not see.
    also = "--also_sweep_seeds=1", "--share_seeds=0,1", "--mus=0.2,0.5"
    esc50(*rows_of, "--seeds=1", "--sweep_seeds=0", *also)
    assert fake.made == [
        "train plus_strong-mu0.5-seed1",
        "score plus_strong-mu0.5-seed1",
    ]
    with pytest.raises(InputError, match="sweep of --sweep_seeds=7 in .*out/"):
        esc50(*rows_of, "--seeds=0", "--sweep_seeds=7")


def test_esc50_run_says_what_is_left_and_trains_nothing(esc50, capsys):
    assert esc50("--dry_run", "--seeds=0", "--small_steps=3000") == []
    text = capsys.readouterr().out
    # 3,000 x 64 examples at 370/s, 10 validations and an evaluation.
    assert " 9.8 min row weak-small seed 0" in text
    assert "point strong mu 0.6 seed 0" in text
    assert "part plus_strong share 0.3 seed 0" in text
    esc50("--rows=weak-small", "--seeds=0")
    capsys.readouterr()
    esc50("--dry_run", "--seeds=0")
    assert "done      row weak-small seed 0" in capsys.readouterr().out


def test_esc50_run_refuses_other_inputs_than_those_that_were_fixed(esc50, fake):
    esc50("--rows=weak-small", "--seeds=0")
    (fake.folder / "framed.tsv").write_text("nicer negatives")
    with pytest.raises(InputError, match="framed_labels differ"):
        esc50("--rows=weak-small", "--seeds=1")
    assert not fake.made


def test_esc50_runs_apart_are_joined(esc50, fake):
    esc50("--rows=weak-small", "--seeds=0")
    other, results = fake.folder / "other", fake.folder / "results"
    esc50(f"--output_dir={other}", "--rows=weak-small", "--seeds=1")
    assert esc50(f"--join={fake.folder}/out,{other}") == []
    lines = (results / "runs.jsonl").read_text().splitlines()
    seeds = [json.loads(line)["point"]["seed"] for line in lines]
    assert seeds == [0, 1]


@pytest.mark.parametrize(
    "name", ["run", "recordings", "rerun", "other_classes"]
)
def test_esc50_flagfile_parses(esc50, capsys, monkeypatch, name):
    monkeypatch.chdir(_ROOT)  # which names of flagfiles are from
    path = f"experiments/esc50/{name}.flags"
    assert esc50(f"--flagfile={path}", "--dry_run", "--esc50_dir=x") == []
    assert "At most" in capsys.readouterr().out
