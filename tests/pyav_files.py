"""Encodes audio with PyAV, for tests of formats that libsndfile does not write.

Tests that import this are skipped where PyAV is not installed.
"""

import fractions
import pathlib
import tempfile

import numpy as np
import pytest

av = pytest.importorskip("av")

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
# FFmpeg's muxer and encoder for each extension.
_CODECS = {
    "m4a": ("ipod", "aac"),
    "mp4": ("mp4", "aac"),
    "webm": ("webm", "libopus"),
    "mka": ("matroska", "flac"),
    "opus": ("ogg", "libopus"),
    "oga": ("ogg", "flac"),
    "mp3": ("mp3", "libmp3lame"),
    "aac": ("adts", "aac"),
    "mp2": ("mp2", "mp2"),
    "wv": ("wv", "wavpack"),
    "tta": ("tta", "tta"),
    "flv": ("flv", "aac"),
    "avi": ("avi", "libmp3lame"),
    "ts": ("mpegts", "aac"),
}


def encode_with_pyav(
    samples, sample_rate, extension, delay=0.0, has_video=False, **options
):
    """Returns a file as bytes.

    Args:
      samples: `[num_samples, num_channels]`, in [-1, 1].
      sample_rate: In Hz.
      extension: A key of `_CODECS`, which chooses the format.
      delay: When the audio begins, in seconds.
      has_video: Whether there are two seconds of pictures, from zero on.
      **options: Of FFmpeg's muxer.
    """
    muxer, codec = _CODECS[extension]
    layout = _LAYOUTS[samples.shape[1]]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "audio"
        with av.open(path, "w", format=muxer, options=options) as output:
            stream = output.add_stream(codec, rate=sample_rate, layout=layout)
            packets = []
            if has_video:
                video = output.add_stream(
                    "libvpx" if muxer == "webm" else "mpeg4", rate=5
                )
                video.width = video.height = 32
                for number in range(10):
                    picture = np.full((32, 32, 3), number, np.uint8)
                    picture = av.VideoFrame.from_ndarray(picture)
                    picture.pts = number
                    picture.time_base = fractions.Fraction(1, 5)
                    packets += video.encode(picture)
                packets += video.encode(None)
            planes = np.ascontiguousarray(samples.T, dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(planes, "fltp", layout)
            frame.sample_rate = sample_rate
            frame.pts = round(delay * sample_rate)
            frame.time_base = fractions.Fraction(1, sample_rate)
            packets += (*stream.encode(frame), *stream.encode(None))
            packets.sort(key=lambda p: (p.dts or 0) * p.time_base)
            for packet in packets:
                output.mux(packet)
        return path.read_bytes()
