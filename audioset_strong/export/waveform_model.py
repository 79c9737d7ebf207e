"""The model that a SavedModel holds: from a waveform to scores, in one graph.

Loaded with `tf.saved_model.load` or `hub.load` it is called as YAMNet is:

    scores, embeddings, log_mel = model(waveform)
      waveform     float32 [num_samples], mono, 16 kHz, in [-1, 1], any length
      scores       float32 [num_patches, num_classes], in [0, 1]
      embeddings   float32 [num_patches, embedding_size]
      log_mel      float32 [num_stft_frames, 64], one row for each 0.01 s of
                   the waveform, so that an image of it lies under a plot of it

Patch i covers 0.96 s of audio from second 0.96 i on, as the label frames of a
clip do. The last one is padded with zeros, so that every sample is heard. What
else can be called, and as a signature of the same name too:

    batch(waveforms, lengths)            waveforms of any length beside each
                                         other
    clip_scores(waveform)                the mean of `scores`
    finer_hop(waveform, hop_seconds)     patches that overlap
    score_patches(patches)               the network alone
    class_map_path(), metadata()         strings; no signatures

Long waveforms are scored block by block, so that memory holds their samples and
their results. A waveform with NaN, infinite samples or samples far outside of
[-1, 1], and one that holds whole numbers, as integer samples turned to float
do, fails with `InvalidArgumentError`. So does, or with `TypeError` or
`ValueError`, one of integers or of two dimensions.
"""

from typing import Any

import keras
import tensorflow as tf

from audioset_strong.audio.log_mel_graph import waveform_to_log_mel
from audioset_strong.inference.metadata import ModelMetadata

# Patches scored at a time: enough to keep a CPU busy, and little memory
# (`experiments/results/export.md`).
_BLOCK_PATCHES = 32

# Samples may exceed full scale, as those of lossy codecs and of sums do; beyond
# 20 dB of that they were not divided by 32768.
_MAX_SAMPLE = 10.0

# The finest hop; patches of 0.96 s say nothing finer.
_MIN_HOP_SECONDS = 0.1

# Samples are counted in int32, which has room for 37 hours.
_MAX_SAMPLES = 2**31 - 2**20

# What the network gives, in the order of `score_patches`.
_OUTPUTS = ("logits", "embeddings")

_WAVEFORM = tf.TensorSpec([None], tf.float32, name="waveform")


def _function(*specs: tf.TensorSpec) -> Any:
    """Makes a graph of a function, without autograph, which is slow."""
    return tf.function(input_signature=specs, autograph=False)


