"""Loads an exported model and runs it, with whatever its format needs.

An engine is a function from patches to what the network says of them:

    patches      float32 [num_patches, 96, 64], log-mel
    scores       float32 [num_patches, num_classes], in [0, 1]
    embeddings   float32 [num_patches, 2048 * width]

Patches are independent, to the last bit: what comes of one does not depend on
how many are given in a call, nor on its neighbours. Engines run blocks of 16,
which is about the fastest size in each of them and bounds their memory.

What runs a model is named by `runtime`, or else by the environment variable
AUDIOSET_STRONG_RUNTIME: "tensorflow", "onnxruntime", "openvino" or "tflite".
"""

import contextlib
import importlib
import importlib.util
import os
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from audioset_strong.errors import InputError
from audioset_strong.inference.metadata import (
    METADATA_FILE,
    METADATA_KEY,
    ModelMetadata,
    parse_metadata,
)

_RUNTIME_VARIABLE = "AUDIOSET_STRONG_RUNTIME"

# Patches run at a time (module docstring).
_BLOCK_PATCHES = 16


class PatchOutputs(NamedTuple):
    """What a network says of patches (module docstring)."""

    scores: np.ndarray
    embeddings: np.ndarray


Engine = Callable[[np.ndarray], PatchOutputs]


def load_engine(
    path: str, runtime: str | None = None, num_threads: int | None = None
) -> tuple[ModelMetadata, Engine]:
    """Loads an exported model.

    Args:
      path: Folder that `export_saved_model` wrote, or an `.onnx` or `.tflite`
        file of one. Of a folder the first file is taken that something is
        installed for: the SavedModel, ONNX, TFLite.
      runtime: What is to run it (module docstring); None for the first that is
        installed.
      num_threads: None for as many as the process may use.

    Raises:
      InputError: There is no model, or what its format needs is not installed.
    """
    runtime = runtime or os.environ.get(_RUNTIME_VARIABLE) or None
    if runtime not in (None, *_RUNTIMES):
        raise InputError(
            f"Expected a runtime ({_RUNTIME_VARIABLE}) of {list(_RUNTIMES)}. "
            f"Received: {runtime!r}."
        )
    choices = _choices(path)
    if runtime:
        choices = [choice for choice in choices if choice[0] == runtime]
        if not choices:
            raise InputError(f"{path} holds no model for {runtime}.")
    for name, file in choices:
        load, modules, _ = _RUNTIMES[name]
        for module in modules:
            if importlib.util.find_spec(module.partition(".")[0]):
                return load(file, module, num_threads or _num_cpus())
    needed = " or ".join(
        dict.fromkeys(_RUNTIMES[name].install for name, _ in choices)
    )
    raise InputError(
        f"Nothing is installed that runs {path}. Install {needed}."
    )


def _choices(path: str) -> list[tuple[str, str]]:
    """Lists what could run a model: pairs of a runtime and its file.

    Raises:
      InputError: There is no model.
    """
    if os.path.isdir(path):
        found = [
            (name, os.path.join(path, file))
            for name, file in (
                ("tensorflow", "saved_model.pb"),
                *[
                    (name, f"{stem}.onnx")
                    for stem in ("model", "model_int8")
                    for name in ("onnxruntime", "openvino")
                ],
                ("tflite", "model.tflite"),
                ("tflite", "model_float16.tflite"),
                ("tflite", "model_int8.tflite"),
            )
            if os.path.exists(os.path.join(path, file))
        ]
    elif not os.path.exists(path):
        raise InputError(f"{path} does not exist.")
    elif path.endswith(".onnx"):
        found = [("onnxruntime", path), ("openvino", path)]
    elif path.endswith(".tflite"):
        found = [("tflite", path)]
    else:
        found = []
    if not found:
        raise InputError(
            f"{path} holds no model. Give a folder that export_saved_model "
            f"wrote, or an .onnx or .tflite file of one."
        )
    return found


