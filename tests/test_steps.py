"""Steps of experiments: what is kept, and what a change redoes."""

import dataclasses
import json
import multiprocessing
import os
import time

import pytest

from audioset_strong import files
from audioset_strong.errors import InputError
from audioset_strong.params import RecordParams, TrainParams
from experiments.steps import hash_file, run_step

_TRAIN = TrainParams(num_steps=7, mu=0.3)


class _Experiment:
    """Records -> a run -> scores, as text files; notes what was made."""

    def __init__(self, folder):
        self.folder = folder
        self.made = []
        self.clips, self.train, self.noise = "abc", _TRAIN, ""

    def _write(self, name, text):
        def action():
            self.made.append(name.split("/")[0])
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            return {"num_letters": (len(text),)}

        return action

    def _step(self, name, path, inputs, text, **options):
        return run_step(
            str(self.folder),
            name,
            str(self.folder / path),
            inputs,
            self._write(options.pop("file", path), text),
            **options,
        )

    def run(self):
        self.made = []
        records = self._step(
            "records", "records", {"clips": self.clips}, self.clips.upper()
        )
        run = self._step(
            "run",
            "run",
            {"records": records.output_hash, "train": self.train},
            f"{records.output_hash} {self.train}",
            file="run/weights",
            hash_output=lambda path: hash_file(f"{path}/weights"),
        )
        return self._step(
            "scores", "scores", {"weights": run.output_hash}, run.output_hash
        )


@pytest.fixture
def experiment(tmp_path):
    finished = _Experiment(tmp_path)
    finished.run()
    assert finished.made == ["records", "run", "scores"]
    return finished


def test_unchanged_steps_are_kept_with_their_results(experiment):
    first = experiment.run()
    assert not experiment.made
    assert first.result == {"num_letters": [16]}
    assert first.versions["numpy"]
    # Also when the folder is moved.
    moved = experiment.folder.rename(experiment.folder.parent / "moved")
    experiment.folder = moved
    assert experiment.run() == first
    assert not experiment.made


def test_changed_input_redoes_what_follows_and_says_why(experiment, caplog):
    experiment.train = dataclasses.replace(_TRAIN, mu=0.55)
    with caplog.at_level("INFO", logger="absl"):
        experiment.run()
    assert experiment.made == ["run", "scores"]
    assert "records: kept." in caplog.messages
    assert any(
        "run: made anew, because train.mu was 0.3 and is 0.55. The old folder "
        f"is now {experiment.folder}/run.old-1." in m
        for m in caplog.messages
    )
    old = (experiment.folder / "run.old-1" / "weights").read_text()
    assert "mu=0.3," in old
    # And back again: nothing of the old is reused or overwritten.
    experiment.train = _TRAIN
    experiment.run()
    assert experiment.made == ["run", "scores"]
    assert (experiment.folder / "run.old-1" / "weights").read_text() == old
    assert (experiment.folder / "run.old-2").exists()


def test_changed_records_redo_everything_after_them(experiment):
    experiment.clips = "abcd"
    experiment.run()
    assert experiment.made == ["records", "run", "scores"]


def test_other_weights_redo_the_run_and_its_scores(experiment):
    weights = experiment.folder / "run" / "weights"
    good = weights.read_text()
    weights.write_text("trained on by hand")
    experiment.run()
    assert experiment.made == ["run"]  # the same weights again
    assert weights.read_text() == good
    by_hand = experiment.folder / "run.old-1" / "weights"
    assert by_hand.read_text() == "trained on by hand"


@pytest.mark.parametrize("name", ["records", "run", "scores"])
def test_only_what_is_gone_is_made(experiment, name):
    path = experiment.folder / name
    path.rename(experiment.folder / "elsewhere")
    experiment.run()
    # The new one is like the old one, so what follows still fits.
    assert experiment.made == [name]


def test_output_without_stamp_is_not_trusted(experiment):
    (experiment.folder / "steps" / "run" / "stamp.json").unlink()
    experiment.run()
    assert experiment.made == ["run"]
    assert (experiment.folder / "run.old-1").exists()


