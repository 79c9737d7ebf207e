"""Runs an exported file in a process that cannot import this package.

What an export needs beside its runtime would go unnoticed here.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np

# Run in a process of its own that cannot import this package: for each input of
# an .npz writes the outputs.
_RELOAD_SCRIPTS = {
    "": """
import tensorflow as tf
model = tf.saved_model.load(path)
def run(name, values):
    call = model.score_patches if name == "patches" else model
    names = "scores", "embeddings", "log_mel"  # no log_mel of patches
    return {k: v.numpy() for k, v in zip(names, call(tf.constant(values)))}
""",
    ".onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
def run(name, values):
    outputs = session.run(["scores", "embeddings"], {"patches": values})
    return dict(zip(("scores", "embeddings"), outputs))
""",
    ".keras": """
import keras
model = keras.saving.load_model(path)
def run(name, values):
    return {k: np.asarray(v) for k, v in model(values, training=False).items()}
""",
    ".tflite": """
try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    try:
        from tflite_runtime.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf
        Interpreter = tf.lite.Interpreter
interpreter = Interpreter(model_path=path)
score_patches = interpreter.get_signature_runner("score_patches")
score_waveform = interpreter.get_signature_runner("serving_default")
def run(name, values):
    if name == "patches":
        return score_patches(patches=values)
    return score_waveform(waveform=values)
""",
}
_RELOAD_HEAD = """
import sys
import numpy as np
path = sys.argv[1]
"""
_RELOAD_TAIL = """
outputs = {}
inputs = np.load(sys.argv[2])
for name in inputs.files:
    for key, value in run(name, inputs[name]).items():
        outputs[f"{name}/{key}"] = value
np.savez(sys.argv[3], **outputs)
"""


def run_elsewhere(
    path: str, inputs: dict[str, np.ndarray], python: str = sys.executable
) -> dict[str, np.ndarray]:
    """Runs a file in a process that cannot import this package.

    Args:
      path: The file, or the folder of a SavedModel.
      inputs: "patches", and waveforms by name if the file takes them.
      python: Which Python runs it.

    Returns:
      Outputs, as "patches/scores".

    Raises:
      RuntimeError: The file cannot be loaded.
    """
    kind = "" if os.path.isdir(path) else os.path.splitext(path)[1]
    with tempfile.TemporaryDirectory() as folder:
        inputs_path = os.path.join(folder, "inputs.npz")
        outputs_path = os.path.join(folder, "outputs.npz")
        np.savez(inputs_path, **inputs)  # type: ignore[arg-type]
        script = _RELOAD_HEAD + _RELOAD_SCRIPTS[kind] + _RELOAD_TAIL
        done = subprocess.run(
            # -I ignores the current folder and PYTHONPATH.
            [python, "-I", "-c", script]
            + [os.path.abspath(path), inputs_path, outputs_path],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{path} cannot be loaded:\n{done.stderr}")
        with np.load(outputs_path) as outputs:
            return dict(outputs)
