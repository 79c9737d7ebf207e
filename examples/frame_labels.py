"""Frames strong labels on the paper's 960 ms grid.

python examples/frame_labels.py labels/audioset_eval_strong.tsv
"""

import sys

import audioset_strong as aus

# One row an event: segment_id, onset_seconds, offset_seconds, mid.
events = aus.read_strong_labels(sys.argv[1])

# One row a (clip, label frame, class): present where one event fills half of
# the frame or has half of itself in it; the clip's other label frames are
# complementary negatives of that class.
framed = aus.frame_strong_labels(events)
print(f"{len(events)} events -> {len(framed)} rows")
print(framed.head())

share = framed.groupby("mid")["is_present"].mean().sort_values()
print(f"Share of label frames that are positive, per class:\n{share}")