def _num_cpus() -> int:
    """Number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _in_blocks(
    run: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    metadata: ModelMetadata,
    pad: bool = False,
) -> Engine:
    """Makes an engine of what runs one block.

    Args:
      run: From patches, at least one, to scores and embeddings.
      metadata: Of the model.
      pad: Whether results depend on the size of a block, so that the last must
        be as large as the others.
    """
    features = metadata.features
    patch_shape = (features.patch_stft_frames, features.mel_bands)

    def score_patches(patches: np.ndarray) -> PatchOutputs:
        if patches.shape[1:] != patch_shape:
            raise InputError(
                f"patches must be [num_patches, {patch_shape[0]}, "
                f"{patch_shape[1]}]. Received: shape={patches.shape}."
            )
        num_patches = len(patches)
        least = _BLOCK_PATCHES if pad else 1
        missing = -num_patches % least if num_patches else least
        patches = patches.astype(np.float32, copy=False)
        if missing:
            patches = np.pad(patches, ((0, missing), (0, 0), (0, 0)))
        outputs = [
            run(patches[start : start + _BLOCK_PATCHES])
            for start in range(0, len(patches), _BLOCK_PATCHES)
        ]
        scores, embeddings = (np.concatenate(parts) for parts in zip(*outputs))
        return PatchOutputs(scores[:num_patches], embeddings[:num_patches])

    return score_patches


def _load_saved_model(
    path: str, module: str, num_threads: int
) -> tuple[ModelMetadata, Engine]:
    """Loads a SavedModel."""
    import tensorflow as tf

    # If TensorFlow runs already, it keeps the threads that it was given.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    model = tf.saved_model.load(os.path.dirname(path))
    if not hasattr(model, "metadata") or not hasattr(model, "score_patches"):
        raise InputError(
            f"{path}: expected a SavedModel of this package. Export it again "
            f"with export_saved_model."
        )
    metadata = parse_metadata(model.metadata().numpy().decode(), path)

    def run(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, embeddings = model.score_patches(tf.constant(patches))
        return scores.numpy(), embeddings.numpy()

    # oneDNN chooses other kernels for other sizes.
    return metadata, _in_blocks(run, metadata, pad=True)


def _load_onnx(
    path: str, module: str, num_threads: int
) -> tuple[ModelMetadata, Engine]:
    """Loads an ONNX file with ONNX Runtime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    # Weights of 8 bits become float32 at loading, not at each call.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own classes, which differ by version
        raise InputError(
            f"{path}: ONNX Runtime cannot load it. ({error})"
        ) from error
    properties = session.get_modelmeta().custom_metadata_map
    metadata = parse_metadata(properties.get(METADATA_KEY, ""), path)

    def run(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, embeddings = session.run(
            ["scores", "embeddings"], {"patches": patches}
        )
        return scores, embeddings

    return metadata, _in_blocks(run, metadata)


def _load_openvino(
    path: str, module: str, num_threads: int
) -> tuple[ModelMetadata, Engine]:
    """Loads an ONNX file with OpenVINO, on the CPU."""
    import openvino

    try:
        model = openvino.Core().read_model(path)
    except RuntimeError as error:
        raise InputError(
            f"{path}: OpenVINO cannot load it. ({error})"
        ) from error
    key = ["framework", METADATA_KEY]
    text = model.get_rt_info(key).astype(str) if model.has_rt_info(key) else ""
    metadata = parse_metadata(text, path)
    compiled = openvino.compile_model(
        model,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": num_threads,
            # Else it is bfloat16 where the CPU has it.
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )

    def run(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs = compiled(patches)
        return outputs["scores"].copy(), outputs["embeddings"].copy()

    # It too chooses other kernels for other sizes.
    return metadata, _in_blocks(run, metadata, pad=True)


def _load_tflite(
    path: str, module: str, num_threads: int
) -> tuple[ModelMetadata, Engine]:
    """Loads a TFLite file with LiteRT, TFLite or TensorFlow."""
    try:
        # Files lie in an archive that follows the model.
        with zipfile.ZipFile(path) as archive:
            text = archive.read(METADATA_FILE).decode()
    except (zipfile.BadZipFile, KeyError):
        text = ""
    metadata = parse_metadata(text, path)
    loaded: Any = importlib.import_module(module)
    interpreter = (
        loaded.lite if module == "tensorflow" else loaded
    ).Interpreter(model_path=path, num_threads=num_threads)
    runner = interpreter.get_signature_runner("score_patches")

    def run(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs = runner(patches=patches)
        return outputs["scores"], outputs["embeddings"]

    # TensorFlow 2.16's interpreter chooses other kernels for other sizes, and
    # each new size makes room anew.
    return metadata, _in_blocks(run, metadata, pad=True)


class _Runtime(NamedTuple):
    """One way to run models.

    Attributes:
      load: From a file, one of `modules` and a number of threads.
      modules: Any one of them will do; the first that is installed is taken.
      install: How to get it.
    """

    load: Callable[[str, str, int], tuple[ModelMetadata, Engine]]
    modules: tuple[str, ...]
    install: str


_RUNTIMES = {
    "tensorflow": _Runtime(
        _load_saved_model,
        ("tensorflow",),
        "TensorFlow (pip install tensorflow)",
    ),
    "onnxruntime": _Runtime(
        _load_onnx,
        ("onnxruntime",),
        "ONNX Runtime (pip install onnxruntime)",
    ),
    "openvino": _Runtime(
        _load_openvino, ("openvino",), "OpenVINO (pip install openvino)"
    ),
    "tflite": _Runtime(
        _load_tflite,
        (
            "ai_edge_litert.interpreter",
            "tflite_runtime.interpreter",
            "tensorflow",
        ),
        "LiteRT (pip install ai-edge-litert)",
    ),
}
