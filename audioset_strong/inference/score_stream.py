"""Scores a recording of any length, piece by piece.

    stream = stream_scores(model, "night.flac", hop_seconds=0.24)
    for outputs in stream:
        ...                      # scores [n, num_classes], embeddings
    stream.audio_seconds, stream.notes

A file is decoded, cut into patches and scored in blocks, so that memory does
not grow with its length. What comes of a recording depends on nothing but its
samples and the hop: blocks lie at places counted from its start.

Odd audio is scored, with a note: a cut file, silence, channels that cancel each
other, clipping, a low sample rate. What is no sound in [-1, 1] is refused: NaN,
and samples that look like integers stored as floats.
"""

import math
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from audioset_strong.audio.decode import (
    AudioError,
    describe_audio,
    stream_audio,
)
from audioset_strong.audio.faults import Level, find_faults
from audioset_strong.audio.samples import (
    BadSamplesError,
    ReadAudio,
    check_sample_rate,
    resample_blocks,
)
from audioset_strong.errors import InputError
from audioset_strong.inference.engines import PatchOutputs
from audioset_strong.inference.patch_stream import check_hop, stream_patches
from audioset_strong.params import AudioParams

if TYPE_CHECKING:
    from audioset_strong.inference.sound_model import SoundModel

# Called with the seconds that are done, and those of the whole recording if its
# header says how long it is.
Progress = Callable[[float, float | None], None]

# 40 dB over full scale. Recorders that store floats go over it by 20 dB at
# most; integers of 16 bits stored as floats reach 32,768.
_MAX_PEAK = 100.0

# 6 dB over full scale; decoders of lossy formats overshoot by less.
_LOUD_PEAK = 2.0

# Two channels with one silent are mixed to half of the peak. This is 12 dB less
# than what the mix of any channels has if they do not cancel each other.
_CANCELLED_SHARE = 0.25

# A waveform of more channels is most likely [num_channels, num_samples].
_MAX_CHANNELS = 32

# Samples of a waveform that are converted at a time.
_BLOCK_SAMPLES = 1 << 20


class ScoreStream:
    """Scores of one recording, in blocks: an iterator over `PatchOutputs`.

    Attributes:
      num_frames: Frames that were scored so far.
      audio_seconds: Length of the recording; known after the last block, and so
        are the notes.
      notes: What is odd about the audio, such as "truncated: ..." or "silent:
        ...".
    """

    def __init__(
        self,
        model: "SoundModel",
        waveform: Iterator[np.ndarray],
        read: ReadAudio,
        hop_stft_frames: int,
        progress: Progress | None,
    ) -> None:
        self.num_frames = 0
        self.audio_seconds = 0.0
        self.notes: tuple[str, ...] = ()
        self._outputs = self._score(
            model, waveform, read, hop_stft_frames, progress
        )

    def __iter__(self) -> Iterator[PatchOutputs]:
        return self._outputs

    def _score(
        self,
        model: "SoundModel",
        waveform: Iterator[np.ndarray],
        read: ReadAudio,
        hop: int,
        progress: Progress | None,
    ) -> Iterator[PatchOutputs]:
        features, level = model.metadata.features, Level()

        def measure() -> Iterator[np.ndarray]:
            for block in waveform:
                level.add(block)
                yield block

        for patches in stream_patches(measure(), features, hop):
            outputs = model.score_patches(patches)
            self.num_frames += len(patches)
            if progress:
                seconds = self.num_frames * hop * features.stft_hop_seconds
                progress(seconds, read.claimed_seconds)
            yield outputs
        self.audio_seconds = level.num_samples / features.sample_rate
        self.notes = _find_notes(read, level, features.sample_rate)


def stream_scores(
    model: "SoundModel",
    audio: str | os.PathLike[str] | np.ndarray,
    hop_seconds: float = 0.96,
    sample_rate: float | None = None,
    progress: Progress | None = None,
) -> ScoreStream:
    """Scores a recording in memory that does not grow with its length.

    Args:
      model: What scores it.
      audio: Path of a file of any format, or a waveform: float in [-1, 1], or
        int16, which is divided by 32,768; `[num_samples]` or
        `[num_samples, num_channels]`, which are mixed to mono.
      hop_seconds: Length of a frame, a multiple of 0.01 s in [0.1, 0.96].
      sample_rate: Of the waveform, in Hz; None for that of the model. A file
        has its own.
      progress: Called after each block, with the seconds that are done and
        those of the whole recording; None for the latter if a header does not
        say.

    Returns:
      An iterator over `PatchOutputs` of some frames each, in their order.

    Raises:
      InputError: The hop, or shape, type or rate of the waveform, is not as
        described; while iterating: it holds NaN, or integers as floats.
      AudioError: While iterating: the file cannot be used.
      OSError: While iterating: object storage does not answer.
    """
    features = model.metadata.features
    hop = check_hop(hop_seconds, features)
    read = ReadAudio()
    if isinstance(audio, str | os.PathLike):
        path = os.fspath(audio)
        if sample_rate is not None:
            raise InputError(
                f"sample_rate is for waveforms; a file has its own. Received: "
                f"{sample_rate} with {path}."
            )
        blocks = _read_file(path, features.sample_rate, read)
        return ScoreStream(model, blocks, read, hop, progress)
    waveform = _check_waveform(np.asarray(audio))
    read.sample_rate = _check_rate(sample_rate, features.sample_rate)
    read.num_channels = waveform.shape[1]
    read.claimed_seconds = len(waveform) / read.sample_rate
    blocks = resample_blocks(
        _read_waveform(waveform, read), read, features.sample_rate
    )
    return ScoreStream(model, blocks, read, hop, progress)


