"""A model that is ready to use, whatever its format.

    model = load_model("exports/strong")
    events = model.predict("recording.wav")
    events.to_dataframe()

Scores over time are frames of `hop_seconds`: frame i stands for the audio from
second i * hop_seconds to second (i + 1) * hop_seconds. It is scored from one
patch, 0.96 s of audio around the middle of the frame; before the start and
after the end of the audio there is silence. With the default hop of 0.96 s
patches do not overlap, and frames are the label frames of a clip. All audio is
heard: the number of frames is `num_frames(num_samples)`.
"""

import math
from typing import NamedTuple

import numpy as np

from audioset_strong.audio.decode import decode_audio
from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.inference.engines import Engine, load_engine
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.params import FeatureParams


def num_frames(
    num_samples: int, features: FeatureParams, hop_stft_frames: int
) -> int:
    """Number of frames that hear all of a waveform, at least 1.

    What the last STFT window of a patch reaches into the next is heard.
    """
    hop_samples = hop_stft_frames * features.stft_hop_samples
    overlap = features.stft_window_samples - features.stft_hop_samples
    return max(1, math.ceil((num_samples - overlap) / hop_samples))


def samples_before(features: FeatureParams, hop_stft_frames: int) -> int:
    """Number of zeros before the waveform, so that patches are centred."""
    num_before = features.patch_stft_frames - hop_stft_frames
    return num_before * features.stft_hop_samples // 2


class Scores(NamedTuple):
    """Scores of one recording over time (module docstring).

    Attributes:
      scores: float32 `[num_frames, num_classes]`, in [0, 1].
      embeddings: float32 `[num_frames, embedding_size]`.
      hop_seconds: Length and hop of a frame.
      audio_seconds: Length of the recording.
      notes: What is odd about the audio, such as "truncated: ..." or "silent:
        ...", a line each.
    """

    scores: np.ndarray
    embeddings: np.ndarray
    hop_seconds: float
    audio_seconds: float
    notes: tuple[str, ...] = ()


class SoundModel:
    """An exported model, its classes and its front end.

    Attributes:
      metadata: What the model says of itself.
      score_patches: Its engine.
    """

    def __init__(self, metadata: ModelMetadata, engine: Engine) -> None:
        self.metadata = metadata
        self.score_patches = engine

    def score(
        self,
        audio: str | np.ndarray,
        sample_rate: int | None = None,
        hop_seconds: float = 0.96,
    ) -> Scores:
        """Scores a recording.

        Args:
          audio: Path of a file of any format, or float `[num_samples]`.
          sample_rate: Of the waveform; None for that of the model.
          hop_seconds: Length of a frame, a multiple of 0.01 s in [0.1, 0.96].
        """
        features = self.metadata.features
        assert isinstance(audio, str) or sample_rate is None
        waveform = (
            decode_audio(audio, features.sample_rate).waveform
            if isinstance(audio, str)
            else audio
        )
        hop = round(hop_seconds / features.stft_hop_seconds)
        count = num_frames(len(waveform), features, hop)
        before = samples_before(features, hop)
        last = (count - 1) * hop * features.stft_hop_samples
        after = last + features.patch_window_samples - before - len(waveform)
        log_mel = waveform_to_log_mel(
            np.pad(waveform, (before, max(after, 0))), features
        )
        patches = np.lib.stride_tricks.sliding_window_view(
            log_mel, features.patch_stft_frames, axis=0
        )[: (count - 1) * hop + 1 : hop].swapaxes(1, 2)
        outputs = self.score_patches(np.ascontiguousarray(patches))
        return Scores(
            outputs.scores,
            outputs.embeddings,
            hop_seconds,
            len(waveform) / features.sample_rate,
        )


def load_model(path: str) -> SoundModel:
    """Loads an exported model of any format.

    Raises:
      InputError: There is no model, or what its format needs is not installed.
    """
    return SoundModel(*load_engine(path))