def test_output_without_stamp_goes_on_if_the_step_refuses_others(tmp_path):
    """A run that was trained elsewhere, and copied into its place."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weights").write_text("of several hosts")

    def run(refuses):
        def action():
            if refuses:
                raise InputError("It was trained with other settings.")

        return run_step(
            str(tmp_path),
            "run",
            str(tmp_path / "run"),
            {"train": _TRAIN},
            action,
            lambda path: hash_file(f"{path}/weights"),
            refuses_others=True,
        )

    with pytest.raises(InputError, match="other settings"):
        run(refuses=True)
    made = run(refuses=False)
    assert made.output_hash == hash_file(tmp_path / "run" / "weights")
    assert run(refuses=True) == made
    assert not list(tmp_path.glob("run.old-*"))


def test_stopped_step_goes_on_only_from_the_same_inputs(tmp_path):
    def run(mu, fails):
        def action():
            path = tmp_path / "run" / "progress"
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                (path.read_text() if path.exists() else "") + f"{mu} "
            )
            if fails:
                raise RuntimeError("killed")
            return path.read_text()

        arguments = str(tmp_path), "run", str(tmp_path / "run"), {"mu": mu}
        return run_step(
            *arguments, action, lambda path: hash_file(f"{path}/progress")
        )

    with pytest.raises(RuntimeError):
        run(0.4, fails=True)
    assert run(0.4, fails=False).result == "0.4 0.4 "
    with pytest.raises(RuntimeError):
        run(0.6, fails=True)
    assert run(0.7, fails=False).result == "0.7 "
    assert (tmp_path / "run.old-2" / "progress").read_text() == "0.6 "


def test_setting_that_an_older_stamp_lacks_had_its_default(experiment):
    path = experiment.folder / "steps" / "run" / "stamp.json"
    stamp = json.loads(path.read_text())
    del stamp["inputs"]["train.warmup_steps"]
    path.write_text(json.dumps(stamp))
    experiment.run()
    assert not experiment.made
    experiment.train = dataclasses.replace(_TRAIN, warmup_steps=3)
    experiment.run()
    assert experiment.made == ["run", "scores"]


def test_retired_setting_that_did_nothing_changes_nothing(tmp_path):
    made = []

    def run(records):
        made.clear()
        run_step(
            str(tmp_path),
            "records",
            str(tmp_path / "records"),
            {"records": records},
            lambda: made.append((tmp_path / "records").write_text("clips")),
        )
        return bool(made)

    assert run(RecordParams())
    path = tmp_path / "steps" / "records" / "stamp.json"
    stamp = json.loads(path.read_text())
    stamp["inputs"]["records.strong_fraction"] = 1.0
    stamp["inputs"]["records.strong_fraction_seed"] = 0
    path.write_text(json.dumps(stamp))
    assert not run(RecordParams())
    assert run(RecordParams(held_out_fraction=0.1))
    for name, value in (("strong_fraction", 0.4), ("strong_fraction_seed", 1)):
        stamp["inputs"][f"records.{name}"] = value
        path.write_text(json.dumps(stamp))
        assert run(RecordParams())


def test_folder_that_a_process_writes_to_is_not_put_aside(experiment):
    experiment.train = dataclasses.replace(_TRAIN, mu=0.9)
    run = experiment.folder / "run"
    with (
        files.hold_lock(run),
        pytest.raises(InputError, match=f"only process that writes to {run}"),
    ):
        experiment.run()
    assert (run / "weights").exists()
    experiment.run()
    assert experiment.made == ["run", "scores"]


def test_damaged_stamp_is_one_line(experiment):
    path = experiment.folder / "steps" / "run" / "stamp.json"
    path.write_text("{")
    with pytest.raises(InputError, match=f"{path}: expected JSON"):
        experiment.run()


def _make_slowly(folder):
    def action():
        with open(os.path.join(folder, "made"), "a") as file:
            file.write("once ")
        time.sleep(1)

    run_step(folder, "made", os.path.join(folder, "made"), {"x": 1}, action)


def test_second_process_waits_and_makes_nothing_twice(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_make_slowly, args=(str(tmp_path),))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "made").read_text() == "once "
