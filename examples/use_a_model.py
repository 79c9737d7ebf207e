"""Finds events in a recording with an exported model.

python examples/use_a_model.py exports/strong recording.wav
"""

import sys

import numpy as np
import soundfile
import soxr

import audioset_strong as aus

export = aus.load_export(sys.argv[1])
samples, sample_rate = soundfile.read(sys.argv[2], always_2d=True)
# Mono, at the model's sample rate.
waveform = soxr.resample(
    samples.mean(axis=1), sample_rate, export.features.sample_rate
)
outputs = export.model(waveform.astype(np.float32))
scores = outputs["scores"].numpy()  # [num_patches, num_classes]

for index in np.argsort(-scores.max(axis=0))[:5]:
    patch = scores[:, index].argmax()
    print(
        f"{export.class_map.display_names[index]:30} "
        f"{scores[patch, index]:.2f} at {0.96 * patch:.2f} s"
    )
