"""Audio as AudioSet downloads have it: ten-second stereo FLAC at 44.1 kHz."""

import pathlib

import numpy as np
import soundfile

SAMPLE_RATE = 44100
SECONDS = 10


def write_clips(folder: pathlib.Path, num_clips: int) -> list[str]:
    """Writes clips, those that are not there, and returns their paths.

    Each is a chord of decaying tones over pink noise, of another pitch: FLAC
    takes about as long to decode as it does for music, which it does not for
    white noise or for silence.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(num_clips):
        path = folder / f"clip{number:07d}.flac"
        if not path.exists():
            samples = _make_clip(np.random.default_rng(number))
            soundfile.write(path, samples, SAMPLE_RATE)
        paths.append(str(path))
    return paths


def _make_clip(rng: np.random.Generator) -> np.ndarray:
    """Makes samples: float32 `[num_samples, 2]`, in [-1, 1]."""
    num_samples = SECONDS * SAMPLE_RATE
    seconds = np.arange(num_samples) / SAMPLE_RATE
    spectrum = np.fft.rfft(rng.standard_normal([2, num_samples]))
    pink = np.fft.irfft(spectrum / np.sqrt(1 + np.arange(spectrum.shape[1])))
    clip = 0.05 * pink / pink.std()
    for pitch in rng.uniform(100, 4000, size=6):
        decay = np.exp(-((seconds * 2) % 1.0) * 4)
        tone = 0.1 * decay * np.sin(2 * np.pi * pitch * seconds)
        clip += np.outer(rng.uniform(0.2, 1, size=2), tone)
    return np.clip(clip, -1, 1).T.astype(np.float32)
