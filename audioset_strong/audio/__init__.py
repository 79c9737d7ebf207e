"""From audio files to log-mel features.

listing.py       which files a folder holds, and which of them holds a clip
recordings.py    the files that labels of other tools name, and their lengths
formats.py       what a file is by its bytes, and whether its end is missing
decode.py        any file to 16 kHz mono, and why if that fails
samples.py       blocks of samples to mono, for both decoders
pyav_reader.py   what libsndfile does not read, by PyAV (FFmpeg)
containers.py    audio inside Parquet files and tars
container_labels.py  the labels beside it
faults.py        faults of decoded audio: silent, truncated, too long, ...
log_mel.py       waveform to log-mel in NumPy, for records
log_mel_graph.py the same in TensorFlow, for exported models
tfio_backend.py  decoding, resampling and log-mel with tensorflow-io
backends.py      chooses between the two ways from a file to log-mel
"""
