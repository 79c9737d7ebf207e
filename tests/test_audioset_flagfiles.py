"""experiments/audioset/: every flagfile and stage does what README.md says."""

import copy
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import forked
import pytest
from absl import flags
from absl.testing import flagsaver
from tiny_audioset import write_tiny_audioset

from audioset_strong.errors import InputError
from audioset_strong.records.manifest import read_json, read_records
from audioset_strong.training.settings import check_settings
from experiments import (
    mu_sweep,
    rows,
    strong_share,
    table1,
    training_steps,
)
from experiments.train_flags import read_train_flags

_ROOT = pathlib.Path(__file__).parents[1]
_AUDIOSET = "experiments/audioset"
_ROWS = {
    row.folder: row for row in (*rows.ROWS, rows.CONTROL_ROW, rows.LWLRAP_ROW)
}
_PROGRAMS = {
    f"experiments.{module.__name__.rpartition('.')[2]}": module
    for module in (table1, mu_sweep, strong_share)
}
_STAGES = (
    "labels",
    "coverage",
    "prepare",
    "train",
    "mu",
    "share",
    "evaluate",
)
# What a CPU needs; nothing else of the flagfiles is changed.
_SMALL_RUN = (
    "--num_steps=1",
    "--global_batch_size=4",
    "--warmup_steps=0",
    "--shuffle_block_clips=8",
)
_SMALL_NETWORK = ("--width=0.03125", "--stem_stride=4")


def _read(name):
    path = _ROOT / _AUDIOSET / f"{name}.flags"
    return read_train_flags(str(path))


@pytest.fixture
def _in_root(monkeypatch):
    """Flagfiles name others by their path from the repository's root."""
    monkeypatch.chdir(_ROOT)


@pytest.mark.usefixtures("_in_root")
@pytest.mark.parametrize("name", _ROWS)
def test_flagfile_of_a_row(name):
    row, found = _ROWS[name], _read(name)
    params = found.train
    for setting, expected in row.train.items():  # sets, and the paper's mu
        assert getattr(params, setting) == expected
    assert params.precision == "bfloat16"
    assert not found.model  # the paper's network, the default
    assert params.global_batch_size % 64 == 0  # of 8 hosts with 8 GPUs
    # Where experiments.table1 looks for it, and for what it starts from.
    mu = f"-mu{params.mu:g}" if params.mu else ""
    assert found.workdir == f"runs/audioset/models/{name}{mu}-seed0"
    start = _read("weak-large").workdir if row.starts_from else ""
    assert params.warm_start_workdir == start
    check_settings(rows.ModelParams(), params, found.recipe)


@pytest.mark.usefixtures("_in_root")
@pytest.mark.parametrize("strategy", ["multi_worker", "tpu"])
def test_what_launch_scripts_add_is_a_strategy(tmp_path, strategy):
    # tests/test_launching.py has their commands.
    lines = f"--strategy={strategy}\n--flagfile={_AUDIOSET}/weak-large.flags\n"
    (tmp_path / "x.flags").write_text(lines)
    found = read_train_flags(str(tmp_path / "x.flags")).train
    assert found == dataclasses.replace(
        _read("weak-large").train, strategy=strategy
    )


@pytest.mark.usefixtures("_in_root")
def test_every_flagfile_is_of_a_row_or_known():
    names = {path.stem for path in (_ROOT / _AUDIOSET).glob("*.flags")}
    parts = {"common", "small", "fine_tune"}
    programs = {"table1", "mu_sweep", "strong_share"}
    programs |= {"prepare_train", "prepare_eval"}
    assert names == {*_ROWS, *parts, *programs}
    given = _parse(table1, "table1", f"--flagfile={_AUDIOSET}/table1.flags")
    assert given["train_records_dir"].value == _read("weak-large").records_dir
    assert given["row_flagfiles"].value == _AUDIOSET
    assert _read("weak-large").workdir.startswith(given["output_dir"].value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--num_stepz=3", "x.flags: expected a flagfile of the train command"),
        ("num_steps=3", "expected a flag in each line, found 'num_steps=3'"),
        ("--precision=int3", "value should be one of"),
    ],
)
def test_bad_flagfile_is_one_line(tmp_path, line, message):
    (tmp_path / "x.flags").write_text(line + "\n")
    with pytest.raises(InputError, match=message):
        read_train_flags(str(tmp_path / "x.flags"))


def _parse(module, *command):
    """Parses a command of experiments/ with the flags of its module alone."""
    values = flags.FlagValues()
    for flag in flags.FLAGS.get_key_flags_for_module(module):
        values[flag.name] = copy.deepcopy(flag)
    assert values(list(command)) == [command[0]]
    return values


