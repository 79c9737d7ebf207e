"""A model that is ready to use, whatever its format.

    model = load_model("exports/strong")
    events = model.predict("recording.wav")
    events.to_dataframe()

Files may be of any format, rate and length. `patch_stream.py` says what frames
are, `score_stream.py` what happens to odd audio.
"""

import os
from typing import NamedTuple

import numpy as np

from audioset_strong.inference.engines import Engine, load_engine
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.inference.score_stream import Progress, stream_scores


class Scores(NamedTuple):
    """Scores of one recording over time (`patch_stream.py`).

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
        audio: str | os.PathLike[str] | np.ndarray,
        sample_rate: float | None = None,
        hop_seconds: float = 0.96,
        progress: Progress | None = None,
    ) -> Scores:
        """Scores a recording; all scores and embeddings are in memory then.

        `stream_scores` gives them piece by piece, and has the same arguments
        and errors.
        """
        stream = stream_scores(self, audio, hop_seconds, sample_rate, progress)
        scores, embeddings = zip(*stream, strict=True)
        return Scores(
            np.concatenate(scores),
            np.concatenate(embeddings),
            hop_seconds,
            stream.audio_seconds,
            stream.notes,
        )


def load_model(path: str) -> SoundModel:
    """Loads an exported model of any format.

    Raises:
      InputError: There is no model, or what its format needs is not installed.
    """
    return SoundModel(*load_engine(path))