class WaveformClassifier(tf.Module):  # type: ignore[misc]  # an untyped base
    """The whole way from a waveform to scores, as in the module docstring."""

    def __init__(
        self,
        classifier: keras.Model,
        metadata: ModelMetadata,
        class_map_path: str,
    ) -> None:
        """Wraps a network.

        Args:
          classifier: From patches to `logits` and `embeddings`.
          metadata: What the export says of itself.
          class_map_path: CSV that is copied into the export.
        """
        super().__init__()
        self._classifier = classifier
        # The converter to TFLite finds no variables of Keras's own class.
        self._tracked = [variable.value for variable in classifier.variables]
        self._features = metadata.features
        self._class_map = tf.saved_model.Asset(class_map_path)
        self._metadata = tf.constant(metadata.to_json())
        patch_shape = [
            None,
            self._features.patch_stft_frames,
            self._features.mel_bands,
        ]
        # Traced once and called by all the others.
        self.score_patches = _function(
            tf.TensorSpec(patch_shape, tf.float32, name="patches")
        )(self._score_patches)

    @_function(_WAVEFORM)  # type: ignore[untyped-decorator]
    def __call__(
        self, waveform: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Scores a waveform: scores, embeddings and log-mel."""
        return self._score_waveform(_checked(waveform), _BLOCK_PATCHES)

    def score_at_once(
        self, waveform: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Does what a call does, without checks and without a loop.

        For formats that have neither; the memory grows with the waveform.
        """
        return self._score_waveform(waveform, None)

    @_function(_WAVEFORM)  # type: ignore[untyped-decorator]
    def clip_scores(self, waveform: tf.Tensor) -> tf.Tensor:
        """Scores a waveform as a whole: float32 `[num_classes]`, the mean."""
        scores, _, _ = self(waveform)
        return tf.reduce_mean(scores, axis=0)

    @_function(  # type: ignore[untyped-decorator]
        tf.TensorSpec([None, None], tf.float32, name="waveforms"),
        tf.TensorSpec([None], tf.int32, name="lengths"),
    )
    def batch(
        self, waveforms: tf.Tensor, lengths: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Scores several waveforms, each as it would be scored alone.

        Args:
          waveforms: float32 `[batch, num_samples]`; what comes after a
            waveform's length is not looked at.
          lengths: int32 `[batch]`, number of samples of each.

        Returns:
          scores: float32 `[batch, most_patches, num_classes]`; zeros after the
            last patch of a waveform.
          embeddings: float32 `[batch, most_patches, embedding_size]`, likewise.
          num_patches: int32 `[batch]`, number of patches of each.
        """
        num_waveforms, num_samples = tf.unstack(tf.shape(waveforms))
        with tf.control_dependencies(
            [
                tf.debugging.Assert(
                    (num_waveforms > 0)
                    & (tf.size(lengths) == num_waveforms)
                    & tf.reduce_all((lengths >= 0) & (lengths <= num_samples)),
                    [
                        "lengths must be one for each row of waveforms, from 0 "
                        "to the number of its columns. Received: lengths",
                        lengths,
                        "and waveforms of shape",
                        tf.shape(waveforms),
                    ],
                )
            ]
        ):
            is_heard = tf.sequence_mask(lengths, num_samples)
        # [batch, num_samples]
        heard = _checked(tf.where(is_heard, waveforms, 0.0))
        hop = self._features.patch_stft_frames
        most_patches = self._num_frames(num_samples, hop)
        padded_samples = self._samples_of(most_patches, hop)
        padded = tf.pad(heard, [[0, 0], [0, padded_samples - num_samples]])
        # [batch, padded_samples]
        num_patches = self._num_frames(lengths, hop)
        places = tf.where(tf.sequence_mask(num_patches, most_patches))
        # [num_patches_of_all, 2]: which waveform, which patch
        which, patch = tf.unstack(tf.cast(places, tf.int32), axis=1)
        hop_samples = hop * self._features.stft_hop_samples
        scores, embeddings = self._score_at(
            tf.reshape(padded, [-1]),
            which * padded_samples + patch * hop_samples,
            _BLOCK_PATCHES,
            with_patches=False,
        )
        return {
            name: tf.scatter_nd(
                places,
                values,
                tf.cast(
                    [num_waveforms, most_patches, values.shape[1]], tf.int64
                ),
            )
            for name, values in (("scores", scores), ("embeddings", embeddings))
        } | {"num_patches": num_patches}

    @_function(  # type: ignore[untyped-decorator]
        _WAVEFORM, tf.TensorSpec([], tf.float32, name="hop_seconds")
    )
    def finer_hop(
        self, waveform: tf.Tensor, hop_seconds: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Scores a waveform at overlapping patches.

        Frame i stands for the audio from second i * hop_seconds to second
        (i + 1) * hop_seconds and is scored from the patch around its middle,
        with silence before the start and after the end.

        Args:
          waveform: float32 `[num_samples]`.
          hop_seconds: float32, a multiple of 0.01 s from 0.1 to 0.96 s.

        Returns:
          scores: float32 `[num_frames, num_classes]`.
          embeddings: float32 `[num_frames, embedding_size]`.
        """
        features = self._features
        hop_of_seconds = hop_seconds / features.stft_hop_seconds
        hop = tf.cast(tf.round(hop_of_seconds), tf.int32)  # STFT frames
        least = round(_MIN_HOP_SECONDS / features.stft_hop_seconds)
        with tf.control_dependencies(
            [
                tf.debugging.Assert(
                    # Room for the rounding of float32.
                    (tf.abs(hop_of_seconds - tf.cast(hop, tf.float32)) < 1e-3)
                    & (hop >= least)
                    & (hop <= features.patch_stft_frames),
                    [
                        f"hop_seconds must be a multiple of "
                        f"{features.stft_hop_seconds} from {_MIN_HOP_SECONDS} "
                        f"to {features.patch_window_seconds}. Received:",
                        hop_seconds,
                    ],
                )
            ]
        ):
            hop = tf.identity(hop)
        num_samples = tf.size(waveform)
        count = self._num_frames(num_samples, hop)
        missing = features.patch_stft_frames - hop
        before = missing * features.stft_hop_samples // 2
        after = (
            self._samples_of(count, hop)
            + missing * features.stft_hop_samples
            - before
            - num_samples
        )
        scores, embeddings = self._score_at(
            tf.pad(_checked(waveform), [[before, after]]),
            tf.range(count) * hop * features.stft_hop_samples,
            _BLOCK_PATCHES,
            with_patches=False,
        )
        return {"scores": scores, "embeddings": embeddings}

    @_function()  # type: ignore[untyped-decorator]
    def class_map_path(self) -> tf.Tensor:
        """Returns the path of the class map inside the export."""
        return self._class_map.asset_path

    @_function()  # type: ignore[untyped-decorator]
    def metadata(self) -> tf.Tensor:
        """Returns what `ModelMetadata.to_json` wrote."""
        return self._metadata

    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """Returns the signatures, whose outputs have names."""

        def named(
            function: tf.types.experimental.GenericFunction, *names: str
        ) -> tf.types.experimental.GenericFunction:
            def call(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
                outputs = function(*inputs)
                if len(names) == 1:
                    outputs = (outputs,)
                return dict(zip(names, outputs, strict=True))

            return _function(*function.input_signature)(call)

        return {
            "serving_default": named(
                self.__call__, "scores", "embeddings", "log_mel"
            ),
            "clip_scores": named(self.clip_scores, "clip_scores"),
            "batch": self.batch,
            "finer_hop": self.finer_hop,
            "score_patches": named(self.score_patches, "scores", "embeddings"),
        }

    def _score_patches(self, patches: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores patches: their scores and embeddings (`engines.py`)."""
        outputs = self._classifier(patches, training=False)
        return tf.sigmoid(outputs["logits"]), outputs["embeddings"]

    def _num_frames(
        self, num_samples: tf.Tensor, hop: tf.Tensor | int
    ) -> tf.Tensor:
        """Does what `inference.sound_model.num_frames` does, in the graph."""
        features = self._features
        overlap = features.stft_window_samples - features.stft_hop_samples
        hop_samples = hop * features.stft_hop_samples
        return tf.maximum(1, -((overlap - num_samples) // hop_samples))

    def _samples_of(self, count: tf.Tensor, hop: tf.Tensor | int) -> tf.Tensor:
        """Samples of so many frames, with what the last STFT window needs."""
        features = self._features
        overlap = features.stft_window_samples - features.stft_hop_samples
        return count * hop * features.stft_hop_samples + overlap

    def _score_waveform(
        self, waveform: tf.Tensor, block_patches: int | None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Scores a waveform at patches that do not overlap."""
        features = self._features
        hop = features.patch_stft_frames
        num_samples = tf.size(waveform)
        count = self._num_frames(num_samples, hop)
        missing = self._samples_of(count, hop) - num_samples
        scores, embeddings, patches = self._score_at(
            tf.pad(waveform, [[0, missing]]),
            tf.range(count) * (hop * features.stft_hop_samples),
            block_patches,
        )
        log_mel = tf.reshape(patches, [-1, features.mel_bands])
        # [num_patches * patch_stft_frames, mel_bands]; without the padding:
        inside = -(-num_samples // features.stft_hop_samples)
        return scores, embeddings, log_mel[: tf.maximum(1, inside)]

    def _score_at(
        self,
        samples: tf.Tensor,
        starts: tf.Tensor,
        block_patches: int | None,
        with_patches: bool = True,
    ) -> tuple[tf.Tensor, ...]:
        """Scores patches of a waveform.

        Args:
          samples: float32 `[num_samples]`.
          starts: int32 `[num_patches]`, first sample of each patch.
          block_patches: How many are scored at a time; None for all.
          with_patches: Whether to return the patches.

        Returns:
          scores, embeddings and perhaps the patches.
        """
        window = tf.range(self._features.patch_window_samples)

        def score(starts: tf.Tensor) -> tuple[tf.Tensor, ...]:
            windows = tf.gather(samples, starts[:, tf.newaxis] + window)
            # [num_patches, patch_window_samples]
            patches = waveform_to_log_mel(windows, self._features)
            # [num_patches, patch_stft_frames, mel_bands]
            outputs = self.score_patches(patches)
            return (*outputs, patches) if with_patches else tuple(outputs)

        if block_patches is None:
            return score(starts)
        num_patches = tf.size(starts)
        num_blocks = -(-num_patches // block_patches)
        # Of equal size, so that few patches are scored for nothing.
        block = -(-num_patches // num_blocks)
        missing = num_blocks * block - num_patches
        blocks = tf.reshape(tf.pad(starts, [[0, missing]]), [num_blocks, block])
        shapes = [self._classifier.output[n].shape for n in _OUTPUTS]
        if with_patches:
            shapes.append(self._classifier.input.shape)
        values = tf.map_fn(
            score,
            blocks,
            fn_output_signature=tuple(
                tf.TensorSpec(shape, tf.float32) for shape in shapes
            ),
            parallel_iterations=1,  # more would need more memory
        )  # [num_blocks, block, ...] each
        return tuple(
            tf.reshape(v, [-1, *shape[1:]])[:num_patches]
            for v, shape in zip(values, shapes, strict=True)
        )


def _checked(waveforms: tf.Tensor) -> tf.Tensor:
    """Returns float32 `[..., num_samples]` if it can be audio in [-1, 1]."""
    magnitude = tf.abs(waveforms)
    peak = tf.reduce_max(magnitude, axis=-1)
    is_whole = tf.reduce_all(waveforms == tf.round(waveforms), axis=-1)
    checks = [
        tf.debugging.Assert(
            tf.size(waveforms, out_type=tf.int64) <= _MAX_SAMPLES,
            ["waveform is longer than 37 hours. Score it in parts."],
        ),
        tf.debugging.Assert(
            tf.reduce_all(magnitude <= _MAX_SAMPLE),  # NaN fails too
            [
                "waveform must be finite and in [-1, 1]; overshoot up to "
                f"{_MAX_SAMPLE:g} is taken. Divide samples of 16 bits by "
                "32768. Received: largest magnitude",
                tf.reduce_max(magnitude),
                "and number of NaN",
                tf.reduce_sum(
                    tf.cast(tf.not_equal(waveforms, waveforms), tf.int32)
                ),
            ],
        ),
        # One at full scale only can be a square wave.
        tf.debugging.Assert(
            tf.reduce_all((peak <= 1.0) | ~is_whole),
            [
                "waveform must be in [-1, 1]; it holds whole numbers, as "
                "integer samples do. Divide samples of 16 bits by 32768. "
                "Received: largest magnitude",
                tf.reduce_max(magnitude),
            ],
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(waveforms)