def test_costs_in_the_readme_are_those_of_the_flagfiles():
    def costs(*arguments):
        return forked.run(
            [sys.executable, "-m", "experiments.audioset.costs", *arguments],
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    text = (_ROOT / _AUDIOSET / "README.md").read_text()
    assert f"<!-- costs.py -->\n{costs()}<!-- end -->\n" in text
    # 205 million examples, and 100 validations of a third of 51,730 frames.
    measured = costs("--examples_per_second=8000", "--dollars_per_hour=10")
    assert "| weak-large | 207 | 7.2 h | $72 |" in measured


# --- stages ------------------------------------------------------------------


def _stage(*arguments, folder=_ROOT, **variables):
    return subprocess.run(
        [f"{_AUDIOSET}/run.sh", *map(str, arguments)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(_ROOT),
            **variables,
        },
        capture_output=True,
        text=True,
    )


def _commands(stage, **variables):
    """Returns the program and flags of each command of a stage."""
    done = _stage(stage, DRY_RUN="1", **variables)
    assert not done.returncode, done.stderr
    found = []
    for line in done.stdout.splitlines():
        words = shlex.split(line)
        assert words[:2] == [sys.executable, "-m"]
        found.append((words[2], words[3:]))
    return found


@pytest.mark.usefixtures("_in_root")
def test_stages_give_flags_that_exist(tmp_path):
    of_package = []
    for stage in _STAGES:
        for program, arguments in _commands(stage, TRAIN_AUDIO="their audio"):
            if program in _PROGRAMS:
                _parse(_PROGRAMS[program], program, *arguments)
            else:
                verb = program.removeprefix("audioset_strong.")
                of_package.append([verb, *arguments])
    assert {command[0] for command in of_package} == {
        "download_labels",
        "report_coverage",
        "prepare_records",
        "compare_systems",
        "evaluate",
    }
    assert "--audio_dir=their audio" in of_package[1]
    path = tmp_path / "commands.json"
    path.write_text(json.dumps(of_package))
    subprocess.run(
        [sys.executable, "tests/parse_commands.py", str(path)],
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        check=True,
    )


@pytest.mark.usefixtures("_in_root")
def test_stages_compare_the_paper_s_rows():
    (comparison, _) = _commands("evaluate", SEED="3")
    scores = [a.split("=", 2)[1:] for a in comparison[1] if "scores" in a]
    assert sorted(name for name, _ in scores) == sorted(
        row.training_set for row in rows.ROWS
    )
    for name, path in scores:
        (row,) = [r for r in rows.ROWS if r.training_set == name]
        workdir = _read(row.folder).workdir.removesuffix("0")
        assert path == f"{workdir}3/eval_scores.npz"


@pytest.fixture
def experiment(tmp_path):
    """A folder like the repository's root, with a table of three rows."""
    (tmp_path / "experiments").symlink_to(_ROOT / "experiments")
    made = tmp_path / "runs/audioset/rows"
    made.mkdir(parents=True)
    rows_there = ("Weak-large", "+ Diffuse", "+ Strong")
    lines = [f"| {name} | 1.00 (1.17) |" for name in rows_there]
    (made.parent / "table1.md").write_text("\n".join(lines) + "\n")
    (made / "plus_strong-seed0.json").write_text(
        '{\n "point": {},\n "run": "plus_strong-mu0.25-seed0"\n}\n'
    )
    return tmp_path


def test_what_is_in_the_table_is_compared(experiment):
    models = "runs/audioset/models"
    of_table = [
        f"--scores=Weak-large={models}/weak-large-seed0/eval_scores.npz",
        f"--scores=+ Diffuse={models}/plus_diffuse-mu0.7-seed0/eval_scores.npz",
        f"--scores=+ Strong={models}/plus_strong-mu0.25-seed0/eval_scores.npz",
    ]

    def evaluate():
        done = _stage("evaluate", DRY_RUN="1", folder=experiment)
        assert not done.returncode, done.stderr
        return done.stderr, *map(shlex.split, done.stdout.splitlines())

    stderr, compared, timing = evaluate()
    assert [a for a in compared if a.startswith("--scores")] == of_table
    left_out = re.findall("Left out: (.*), which", stderr)
    assert left_out == ["Weak-small", "Diffuse-small", "Strong-small"]
    assert f"--baseline_{of_table[1][2:].replace('+ Diffuse=', '')}" in timing
    # At the mu of + Strong, where that is there.
    table = experiment / "runs/audioset/table1.md"
    with table.open("a") as file:
        file.write("| + Diffuse at same mu | 1.00 |\n")
    baseline = f"{models}/plus_diffuse-mu0.25-seed0/eval_scores.npz"
    (experiment / baseline).parent.mkdir(parents=True)
    (experiment / baseline).touch()
    *_, timing = evaluate()
    assert f"--baseline_scores={baseline}" in timing
    # That of an earlier mu is none of the same.
    path = experiment / "runs/audioset/rows/plus_strong-seed0.json"
    path.write_text('{\n "run": "plus_strong-mu0.5-seed0",\n "a": 1\n}\n')
    *_, timing = evaluate()
    assert f"--baseline_{of_table[1][2:].replace('+ Diffuse=', '')}" in timing
    # Without + Strong there is no timing to see.
    table.write_text("| Weak-large | 1 |\n| + Diffuse | 1 |\n")
    _, compared = evaluate()
    assert [a for a in compared if a.startswith("--scores")] == of_table[:2]


@pytest.mark.parametrize("dashes", ["-", "--"])
@pytest.mark.parametrize("stage", ["coverage", "prepare", "evaluate"])
def test_one_place_for_two_commands_is_refused(stage, dashes):
    done = _stage(stage, f"{dashes}output_dir=x", DRY_RUN="1")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{dashes}output_dir=x would go to two commands" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("everything",)])
def test_unknown_stage_prints_the_stages(arguments):
    done = _stage(*arguments)
    assert done.returncode == 2
    assert "labels|coverage|prepare|train|mu|share|evaluate" in done.stderr
    assert "set -" not in done.stderr


def test_stages_are_run_from_the_root(tmp_path):
    done = subprocess.run(
        [_ROOT / _AUDIOSET / "run.sh", "labels"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "from the repository's root" in done.stderr


# --- a tiny AudioSet, through the flagfiles as they are ----------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder like the repository's root, with tiny labels/ and audio/."""
    folder = tmp_path_factory.mktemp("root")
    write_tiny_audioset(folder)
    (folder / "experiments").symlink_to(_ROOT / "experiments")
    return folder


@pytest.fixture(scope="module")
def prepared(root):
    """The same with records: training from Parquet, evaluation from a tar."""
    done = _stage(
        "prepare",
        "--num_workers=1",
        folder=root,
        TRAIN_AUDIO="audio/train_parquet",
        EVAL_AUDIO="audio/eval_tars",
    )
    assert not done.returncode, done.stderr
    return root


def test_coverage_of_tiny_audio(root):
    done = _stage("coverage", folder=root)
    assert not done.returncode, done.stderr
    for part in ("train", "eval"):
        # All but the clip that is gone; 404 pages count as files.
        text = (root / "coverage" / part / "clips.txt").read_text()
        assert text.startswith("# 15 clips")


def test_preparation_from_parquet_and_tars(prepared):
    train, evaluation = (
        read_records(str(prepared / "records" / part))
        for part in ("train", "eval")
    )
    assert (train.log_mel_dtype, evaluation.log_mel_dtype) == (
        "uint8",
        "float16",
    )
    groups = {shard.group for shard in evaluation.shards}
    assert groups == {"weak", "strong"}
    by_group = {shard.group: shard.num_clips for shard in train.shards}
    assert by_group == {"weak": 4, "strong": 8, "held_out": 2}
    left_out = (prepared / "records/train/left_out.csv").read_text()
    assert re.search("gone.*missing", left_out)


def test_preparation_from_files_gives_the_same_clips(prepared):
    done = _stage("prepare", "--num_workers=1", folder=prepared, DRY_RUN="1")
    train, _ = done.stdout.splitlines()
    command = [*shlex.split(train), "--output_dir=records/from_files"]
    subprocess.run(
        command,
        cwd=prepared,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        check=True,
        capture_output=True,
    )
    ids = [
        (prepared / "records" / part / "segment_ids.txt").read_text()
        for part in ("train", "from_files")
    ]
    assert ids[0] == ids[1]


def _run(module, *arguments):
    rows.train_row.cache_clear()
    with flagsaver.flagsaver():
        flags.FLAGS(["x", *arguments])
        module.main(["x"])


# --- what experiments.table1 and experiments.mu_sweep train with --------------


class _Trained:
    """Stands in for `train`; notes what it was called with, by workdir."""

    def __init__(self, monkeypatch):
        self.calls = {}
        held_out = [{"step": 1, "d_prime": 1.0, "lwlrap": 0.5}]
        for name, fake in (
            ("train", self._train),
            ("hash_records_dir", lambda records_dir: records_dir),
            ("weights_hash", lambda workdir: workdir),
            ("_read_validations", lambda workdir: held_out),
        ):
            monkeypatch.setattr(training_steps, name, fake)
        rows.train_row.cache_clear()

    def _train(self, records_dir, workdir, *settings):
        os.makedirs(workdir)
        self.calls[os.path.basename(workdir)] = (records_dir, *settings)
        return {"best_step": 1}


def _in_experiment(tmp_path, *arguments, name="table1"):
    """Parses a flagfile as its program does; restores the flags afterwards."""
    flags.FLAGS(
        ["x", f"--flagfile={_AUDIOSET}/{name}.flags", *arguments]
        + [f"--output_dir={tmp_path}"]
    )


@pytest.mark.usefixtures("_in_root")
def test_rows_of_the_table_are_trained_as_their_flagfiles_say(
    tmp_path, monkeypatch
):
    trained = _Trained(monkeypatch)
    with flagsaver.flagsaver():
        _in_experiment(tmp_path)
        records_dir = rows.make_training_records()
        for row in _ROWS.values():
            rows.train_row(row, 5, table1.mu_of(row), records_dir, 1.0)
        _in_experiment(tmp_path, "--mu_strong=0.25", "--seeds=5")
        assert table1.mu_of(_ROWS["plus_strong"]) == 0.25
    assert len(trained.calls) == len(_ROWS)
    for name in _ROWS:
        given = _read(name)
        workdir = os.path.basename(given.workdir).removesuffix("0") + "5"
        start = given.train.warm_start_workdir
        assert trained.calls[workdir] == (
            "records/train",
            rows.ModelParams(),
            dataclasses.replace(
                given.train,
                seed=5,
                warm_start_workdir=start
                and f"{tmp_path}/models/weak-large-seed5",
            ),
            given.recipe,
        )


@pytest.mark.usefixtures("_in_root")
def test_points_of_the_sweep_are_trained_as_the_flagfiles_say(
    tmp_path, monkeypatch
):
    trained = _Trained(monkeypatch)
    with flagsaver.flagsaver():
        _in_experiment(tmp_path, name="mu_sweep")
        mu_sweep.main(["x"])
    found = {
        (params.mixed_training_set, params.mu): params
        for _, _, params, _ in trained.calls.values()
        if params.mu
    }
    mus = (0.2, 0.5, 0.7, 0.8, 0.95)
    assert set(found) == {(s, mu) for s in ("diffuse", "strong") for mu in mus}
    for (mixed, mu), params in found.items():
        assert params == dataclasses.replace(
            _read(f"plus_{mixed}").train,
            mu=mu,
            warm_start_workdir=f"{tmp_path}/models/weak-large-seed0",
        )


@pytest.mark.usefixtures("_in_root")
def test_shares_of_strong_are_trained_as_the_flagfile_says(
    tmp_path, monkeypatch
):
    trained = _Trained(monkeypatch)
    own = tmp_path / "own"
    own.mkdir()
    text = f"--flagfile={_AUDIOSET}/plus_strong.flags\n--strong_fraction=0.68\n"
    (own / "plus_strong.flags").write_text(text)
    with flagsaver.flagsaver():
        _in_experiment(tmp_path, name="strong_share")
        assert strong_share.chosen_shares() == [0.1, 0.2, 0.4, 0.7, 1]
        rows.train_row(_ROWS["plus_strong"], 3, 0.8, "records/train", 0.1)
        _in_experiment(tmp_path, f"--row_flagfiles={own}", name="strong_share")
        with pytest.raises(InputError, match="takes 0.68 of them"):
            strong_share.main(["x"])
    _, _, params, _ = trained.calls["plus_strong-mu0.8-share0.1-seed3"]
    assert params == dataclasses.replace(
        _read("plus_strong").train,
        seed=3,
        strong_fraction=0.1,
        strong_fraction_seed=3,
        warm_start_workdir=f"{tmp_path}/models/weak-large-seed3",
    )


@pytest.mark.usefixtures("_in_root")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--log_mel_dtype=uint8"], "log_mel_dtype are for simulated clips"),
        (["--small_steps=5"], "each row is trained. Leave out --small_steps"),
        (["--precision=float32", "--width=1"], "out --width, --precision"),
        (["--row_flagfiles="], "need --row_flagfiles=experiments/audioset, "),
        (["--row_flagfiles=nowhere"], "nowhere/weak-large.flags: expected a f"),
        (["--eval_records_dir="], "need all of --train_records_dir"),
        (["--train_records_dir=", "--eval_records_dir=",
          "--eval_weak_labels=", "--eval_framed_labels="], "need all of"),
    ],
)  # fmt: skip
def test_real_clips_are_trained_as_one_place_says(
    tmp_path, monkeypatch, arguments, message
):
    trained = _Trained(monkeypatch)
    monkeypatch.setattr(table1, "check_no_shared_clips", lambda *_: None)
    with flagsaver.flagsaver():
        _in_experiment(tmp_path, "--rows=weak-large", *arguments)
        with pytest.raises(InputError, match=message):
            table1.main(["x"])
    assert not trained.calls


@pytest.mark.usefixtures("_in_root")
def test_flagfile_of_another_row_is_refused(tmp_path):
    shutil.copy(f"{_AUDIOSET}/weak-small.flags", tmp_path / "weak-large.flags")
    with flagsaver.flagsaver():
        _in_experiment(tmp_path, f"--row_flagfiles={tmp_path}")
        with pytest.raises(InputError, match="--training_set=weak, for Weak-l"):
            rows.read_row_flags(_ROWS["weak-large"])


# --- a step of each ----------------------------------------------------------


def _small_flagfiles(folder):
    """Writes flagfiles that are the real ones but for a CPU's sake."""
    folder.mkdir()
    for name, row in _ROWS.items():
        network = () if row.starts_from else _SMALL_NETWORK
        lines = [f"--flagfile={_AUDIOSET}/{name}.flags", *_SMALL_RUN, *network]
        (folder / f"{name}.flags").write_text("\n".join(lines) + "\n")


_CHANGED = {flag[2:].split("=")[0] for flag in (*_SMALL_RUN, *_SMALL_NETWORK)}


def _check_saved(workdir, name, mu):
    """Compares what a run has saved with its flagfile."""
    saved = read_json(str(workdir / "params.json"))
    for setting, value in vars(_read(name).train).items():
        if setting not in (*_CHANGED, "mu"):
            assert saved["train"][setting] == value, setting
    assert saved["train"]["mu"] == mu
    assert saved["train"]["num_steps"] == 1
    assert saved["model"]["width"] == 0.03125
    assert saved["model"]["model"] == "resnet50"


@pytest.mark.slow
def test_all_stages_on_a_tiny_audioset(prepared, tmp_path):
    _small_flagfiles(tmp_path / "small")
    small = f"--row_flagfiles={tmp_path}/small"

    def run(*arguments):
        done = _stage(*arguments, folder=prepared)
        assert not done.returncode, done.stderr
        return done

    # As on several hosts, by the train command; the table takes it over.
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    train = [sys.executable, "-m", "audioset_strong.train"]
    subprocess.run(
        [*train, f"--flagfile={tmp_path}/small/weak-large.flags"],
        cwd=prepared,
        env=environment,
        check=True,
    )
    weak_large = prepared / _read("weak-large").workdir
    before = (weak_large / "metrics.jsonl").read_bytes()
    text = run("mu", small, "--mus=0.5").stderr
    assert "train_weak-large-seed0: goes on with what was made" in text
    assert (weak_large / "metrics.jsonl").read_bytes() == before
    text = run("train", small, f"--rows={','.join(_ROWS)}").stderr
    assert "train_weak-large-seed0: kept." in text
    runs = prepared / "runs/audioset"
    chosen = read_json(str(runs / "mu_sweep.json"))["chosen"]
    for name, row in _ROWS.items():
        mixed = row.train.get("mixed_training_set")
        mu = chosen[mixed][row.mu_metric] if mixed else 0.0
        run_name = f"{name}-mu{mu:g}-seed0" if mixed else f"{name}-seed0"
        _check_saved(runs / "models" / run_name, name, mu)
    assert "+ Strong" in run("evaluate", "--num_resamples=40").stdout
    table = run("share", small, "--shares=0.5,1").stdout
    assert "\n| 0.5 | " in table
    for path in (
        "comparison-seed0/comparison.html",
        "timing-seed0/report.html",
    ):
        assert (prepared / "runs/audioset" / path).exists()
    # One that was trained otherwise is refused, and stays.
    (
        prepared / "runs/audioset/steps/train_weak-large-seed0/stamp.json"
    ).unlink()
    with (tmp_path / "small" / "weak-large.flags").open("a") as file:
        file.write("--learning_rate=0.5\n")
    done = _stage("train", small, "--rows=weak-large", folder=prepared)
    assert done.returncode == 2
    assert "learning_rate: 0.001 there, 0.5 now" in done.stderr
    assert (weak_large / "metrics.jsonl").read_bytes() == before
