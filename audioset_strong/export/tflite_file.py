"""Writes TFLite files for LiteRT: from a waveform to scores and embeddings.

Two signatures, which share their weights and need built-in operators only:

    serving_default   waveform float32 [num_samples], mono, 16 kHz, in [-1, 1],
                      not checked -> scores, embeddings, log_mel
    score_patches     patches float32 [num_patches, 96, 64]
                      -> scores, embeddings

Patches, padding and outputs are those of the SavedModel (`waveform_model.py`).
`model.tflite` holds float32 weights, `model_float16.tflite` and
`model_int8.tflite` smaller ones, which are turned into float32 when the file is
loaded; only those of the network, the front end stays exact. We make the two
from the first: TFLite's own converter rounds the mel matrix too (an error of
0.04 in log-mel at 8 bits) and activations at each call, and since TensorFlow
2.21 writes operators that tflite-runtime does not know.

A file ends in an archive, as those of TFLite Task Library do: `unzip` takes
`metadata.json` and `class_names.txt`, one class a line, out of it.
"""

import os
import tempfile
import zipfile
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from audioset_strong.export.quantizing import MIN_WEIGHTS, quantize_to_int8
from audioset_strong.export.waveform_model import WaveformClassifier
from audioset_strong.inference.metadata import METADATA_FILE, ModelMetadata

# The function that scores patches; see `write_tflite`.
_PATCHES_SIGNATURE = "score_patches"


def write_tflite(
    classifier: keras.Model, metadata: ModelMetadata, folder: str
) -> None:
    """Writes the three files.

    Args:
      classifier: From patches to `logits` and `embeddings`, of plain layers.
      metadata: What the files say of themselves.
      folder: Where to.
    """
    converted = _convert(WaveformClassifier(classifier, metadata, ""))
    for name, model in (
        ("model.tflite", converted),
        ("model_float16.tflite", _with_smaller_weights(converted, "float16")),
        ("model_int8.tflite", _with_smaller_weights(converted, "int8")),
    ):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(model)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(METADATA_FILE, metadata.to_json())
            names = metadata.class_map.display_names
            archive.writestr(
                "class_names.txt", "".join(f"{name}\n" for name in names)
            )


def _convert(model: WaveformClassifier) -> bytes:
    """Converts the two functions to TFLite with float32 weights."""

    def score_waveform(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, embeddings, log_mel = model.score_at_once(waveform)
        return {"scores": scores, "embeddings": embeddings, "log_mel": log_mel}

    # Not the model itself, whose other functions TFLite cannot hold.
    holder = tf.Module()
    holder.variables_of_model = model.variables
    holder.score_waveform = tf.function(
        score_waveform,
        input_signature=[tf.TensorSpec([None], tf.float32, name="waveform")],
    )
    with tempfile.TemporaryDirectory() as folder:
        signatures = {
            "serving_default": holder.score_waveform,
            _PATCHES_SIGNATURE: model.signatures()[_PATCHES_SIGNATURE],
        }
        tf.saved_model.save(holder, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(signatures)
        )
        converted: bytes = converter.convert()
    return converted


def _with_smaller_weights(converted: bytes, dtype: str) -> bytes:
    """Makes the weights of the network float16 or int8, in all signatures.

    A `DEQUANTIZE` before each operator makes them float32 again.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    operators = schema.BuiltinOperator
    # Which axis of the weights of an operator is that of output channels.
    axes = {
        operators.CONV_2D: 0,
        operators.DEPTHWISE_CONV_2D: 3,
        operators.FULLY_CONNECTED: 0,
    }
    model = schema.ModelT.InitFromPackedBuf(converted, 0)
    codes = [
        max(code.builtinCode, code.deprecatedBuiltinCode)
        for code in model.operatorCodes
    ]

    def weights_of(graph: Any) -> dict[int, int]:
        """Index of each tensor of weights, with its axis."""
        return {
            op.inputs[1]: axes[codes[op.opcodeIndex]]
            for op in graph.operators
            if codes[op.opcodeIndex] in axes
        }

    # Those that the signature for patches uses are the network's.
    (patches_graph,) = [
        model.subgraphs[signature.subgraphIndex]
        for signature in model.signatureDefs
        if signature.signatureKey == _PATCHES_SIGNATURE.encode()
    ]
    of_network = {
        patches_graph.tensors[index].buffer
        for index in weights_of(patches_graph)
    }
    dequantize = schema.OperatorCodeT()
    dequantize.builtinCode = operators.DEQUANTIZE
    dequantize.deprecatedBuiltinCode = operators.DEQUANTIZE
    # Version 5 knows a scale for each channel.
    dequantize.version = 5 if dtype == "int8" else 3
    model.operatorCodes.append(dequantize)
    codes.append(operators.DEQUANTIZE)
    changed: dict[int, Any] = {}  # scales by buffer
    for graph in model.subgraphs:
        for index, axis in weights_of(graph).items():
            stored = graph.tensors[index]
            number = stored.buffer
            if number not in of_network:
                continue
            if number not in changed:
                buffer = model.buffers[number]
                values = np.frombuffer(buffer.data.tobytes(), np.float32)
                if values.size < MIN_WEIGHTS:
                    continue
                smaller, changed[number] = (
                    quantize_to_int8(values.reshape(stored.shape), axis)
                    if dtype == "int8"
                    else (values.astype(np.float16), None)
                )
                buffer.data = np.frombuffer(smaller.tobytes(), np.uint8)
            used = schema.TensorT()
            used.shape, used.type = stored.shape, schema.TensorType.FLOAT32
            used.name, used.buffer = stored.name + b"/float32", 0
            graph.tensors.append(used)
            stored.type = schema.TensorType.FLOAT16
            if dtype == "int8":
                stored.type = schema.TensorType.INT8
                stored.quantization = schema.QuantizationParametersT()
                stored.quantization.scale = changed[number]
                stored.quantization.zeroPoint = np.zeros(
                    len(changed[number]), np.int64
                )
                stored.quantization.quantizedDimension = axis
            for op in graph.operators:
                if codes[op.opcodeIndex] in axes and op.inputs[1] == index:
                    op.inputs = np.array(op.inputs)  # as read, is read-only
                    op.inputs[1] = len(graph.tensors) - 1
            op = schema.OperatorT()
            op.opcodeIndex = len(model.operatorCodes) - 1
            op.inputs = np.array([index], np.int32)
            op.outputs = np.array([len(graph.tensors) - 1], np.int32)
            op.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
            op.builtinOptions = schema.DequantizeOptionsT()
            graph.operators.insert(0, op)
    return _pack(model)


def _pack(model: Any) -> bytes:
    """Packs a `ModelT` of the schema."""
    import flatbuffers

    class AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
        """Aligns vectors to 16 bytes, as the schema asks of buffers."""

        def StartVector(
            self, elem_size: int, num_elements: int, alignment: int
        ) -> Any:
            return super().StartVector(
                elem_size, num_elements, max(alignment, 16)
            )

    builder = AlignedBuilder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
