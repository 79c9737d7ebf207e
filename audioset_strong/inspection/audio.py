"""A clip's sound and spectrogram, as files that a browser shows.

    audio.flac      what the model hears: mono, 16 kHz, 16 bits
    log_mel_0.png   what the model sees: a column for each STFT frame, a row for
    log_mel_1.png   each mel band, low bands at the bottom; a minute each
    overview.png    the same of longer audio, the highest of several columns

FLAC plays in every browser and is exact to the sample, so that lanes and sound
agree; MP3 and Opus add some milliseconds at the start. STFT frame i is drawn
around the middle of its window, at i * 0.01 s + 0.0125 s.

Audio is read, resampled and analysed in blocks, so that memory does not grow
with its length.
"""

import math
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from audioset_strong.audio.decode import (
    AudioError,
    decode_audio,
    stream_audio,
)
from audioset_strong.audio.log_mel import waveform_to_log_mel
from audioset_strong.audio.samples import ReadAudio
from audioset_strong.params import FeatureParams

# A whole number of samples at every usual rate, so that blocks join exactly.
_BLOCK_SECONDS = 300.0
_AT_END = ("too_short", "truncated")
_TILE_COLUMNS = 6000
_MAX_OVERVIEW_COLUMNS = 2000
# Log-mel of the loudest colour. Full scale reaches 5; music is mostly below 3.
_LOUDEST = 3.0


class Tile(NamedTuple):
    """A part of a spectrogram: file name, and where it lies in seconds."""

    name: str
    start_seconds: float
    end_seconds: float


class ClipAudio(NamedTuple):
    """What `write_clip_audio` wrote.

    Attributes:
      seconds: Length of the sound.
      tiles: The spectrogram, one tile after another.
      overview: All of it in one, or None if there is one tile.
      truncation: The evidence that the file ends too early, or "".
    """

    seconds: float
    tiles: list[Tile]
    overview: Tile | None
    truncation: str


def write_clip_audio(
    path: str,
    start_seconds: float,
    seconds: float | None,
    folder: str,
    features: FeatureParams = FeatureParams(),
) -> ClipAudio:
    """Writes the sound and spectrogram of a clip (module docstring).

    Args:
      path: The audio file.
      start_seconds: Where in it the clip begins.
      seconds: How long the clip is; None for all to the end.
      folder: Where to write; it exists.
      features: The front end.

    Raises:
      AudioError: The audio cannot be used.
    """
    rate, hop = features.sample_rate, features.stft_hop_samples
    num_samples = 0
    rest = np.zeros(0, np.float32)  # what the next STFT frames need
    waiting = np.zeros((0, features.mel_bands), np.float32)
    rows = _SpectrogramWriter(folder, features)
    read = ReadAudio()
    with soundfile.SoundFile(
        os.path.join(folder, "audio.flac"), "w", rate, 1, "PCM_16"
    ) as file:
        for block in _read_blocks(path, start_seconds, seconds, rate, read):
            num_samples += len(block)
            file.write(np.clip(block, -1, 1))
            heard = np.concatenate([rest, block])
            log_mel = waveform_to_log_mel(heard, features)
            rest = heard[len(log_mel) * hop :]
            waiting = np.concatenate([waiting, log_mel])
            while len(waiting) > _TILE_COLUMNS:
                rows.add(waiting[:_TILE_COLUMNS])
                waiting = waiting[_TILE_COLUMNS:]
    if len(waiting):
        rows.add(waiting)
    return ClipAudio(
        num_samples / rate, rows.tiles, rows.overview(), read.truncation
    )


def _read_blocks(
    path: str,
    start_seconds: float,
    seconds: float | None,
    sample_rate: int,
    read: ReadAudio,
) -> Iterator[npt.NDArray[np.float32]]:
    """Yields the samples of a clip, float32 `[num_samples]`, in blocks.

    `read` learns whether the end is missing.
    """
    if not start_seconds and seconds is None:
        yield from stream_audio(path, sample_rate, read)
        return
    # A part of a file, without what comes before where that can be skipped.
    end = math.inf if seconds is None else start_seconds + seconds
    start = start_seconds
    while start < end:
        length = min(_BLOCK_SECONDS, end - start)
        try:
            decoded = decode_audio(path, sample_rate, length, start)
        except AudioError as error:
            # The audio may end where a block does.
            if start > start_seconds and error.reason in _AT_END:
                return
            raise
        read.truncation = decoded.truncation
        yield decoded.waveform
        start += length
        if len(decoded.waveform) < length * sample_rate - 1:
            return


class _SpectrogramWriter:
    """Writes tiles, and keeps what the overview needs."""

    def __init__(self, folder: str, features: FeatureParams) -> None:
        self._folder, self._features = folder, features
        self.tiles: list[Tile] = []
        # The highest of every 10, 20, 40, ... columns: uint8 [mel_bands, n]
        self._pooled: list[npt.NDArray[np.uint8]] = []
        self._num_columns = 0

    def add(self, log_mel: npt.NDArray[np.float32]) -> None:
        """Writes a tile of float32 `[num_stft_frames, mel_bands]`."""
        quietest = math.log(self._features.log_offset)
        scaled = (log_mel - quietest) / (_LOUDEST - quietest)  # in [0, 1]
        colours = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
        image = colours.T[::-1]  # [mel_bands, num_stft_frames], low ones last
        self.tiles.append(
            self._write(
                f"log_mel_{len(self.tiles)}.png",
                image,
                self._num_columns,
                self._num_columns + len(log_mel),
            )
        )
        self._num_columns += len(log_mel)
        # Ten columns a second are enough of what is an hour wide.
        self._pooled.append(_highest_of(image, 10))

    def overview(self) -> Tile | None:
        """Writes the overview, unless there is one tile."""
        if len(self.tiles) < 2:
            return None
        pooled = np.concatenate(self._pooled, axis=1)
        factor = -(-pooled.shape[1] // _MAX_OVERVIEW_COLUMNS)
        image = _highest_of(pooled, factor)
        # The last column may stand for fewer.
        end = image.shape[1] * factor * 10
        return self._write("overview.png", image, 0, end)

    def _write(
        self, name: str, image: npt.NDArray[np.uint8], start: int, end: int
    ) -> Tile:
        """Writes an image of columns start to end."""
        # The page needs both, and nothing else does.
        from matplotlib import colormaps
        from PIL import Image

        picture = Image.fromarray(np.ascontiguousarray(image))
        rgb = colormaps["magma"](np.arange(256), bytes=True)[:, :3]
        picture.putpalette(rgb.tobytes())
        picture.save(os.path.join(self._folder, name), optimize=True)
        hop = self._features.stft_hop_seconds
        # From the middle of a window half a hop to both sides.
        before = (self._features.stft_window_seconds - hop) / 2
        return Tile(name, start * hop + before, end * hop + before)


def _highest_of(
    image: npt.NDArray[np.uint8], num_columns: int
) -> npt.NDArray[np.uint8]:
    """Takes the highest of every few columns of `[mel_bands, n]`."""
    starts = np.arange(0, image.shape[1], num_columns)
    pooled: npt.NDArray[np.uint8] = np.maximum.reduceat(image, starts, axis=1)
    return pooled
