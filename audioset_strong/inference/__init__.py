"""Using an exported model: from audio files to events.

Loads no TensorFlow, unless the model is a SavedModel.

metadata.py        what a model says of itself, in every format
engines.py         loads an export -> patches to scores
patch_stream.py    blocks of samples -> log-mel -> patches
score_stream.py    a recording of any length -> scores, piece by piece
sound_model.py     `load_model`, and the three lines of Python
event_decoding.py  scores over time -> events with times
events.py          the events of one recording, with their classes
event_files.py     events, scores and embeddings -> files of many kinds
"""
