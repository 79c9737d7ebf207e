"""Rounds weights to 8 bits.

Weights alone are rounded; activations stay float32, so that the size of a file
shrinks and its errors stay small. Each output channel has a scale of its own,
because those of folded batch norm differ by orders of magnitude.

Source: Jacob et al., "Quantization and training of neural networks for
efficient integer-arithmetic-only inference"; symmetric, as TFLite's
specification of 8-bit quantization has it for weights.
"""

import numpy as np

# Smaller tensors stay float32, as with TFLite's own converter: biases, and
# kernels that save less than they cost.
MIN_WEIGHTS = 1024


def quantize_to_int8(
    weights: np.ndarray, axis: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rounds weights.

    Args:
      weights: float32, any shape.
      axis: That of output channels.

    Returns:
      rounded: int8 of the same shape, in [-127, 127].
      scales: float32 `[channels]`; weights are about `rounded * scales`.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    largest = np.abs(weights).max(axis=others, keepdims=True)
    scales = np.where(largest > 0, largest, 1.0) / np.float32(127.0)
    rounded = np.rint(weights / scales).astype(np.int8)
    return rounded, scales.reshape(-1).astype(np.float32)
