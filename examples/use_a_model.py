"""Finds events in a recording with an exported model.

python examples/use_a_model.py exports/strong recording.wav
"""

import sys

import numpy as np

import audioset_strong as aus

model = aus.load_model(sys.argv[1])
events = model.predict(sys.argv[2])
print(events.to_dataframe().to_string(index=False))
print(*events.notes, sep="\n")  # what is odd about the audio

# The five highest scores, also those that are below the threshold.
scored = model.score(sys.argv[2])
scores = scored.scores  # [num_frames, num_classes]

for index in np.argsort(-scores.max(axis=0))[:5]:
    frame = scores[:, index].argmax()
    print(
        f"{model.metadata.class_map.display_names[index]:30} "
        f"{scores[frame, index]:.2f} at {scored.hop_seconds * frame:.2f} s"
    )
