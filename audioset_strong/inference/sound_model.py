"""A model that is ready to use, whatever its format.

    model = load_model("exports/strong")
    events = model.predict("recording.wav")
    events.to_dataframe()

Files may be of any format, rate and length. `patch_stream.py` says what frames
are, `score_stream.py` what happens to odd audio.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audioset_strong.inference.engines import Engine, load_engine
from audioset_strong.inference.event_decoding import decode_events
from audioset_strong.inference.events import Events, find_classes_to_keep
from audioset_strong.inference.metadata import ModelMetadata
from audioset_strong.inference.score_stream import Progress, stream_scores
from audioset_strong.params import DecodingParams

# The small model that comes with the package.
STARTER = os.path.join(
    os.path.dirname(os.path.dirname(__file__)), "models", "starter"
)


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

    def predict(
        self,
        audio: str | os.PathLike[str] | np.ndarray,
        sample_rate: float | None = None,
        hop_seconds: float = 0.96,
        thresholds: np.ndarray | float | None = None,
        params: DecodingParams = DecodingParams(),
        classes: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Events:
        """Finds the events of a recording.

        Args:
          audio: Path of a file of any format and length, or a waveform: float
            in [-1, 1], or int16, which is divided by 32,768; `[num_samples]` or
            `[num_samples, num_channels]`, which are mixed to mono.
          sample_rate: Of the waveform, in Hz; None for that of the model.
          hop_seconds: Length of a frame, a multiple of 0.01 s in [0.1, 0.96].
          thresholds: Score that an event must reach, for all classes or
            `[num_classes]`; None for those of the model and, if it has none,
            `params.threshold`.
          params: How scores become events.
          classes: Ids or display names of the classes to look for; None for
            all.
          progress: As for `stream_scores`.

        Raises:
          InputError: An argument is not as described.
          AudioError: The file cannot be used.
          OSError: Object storage does not answer.
        """
        metadata = self.metadata
        if thresholds is None:
            thresholds = params.threshold
            if metadata.thresholds is not None:
                thresholds = np.array(metadata.thresholds)
        kept = None
        if classes is not None:
            kept = find_classes_to_keep(classes, metadata.class_map)
        stream = stream_scores(self, audio, hop_seconds, sample_rate, progress)
        # Embeddings of hours would be gigabytes.
        scores = np.concatenate([outputs.scores for outputs in stream])
        events = decode_events(
            *(scores, thresholds, hop_seconds, stream.audio_seconds),
            params=params,
            class_indices=kept,
        )
        return Events(
            tuple(events),
            metadata.class_map,
            stream.audio_seconds,
            stream.notes,
        )


def load_model(path: str | None = None) -> SoundModel:
    """Loads an exported model of any format.

    Args:
      path: As in `load_engine`; None for the small model of the package.

    Raises:
      InputError: There is no model, or what its format needs is not installed.
    """
    return SoundModel(*load_engine(STARTER if path is None else path))
