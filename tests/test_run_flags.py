"""Flags made of settings, and what is said about bad ones."""

import dataclasses
import importlib
import logging
import signal
import subprocess
import sys
import types

import pytest
from absl import app, flags

from audioset_strong import params, run_flags
from audioset_strong.errors import InputError
from audioset_strong.params import TrainParams
from audioset_strong.simulation import soundscapes

_ALL = [
    value
    for module in (params, soundscapes)
    for name, value in vars(module).items()
    if name.endswith("Params") and dataclasses.is_dataclass(value)
]


@pytest.mark.parametrize("params_class", _ALL)
def test_every_field_of_every_setting_is_documented(params_class):
    help_of_field = run_flags._documented_fields(params_class)
    fields = [field.name for field in dataclasses.fields(params_class)]
    assert list(help_of_field) == fields
    assert all(text.endswith(".") for text in help_of_field.values())


def test_settings_become_flags_and_back():
    values = flags.FlagValues()
    holders = run_flags.define_params(
        TrainParams, {"training_set": ["weak", "strong"]}, values
    )
    values(["train"])
    assert run_flags.read_params(TrainParams, holders) == TrainParams()
    values.unparse_flags()
    values(["train", "--mu=0.5", "--nodeterministic", "--training_set=strong"])
    assert run_flags.read_params(TrainParams, holders) == TrainParams(
        mu=0.5, deterministic=False, training_set="strong"
    )
    with pytest.raises(flags.IllegalFlagValueError):
        values(["train", "--training_set=Strong"])


def test_unknown_flags_are_passed_on_and_ours_are_parsed(monkeypatch):
    values = flags.FlagValues()
    flags.DEFINE_integer("steps", 1, "Ours.", flag_values=values)
    monkeypatch.setattr(flags, "FLAGS", values)
    argv = ["train", "--steps=5", "--job_endpoint=a:1", "stray", "--x", "y"]
    assert run_flags._parse_known_flags(argv) == [
        "train",
        "--job_endpoint=a:1",
        "stray",
        "--x",
        "y",
    ]
    assert values.steps == 5


def test_paths_may_begin_with_a_dash_and_flags_follow_them(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for name in ("-0abc.wav", "-dir", "--top_k", "-x=1.wav"):
        (tmp_path / name).touch()
    values = flags.FlagValues()
    flags.DEFINE_integer("top_k", 0, "", flag_values=values)
    flags.DEFINE_string("model", "", "", flag_values=values)
    monkeypatch.setattr(flags, "FLAGS", values)
    monkeypatch.setattr(app, "FLAGS", values)

    def parse(*arguments):
        return run_flags._parse_flags_and_paths(["predict", *arguments])[1:]

    assert parse("-0abc.wav", "b.wav", "--top_k", "3", "-x=1.wav", "-") == [
        "./-0abc.wav",
        "b.wav",
        "./-x=1.wav",
        "-",
    ]
    assert values.top_k == 3
    assert parse("--model", "-dir", "--", "-0abc.wav") == ["-0abc.wav"]
    assert values.model == "./-dir"
    with pytest.raises(SystemExit):
        parse("-0abc.wav", "--topk=3")
    assert "Did you mean: top_k" in capsys.readouterr().err


def test_positional_arguments_are_refused():
    run_flags.refuse_arguments(["train"])
    with pytest.raises(InputError, match=r"found \['mu=0.5'\]"):
        run_flags.refuse_arguments(["train", "mu=0.5"])


def test_a_close_flag_is_named():
    with pytest.raises(InputError, match=r"Did you mean --verbosity\? See"):
        run_flags.refuse_arguments(["train", "--verbosty=1"])
    with pytest.raises(InputError, match=r"found \['--qqqqqqqq'\]\. See"):
        run_flags.refuse_arguments(["train", "--qqqqqqqq"])


@pytest.mark.parametrize(
    ("path", "level", "is_shown"),
    [
        # An installed package is in site-packages too.
        ("env/site-packages/audioset_strong/records/prepare.py", "INFO", True),
        ("home/me/my_script.py", "INFO", True),
        ("env/site-packages/keras/src/trainer.py", "INFO", False),
        ("env/site-packages/keras/src/trainer.py", "WARNING", True),
    ],
)
def test_which_messages_reach_the_user(monkeypatch, path, level, is_shown):
    monkeypatch.setattr(
        run_flags, "_PACKAGE_DIR", "/env/site-packages/audioset_strong/"
    )
    record = logging.LogRecord(
        "x", getattr(logging, level), f"/{path}", 1, "message", (), None
    )
    assert run_flags._is_for_users(record) == is_shown


def test_keras_is_loaded_without_what_its_plots_need(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    kept = types.ModuleType("sklearn")
    monkeypatch.setitem(sys.modules, "sklearn", kept)

    def load(module):
        with pytest.raises(ImportError):
            importlib.import_module("matplotlib")
        # What is loaded already costs nothing.
        assert importlib.import_module("sklearn") is kept
        module.is_loaded = True

    module = types.ModuleType("keras")
    run_flags._load_alone(load, module)
    assert module.is_loaded
    assert "matplotlib" not in sys.modules


def test_ctrl_c_while_modules_are_loaded_is_one_line():
    program = (
        "from audioset_strong import run_flags\n"
        "import os, signal, time\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "time.sleep(60)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        text=True,
        # A test that is started in the background may ignore the signal.
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),
    )
    assert ended.stderr.split() == ["Interrupted."]
    assert ended.returncode == -signal.SIGINT  # 130 in a shell
