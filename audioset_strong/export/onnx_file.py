"""Writes ONNX files: from log-mel patches to scores and embeddings.

    patches      float32 [batch, 96, 64]
    scores       float32 [batch, num_classes], in [0, 1]
    embeddings   float32 [batch, embedding_size]

`model.onnx` holds float32 weights; `model_int8.onnx` those of 8 bits, with a
scale for each output channel, which `DequantizeLinear` turns into float32
before use, so that nothing else is rounded. The metadata property
"audioset_strong" is the model's metadata. Needs `tf2onnx` and `onnx`.
"""

import os
from typing import Any

import keras
import tensorflow as tf

from audioset_strong.export.quantizing import MIN_WEIGHTS, quantize_to_int8
from audioset_strong.inference.metadata import METADATA_KEY, ModelMetadata

# Of 2022: has per-channel DequantizeLinear (13), and runtimes of that age and
# later read it. tf2onnx writes up to 18.
_OPSET = 17

# Which axis of the second input of an operator is that of output channels.
_CHANNEL_AXES = {"Conv": 0, "MatMul": 1}


def write_onnx(
    network: keras.Model, metadata: ModelMetadata, folder: str
) -> None:
    """Writes `model.onnx` and `model_int8.onnx`.

    Args:
      network: From `patches` to a dict of `scores` and `embeddings`.
      metadata: What the files say of themselves.
      folder: Where to.
    """
    import onnx
    import tf2onnx

    def score_patches(patches: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = network(patches, training=False)
        return outputs

    specs = [tf.TensorSpec(network.input.shape, tf.float32, name="patches")]
    model, _ = tf2onnx.convert.from_function(
        tf.function(score_patches, input_signature=specs),
        input_signature=specs,
        opset=_OPSET,
    )
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.graph.value_info[:]  # shapes with tf2onnx's name of the batch
    onnx.helper.set_model_props(model, {METADATA_KEY: metadata.to_json()})
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(folder, "model.onnx"))
    _quantize(model)
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(folder, "model_int8.onnx"))


def _quantize(model: Any) -> None:
    """Replaces the weights of an `onnx.ModelProto` by those of 8 bits."""
    from onnx import helper, numpy_helper

    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        if node.op_type not in _CHANNEL_AXES:
            continue
        name, axis = node.input[1], _CHANNEL_AXES[node.op_type]
        values = numpy_helper.to_array(weights[name])
        if values.size < MIN_WEIGHTS:
            continue
        rounded, scales = quantize_to_int8(values, axis)
        weights[name].CopyFrom(numpy_helper.from_array(rounded, name))
        graph.initializer.append(
            numpy_helper.from_array(scales, f"{name}/scales")
        )
        node.input[1] = f"{name}/float32"
        graph.node.insert(
            0,
            helper.make_node(
                "DequantizeLinear",
                [name, f"{name}/scales"],
                [node.input[1]],
                axis=axis,
            ),
        )
