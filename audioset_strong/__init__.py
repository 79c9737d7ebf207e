"""Temporally-strong labels in audio event classification.

Reference implementation of Hershey et al., "The benefit of temporally-strong
labels in audio event classification" (ICASSP 2021).

The packages follow the data: `labels`, `features`, `records`, `models`,
`training`, `inference`, `evaluation`, with `simulation` for a small AudioSet
made from isolated sounds. The binaries beside them (`prepare_records`, `train`,
`score_records`, `evaluate`, ...) are run as `python -m audioset_strong.<name>`.
"""

import logging
import os

# Apache Beam warns, each time that it is imported, that it lacks what only
# Google's BigQuery needs.
logging.getLogger().addFilter(
    lambda record: not record.getMessage().startswith("apitools not found")
)

# TensorFlow prints notes about CPU instructions, absent accelerators and CUDA
# plug-ins as it starts, some of them as errors, which bury our own messages.
# What matters comes as exceptions too. Set here because it must happen before
# TensorFlow loads; a value that the user has set is kept.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# TensorFlow turns oneDNN's kernels on by itself for newer CPUs only; they are
# faster on older ones too (BUILD_NOTES.md "CPU kernels").
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"
