"""Records: log-mel features and events of clips, written and read back.

schema.py    what a record holds; written and framed without TensorFlow
parse.py     records parsed in the TensorFlow graph
manifest.py  a finished folder: opened, checked, described, verified
audio_index.py  where the audio of each clip is, for any names
tasks.py     shards to write: plans, reports, and what must not be lost
plan.py      labels and audio joined into clips and shards
shard.py     one shard: audio -> features -> records -> a TFRecord file
pool.py      shards written by the processes of this machine
beam.py      shards written on a cluster, by a runner of Apache Beam
prepare.py   all of it: label files and audio -> shards and manifest
importing.py  labels of other tools and recordings -> the files that it reads
examples.py  records turned into training examples and label frames
shard_cache.py  local copies of remote shards, made ahead of the reader
streams.py   shards read as streams of batches
"""
