r"""Finds sound events in recordings with an exported model.

    audioset-strong predict recording.wav
    audioset-strong predict --model=exports/strong --output_dir=found \
      --formats=tsv,audacity,scores recordings

Takes files of any format and length, folders, patterns in quotes, and `-` for a
list on standard input (`inference/inputs.py`). Prints the events or, with
--output_dir, writes there:

    files.tsv         a row for each recording, also those that failed
    predict.json      the model, the settings, what there is in all
    --formats         events.tsv, events.csv, events.jsonl, audacity/, raven/
                      (`inference/event_files.py`), scores.npz for `evaluate`,
                      embeddings/

A command that was stopped goes on where it was when it is given again. One that
has ended is done again, unless --keep_scores kept what other thresholds and
formats are made from. Thresholds are those of --threshold or --thresholds if
given, then the model's own.

Exit status: 0 if all recordings were scored, 1 if some failed, 2 if none could
be scored or the command is wrong.
"""

import dataclasses
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from audioset_strong import __version__, files, run_flags
from audioset_strong.errors import InputError
from audioset_strong.inference.batch import score_recordings
from audioset_strong.inference.events import find_classes_to_keep
from audioset_strong.inference.inputs import (
    Recording,
    find_inputs,
    split_class_names,
)
from audioset_strong.inference.kept_scores import KeptScores
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.inference.patch_stream import check_hop
from audioset_strong.inference.results import (
    FORMATS,
    Decoder,
    Tally,
    check_replaceable,
    find_lost,
    has_results,
    print_events,
    replace_results,
    write_results,
)
from audioset_strong.inference.sound_model import (
    STARTER,
    SoundModel,
    load_model,
)
from audioset_strong.labels.problems import listed
from audioset_strong.params import DecodingParams

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "Folder that export_saved_model wrote, or a .onnx or .tflite file of it. "
    "Without it: the small model of the package.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for the results; without it they are printed."
)
_FORMATS = flags.DEFINE_list(
    "formats", "tsv", f"What to write, some of {', '.join(FORMATS)}."
)
_HOP_SECONDS = flags.DEFINE_float(
    "hop_seconds",
    0.96,
    "Between two scores, from 0.1 to 0.96, in steps of 0.01: less gives finer "
    "times and takes longer.",
)
_THRESHOLDS = flags.DEFINE_string(
    "thresholds",
    None,
    "CSV that choose_thresholds wrote, with a threshold for each class. "
    "--threshold, if given too, is for the classes that it lacks.",
)
_CLASSES = flags.DEFINE_multi_string(
    "classes",
    [],
    "Classes to keep, by id or display name, separated by commas; may be "
    "given again. Without it all.",
)
_OVERWRITE = flags.DEFINE_boolean(
    "overwrite",
    False,
    "Replace results of other recordings or another model in --output_dir.",
)
_KEEP_SCORES = flags.DEFINE_boolean(
    "keep_scores",
    False,
    "Keep the scores in --output_dir, so that the same command with other "
    "thresholds, classes or formats has nothing to score.",
)
_DECODING = run_flags.define_params(DecodingParams)

_WORK_FOLDER = ".predict"
_RUNTIMES = (
    *("tensorflow", "onnxruntime", "openvino"),
    *("ai_edge_litert", "tflite_runtime"),
)


def main(argv: Sequence[str]) -> None:
    """Scores what is missing, writes or prints what was found, sums up."""
    _check_formats()
    inputs = find_inputs(argv[1:], sys.stdin.buffer)
    for note in inputs.notes:
        logging.warning("%s", note)
    if _MODEL.value is None:
        logging.info(
            "No --model: using the package's small model of 50 classes, %s.",
            STARTER,
        )
    model = load_model(_MODEL.value)
    check_hop(_HOP_SECONDS.value, model.metadata.features)
    decoder = _make_decoder(model.metadata)
    if _OUTPUT_DIR.value is None:
        tally = _print(inputs.recordings, model, decoder)
    else:
        tally = _write(_OUTPUT_DIR.value, inputs.recordings, model, decoder)
    for line in tally.lines(decoder):
        logging.info("%s", line)
    if tally.num_failed:
        sys.exit(2 if tally.num_failed == tally.num_files else 1)


def _check_formats() -> None:
    """Raises for formats that there are not, or where nothing is written."""
    unknown = [name for name in _FORMATS.value if name not in FORMATS]
    if unknown:
        raise InputError(
            f"Expected --formats of {', '.join(FORMATS)}, found "
            f"{listed(map(repr, unknown))}."
        )
    if _OUTPUT_DIR.value is None:
        for flag in (_FORMATS, _OVERWRITE, _KEEP_SCORES):
            if flag.present:
                raise InputError(
                    f"--{flag.name} needs --output_dir, the folder to write to."
                )


def _print(
    recordings: Sequence[Recording], model: SoundModel, decoder: Decoder
) -> Tally:
    """Prints the events of each recording as soon as it is scored."""
    run = {"keeps_embeddings": False}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="predict-") as folder,
            KeptScores(folder, run) as kept,
        ):
            return print_events(
                score_recordings(recordings, model, decoder.hop_seconds, kept),
                decoder,
            )
    except KeyboardInterrupt:
        print(
            "\nInterrupted. With --output_dir it could go on from here.",
            file=sys.stderr,
        )
        sys.exit(130)