def _read_file(
    path: str, sample_rate: int, read: ReadAudio
) -> Iterator[np.ndarray]:
    """Decodes a file (`stream_audio`), and refuses what is no sound."""
    for block in stream_audio(path, sample_rate, read):
        if problem := _describe_range(read):
            raise AudioError("over_range", f"{path}: {problem}")
        yield block


def _read_waveform(
    waveform: np.ndarray, read: ReadAudio
) -> Iterator[np.ndarray]:
    """Does for `[num_samples, num_channels]` what decoders do for a file."""
    for start in range(0, len(waveform), _BLOCK_SAMPLES):
        block = waveform[start : start + _BLOCK_SAMPLES]
        with np.errstate(over="ignore"):  # infinite, which is refused
            samples = block.astype(np.float32)
        if waveform.dtype == np.int16:
            samples /= 32768
        try:
            mono = read.add(samples)  # [num_block_samples]
        except BadSamplesError as error:
            raise InputError(f"waveform: {error}.") from error
        if problem := _describe_range(read):
            raise InputError(f"waveform: {problem}.")
        yield mono


def _describe_range(read: ReadAudio) -> str:
    """Says why what was read is no sound, or nothing."""
    if read.file_peak <= _MAX_PEAK:
        return ""
    return (
        f"samples in [-1, 1] expected, they reach {read.file_peak:,.0f}, as "
        f"integers do that are stored as floats: divide them by 32768 if they "
        f"have 16 bits"
    )


def _check_waveform(waveform: np.ndarray) -> np.ndarray:
    """Returns it as `[num_samples, num_channels]`, of the same type."""
    is_floating = np.issubdtype(waveform.dtype, np.floating)
    if not is_floating and waveform.dtype != np.int16:
        raise InputError(
            f"waveform must be float in [-1, 1], or int16. Received: "
            f"dtype={waveform.dtype}."
        )
    samples = waveform[:, np.newaxis] if waveform.ndim == 1 else waveform
    if samples.ndim != 2 or not 1 <= samples.shape[1] <= _MAX_CHANNELS:
        raise InputError(
            f"waveform must be [num_samples] or [num_samples, num_channels], "
            f"with {_MAX_CHANNELS} channels at most. Received: "
            f"shape={waveform.shape}."
        )
    if not len(samples):
        raise InputError("waveform holds no samples.")
    return samples


def _check_rate(sample_rate: float | None, default: int) -> int:
    """Checks the rate of a waveform, in Hz."""
    if sample_rate is None:
        return default
    if not math.isfinite(sample_rate) or sample_rate % 1:
        raise InputError(
            f"sample_rate must be a whole number of Hz. Received: "
            f"{sample_rate}."
        )
    try:
        check_sample_rate(int(sample_rate))
    except BadSamplesError as error:
        raise InputError(f"waveform: {error}.") from error
    return int(sample_rate)


def _find_notes(
    read: ReadAudio, level: Level, sample_rate: int
) -> tuple[str, ...]:
    """Says what is odd about a recording that was read to its end."""
    audio = describe_audio(read, np.zeros(0, np.float32))
    # A cut file may be silent as well: nothing is left out here.
    params = AudioParams(leave_out_truncated=False)
    notes = find_faults(audio, None, sample_rate, params, level)
    share = level.peak * read.num_channels / max(read.file_peak, 1e-30)
    is_mixed = read.num_channels > 1 and "silent" not in notes
    if is_mixed and share < _CANCELLED_SHARE:
        notes["antiphase"] = (
            f"its {read.num_channels} channels peak at {read.file_peak:.2g}, "
            f"their mean at {level.peak:.2g}: they cancel each other, unless "
            f"all sound is above {sample_rate // 2:,} Hz"
        )
    if read.file_peak > _LOUD_PEAK:
        notes["over_range"] = (
            f"samples in [-1, 1] expected, they reach {read.file_peak:.3g}"
        )
    return tuple(f"{name}: {detail}" for name, detail in notes.items())
