"""Reads TFRecords as they are scored: all label frames of each clip.

python examples/read_records.py records/eval
"""

import sys

import audioset_strong as aus

records = aus.read_records(sys.argv[1])
groups = sorted({shard.group for shard in records.shards})
for batch in aus.label_frame_batches(records, groups).take(1):
    for name, tensor in batch.items():
        print(name, tensor.dtype, tensor.shape)
