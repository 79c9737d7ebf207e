"""What the binaries share: how they run and the flags that several have.

Only binaries import this module. It sets up the process that they run in
(TensorFlow's environment variables, logging), which a library must not do.
"""

import dataclasses
import difflib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import logging as std_logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from absl import app, flags, logging

from audioset_strong.errors import InputError

# TensorFlow reads these when it is loaded, which a binary does after it has
# imported this module. Values that the user has set are kept.
#
# TensorFlow prints notes about CPU instructions, absent accelerators and CUDA
# plug-ins as it starts, some of them as errors, which bury our own messages.
# What matters also comes as an exception.
_HIDES_NOTES = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3"
# TensorFlow turns oneDNN's kernels on by itself for newer CPUs only; they are
# faster on older ones too (BUILD_NOTES.md "CPU kernels").
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# So that --help of a binary shows the flags that it defines through here.
flags.disclaim_key_flags()

_Params = TypeVar("_Params")
_PACKAGE_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
# Folders of other people's packages.
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
_Holders = dict[str, flags.FlagHolder[Any]]


class _LoadedBy(importlib.abc.MetaPathFinder):
    """Finds one module, once, and has it loaded by a function of ours."""

    def __init__(
        self, name: str, load: Callable[[Callable[[Any], None], Any], None]
    ) -> None:
        """Keeps the module's name and what loads it."""
        self._name, self._load = name, load

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Finds the module and wraps how it is loaded."""
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module
            spec.loader.exec_module = lambda module: self._load(  # type: ignore[method-assign]
                load, module
            )
        return spec


def _load_alone(load: Callable[[Any], None], module: Any) -> None:
    """Loads Keras without what its plots and its scikit-learn classes need.

    Keras imports both libraries where they are installed, which takes a quarter
    of the time until it is there. Nothing here uses those parts of it.
    """
    absent = [n for n in ("matplotlib", "sklearn") if n not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        load(module)
    finally:
        for name in absent:
            sys.modules.pop(name, None)


def _load_quietly(load: Callable[[Any], None], module: Any) -> None:
    """Loads TensorFlow with standard error in a file, shown if that fails.

    Since 2.18 it prints half a dozen notes through a logger that does not know
    TF_CPP_MIN_LOG_LEVEL (tensorflow/tensorflow#100442).
    """
    sys.stderr.flush()
    console = os.dup(2)  # C++ writes to the descriptor, not to sys.stderr.
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            load(module)
        except Exception:
            notes.seek(0)
            os.write(console, notes.read())
            raise
        finally:
            os.dup2(console, 2)
            os.close(console)


def _show_uncaught(
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None:
    """Shows an error that ends the program; of Ctrl-C one line.

    Loading TensorFlow takes seconds, in which `run` does not catch it yet.
    """
    if issubclass(kind, KeyboardInterrupt):
        print("\nInterrupted.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _show_uncaught
sys.meta_path.insert(0, _LoadedBy("keras", _load_alone))
if _HIDES_NOTES:
    sys.meta_path.insert(0, _LoadedBy("tensorflow", _load_quietly))


def run(
    main: Callable[[Sequence[str]], None],
    passes_unknown_flags: bool = False,
    takes_paths: bool = False,
) -> None:
    """Runs a binary's `main`; bad input ends in one line and status 2.

    Args:
      main: Takes the positional arguments, the program's name first.
      passes_unknown_flags: Whether flags that are not the binary's are given to
        `main` too, which must check them, instead of being refused.
      takes_paths: Whether arguments are paths: flags may then follow them, and
        a path may begin with a dash.
    """
    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    logging.get_absl_handler().addFilter(_is_for_users)

    def main_with_clear_errors(argv: Sequence[str]) -> None:
        try:
            main(argv)
        except InputError as error:
            _fail(str(error))
        except BrokenPipeError:
            # Whoever read the output, such as `head`, has seen enough. What
            # Python would still write at its end goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            # Files that cannot be read or written, full disks.
            name = "" if error.filename is None else f": {error.filename}"
            _fail(f"{error.strerror or error}{name}")
        except KeyboardInterrupt:
            print(
                "\nInterrupted. The same command again goes on from here.",
                file=sys.stderr,
            )
            sys.exit(130)

    if passes_unknown_flags:
        app.run(main_with_clear_errors, flags_parser=_parse_known_flags)
    elif takes_paths:
        app.run(main_with_clear_errors, flags_parser=_parse_flags_and_paths)
    else:
        app.run(main_with_clear_errors)


def _parse_known_flags(argv: list[str]) -> list[str]:
    """Parses flags, and returns the arguments that are none of ours."""
    try:
        unknown: list[str] = flags.FLAGS(argv, known_only=True)
    except flags.Error:
        unknown = app.parse_flags_with_usage(argv)  # prints it and exits
    return unknown


def _parse_flags_and_paths(argv: list[str]) -> list[str]:
    """Parses flags; what begins like one and is there is a path."""
    end = argv.index("--") if "--" in argv else len(argv)
    flags.FLAGS.set_gnu_getopt()
    parsed: list[str] = app.parse_flags_with_usage(
        [*map(_mark_path, argv[:end]), *argv[end:]]
    )
    return parsed


def _mark_path(argument: str) -> str:
    """Writes a path that begins with a dash so that it is no flag."""
    name = argument.lstrip("-").partition("=")[0]
    is_path = (
        len(argument) > 1
        and argument.startswith("-")
        and name not in flags.FLAGS
        and os.path.lexists(argument)
    )
    return f"./{argument}" if is_path else argument


def _suggest_flag(argument: str) -> str:
    """Says which flag may have been meant by a misspelt one; "" for none."""
    if not argument.startswith("-"):
        return ""
    name = argument.lstrip("-").partition("=")[0]
    close = difflib.get_close_matches(name, list(flags.FLAGS), n=1)
    return f" Did you mean --{close[0]}?" if close else ""


def _is_for_users(record: std_logging.LogRecord) -> bool:
    """Keeps our own messages and everybody's warnings, but for two.

    TensorFlow warns when functions of one name are compiled often; experiments
    that train one model after another do so on purpose. Apache Beam warns
    whenever it is imported that it lacks what only Google's BigQuery needs.
    """
    path = os.path.abspath(record.pathname)
    # This package may itself be installed in site-packages.
    is_ours = path.startswith(_PACKAGE_DIR) or not _INSTALLED.search(path)
    if is_ours:
        return True
    message = record.getMessage()
    return (
        record.levelno >= std_logging.WARNING
        and "retracing" not in message
        and not message.startswith("apitools not found")
    )


def _fail(message: str) -> None:
    """Prints one line and exits with status 2."""
    program = os.path.basename(sys.argv[0]).removesuffix(".py")
    print(f"{program}: error: {message}", file=sys.stderr)
    sys.exit(2)


def refuse_arguments(argv: Sequence[str]) -> None:
    """Raises for positional arguments, which are mostly misspelt flags.

    Raises:
      InputError: There is an argument besides the program's name.
    """
    if len(argv) > 1:
        suggestions = "".join(_suggest_flag(argument) for argument in argv[1:])
        raise InputError(
            f"Expected flags only (--name=value), found {list(argv[1:])}."
            f"{suggestions} See --help."
        )


def define_class_map(required: bool = False) -> flags.FlagHolder[Any]:
    """Defines --class_map."""
    return flags.DEFINE_string(
        "class_map",
        None,
        "Classes of the model: a CSV like class_labels_indices.csv.",
        required=required,
    )


def define_clips() -> flags.FlagHolder[str | None]:
    """Defines --clips."""
    return flags.DEFINE_string(
        "clips",
        None,
        "List of annotated clips, a TSV with the header segment_id, "
        "duration_seconds and, if you like, group: clips of any length, and "
        "those without any event, which are negatives of every class.",
    )


def define_clip_seconds() -> flags.FlagHolder[float]:
    """Defines --clip_seconds."""
    return flags.DEFINE_float(
        "clip_seconds",
        10.0,
        "Length of the clips that --clips does not list.",
        lower_bound=0.0,
    )


def define_workdir() -> flags.FlagHolder[str]:
    """Defines --workdir, which must be given."""
    return flags.DEFINE_string(
        "workdir",
        None,
        "Folder of one training run: all that it writes.",
        required=True,
    )


def define_records_dir() -> flags.FlagHolder[str]:
    """Defines --records_dir, which must be given."""
    return flags.DEFINE_string(
        "records_dir",
        None,
        "Folder that prepare_records wrote.",
        required=True,
    )


def define_checkpoint() -> flags.FlagHolder[str]:
    """Defines --checkpoint."""
    return flags.DEFINE_enum(
        "checkpoint",
        "best",
        ["best", "last"],
        "Which weights of the run: the best by validation, or the last.",
    )


def define_display_names() -> flags.FlagHolder[str | None]:
    """Defines --display_names, where names are only shown."""
    return flags.DEFINE_string(
        "display_names",
        None,
        "mid_to_display_name.tsv, for display names; overrides those of "
        "--class_map.",
    )


def define_skip_bad_lines() -> flags.FlagHolder[bool]:
    """Defines --skip_bad_lines."""
    return flags.DEFINE_boolean(
        "skip_bad_lines",
        False,
        "Leave out lines of label files that cannot be used, and count them, "
        "instead of stopping. An event that is left out becomes a negative.",
    )


def define_params(
    params_class: type,
    choices: Mapping[str, Sequence[str]] | None = None,
    flag_values: flags.FlagValues | None = None,
) -> _Holders:
    """Defines one flag for each field of a params dataclass.

    Defaults are the fields', and help is the fields' own documentation, so that
    neither is written twice.

    Args:
      params_class: A dataclass of `params.py`, of bool, int, float and str
        fields that its docstring documents.
      choices: The values that a str field can have.
      flag_values: Where to define them; None for the command's own flags.

    Returns:
      The flag of each field, for `read_params`.
    """
    help_of_field = _documented_fields(params_class)
    choices = choices or {}
    where: dict[str, Any] = {}
    if flag_values is not None:
        where["flag_values"] = flag_values
    define: dict[type, Callable[..., flags.FlagHolder[Any]]] = {
        bool: flags.DEFINE_boolean,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }
    holders: _Holders = {}
    for field in dataclasses.fields(params_class):
        name, text = field.name, help_of_field[field.name]
        if name in choices:
            holders[name] = flags.DEFINE_enum(
                name, str(field.default), choices[name], text, **where
            )
        else:
            holders[name] = define[type(field.default)](
                name, field.default, text, **where
            )
    return holders


def read_params(params_class: type[_Params], holders: _Holders) -> _Params:
    """Makes a params dataclass from the flags of `define_params`."""
    return params_class(**{name: flag.value for name, flag in holders.items()})


def _documented_fields(params_class: type) -> dict[str, str]:
    """Reads the `Attributes:` section of a docstring."""
    docstring = inspect.getdoc(params_class) or ""
    _, _, section = docstring.partition("Attributes:\n")
    entries = re.findall(r"^  (\w+): (.*(?:\n    .*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