def _write(
    output_dir: str,
    recordings: Sequence[Recording],
    model: SoundModel,
    decoder: Decoder,
) -> Tally:
    """Scores what is not scored yet, and replaces the results."""
    formats = set(_FORMATS.value)
    summary = _describe(model, decoder)
    work = os.path.join(output_dir, _WORK_FOLDER)
    staging = os.path.join(work, "results")
    files.make_output_folder(output_dir)
    with files.hold_lock(output_dir):
        if not _OVERWRITE.value:
            check_replaceable(
                output_dir, staging, recordings, summary["model"]["hash"]
            )
        run = {
            "model": summary["model"]["hash"],
            "hop_seconds": decoder.hop_seconds,
            "keeps_embeddings": any("embeddings" in f for f in formats),
            "version": __version__,
            # Engines agree to 1e-5 and not to the bit.
            "runtimes": [name for name in _RUNTIMES if name in sys.modules],
        }
        with _open_kept_scores(work, run) as kept:
            outcomes = list(
                score_recordings(recordings, model, decoder.hop_seconds, kept)
            )
            shutil.rmtree(staging, ignore_errors=True)
            os.mkdir(staging)
            tally = write_results(staging, outcomes, decoder, formats, summary)
            lost = find_lost(output_dir, outcomes)
            are_lost = bool(lost) and not _OVERWRITE.value
            is_kept = has_results(output_dir) and (
                are_lost or tally.num_failed == tally.num_files
            )
        if is_kept:
            logging.warning(
                "Earlier results in %s are kept: they have recordings that "
                "failed now (%s). When these can be read, run again.",
                output_dir,
                listed(lost, 3),
            )
            return tally
        replace_results(staging, output_dir)
        logging.info("Results are in %s.", output_dir)
        if _KEEP_SCORES.value:
            shutil.rmtree(staging)
        else:
            shutil.rmtree(work)
    return tally


def _open_kept_scores(folder: str, run: dict[str, Any]) -> KeptScores:
    """Opens the scores of a run that was stopped, or begins with none."""
    files.make_output_folder(folder)
    try:
        kept = KeptScores(folder, run)
    except InputError:
        if not _OVERWRITE.value:
            raise
        shutil.rmtree(folder)
        files.make_output_folder(folder)
        kept = KeptScores(folder, run)
    return kept


def _describe(model: SoundModel, decoder: Decoder) -> dict[str, Any]:
    """Returns what predict.json says of the model and the settings."""
    class_map = decoder.class_map
    kept = decoder.class_indices
    return {
        "model": {
            "name": model.metadata.name,
            "hash": _hash_model(_MODEL.value or STARTER),
            "class_map_hash": class_map.content_hash,
        },
        "hop_seconds": decoder.hop_seconds,
        "decoding": dataclasses.asdict(decoder.params),
        # One, or one for each class in their order.
        "thresholds": np.asarray(decoder.thresholds).tolist(),
        "classes": None if kept is None else [class_map.mids[c] for c in kept],
        "versions": _versions(),
    }


def _hash_model(path: str) -> str:
    """Returns 16 hex digits of the model's file, or of all in its folder."""
    digest = hashlib.sha256()
    names = [""]
    if os.path.isdir(path):
        names = sorted(name for name, _ in files.list_files(path))
    for name in names:
        with open(name or path, "rb") as file:
            digest.update(os.path.relpath(name, path).encode() if name else b"")
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]


def _versions() -> dict[str, str]:
    """Returns the versions of what scores come from."""
    names = ("numpy", "soundfile", "soxr", "av", *_RUNTIMES)
    loaded = {name: sys.modules[name] for name in names if name in sys.modules}
    return {
        "audioset_strong": __version__,
        **{name: str(m.__version__) for name, m in loaded.items()},
    }


def _make_decoder(metadata: ModelMetadata) -> Decoder:
    """Finds out how scores become events."""
    class_map = metadata.class_map
    params = run_flags.read_params(DecodingParams, _DECODING)
    is_given = _DECODING["threshold"].present
    thresholds: np.ndarray | float = params.threshold
    if _THRESHOLDS.value is not None:
        # Loads pandas.
        from audioset_strong.evaluation.thresholds import read_model_thresholds

        thresholds = read_model_thresholds(
            _THRESHOLDS.value,
            class_map.mids,
            params.threshold if is_given else None,
        )
    elif metadata.thresholds is not None and not is_given:
        logging.info("Using the thresholds that the model comes with.")
        thresholds = np.array(metadata.thresholds)  # [num_classes]
    names = split_class_names(_CLASSES.value, class_map)
    return Decoder(
        class_map,
        _HOP_SECONDS.value,
        thresholds,
        params,
        find_classes_to_keep(names, class_map) if names else None,
    )


if __name__ == "__main__":
    run_flags.run(main, takes_paths=True)
