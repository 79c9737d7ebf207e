"""The networks by name: what `ModelParams.model` can be.

Another network is one more line here (docs/extending.md). It is a function of
patches, float32 `[batch, patch_stft_frames, mel_bands, 1]`, and `ModelParams`.
It returns its last map, `[batch, height, width, channels]`, of any size; the
average over height and width is the embedding (`frame_classifier.py`). A
setting that means nothing for a network is refused there, not ignored.
"""

from collections.abc import Callable

import keras

from audioset_strong.models.mobilenet import mobilenet_v1
from audioset_strong.models.resnet import resnet50
from audioset_strong.params import ModelParams

NETWORKS: dict[
    str, Callable[[keras.KerasTensor, ModelParams], keras.KerasTensor]
] = {
    "mobilenet_v1": mobilenet_v1,
    "resnet50": resnet50,
}
