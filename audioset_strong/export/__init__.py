"""From a trained run to files that run anywhere. Needs TensorFlow.

formats.py          a run -> the formats asked for, each compared with it
saved_model.py      the SavedModel
waveform_model.py   what it holds: from a waveform to scores
tflite_file.py      files for LiteRT
onnx_file.py        files for ONNX Runtime
quantizing.py       weights of 8 bits
elsewhere.py        runs a file in a process without this package
model_card.py       README.md of an export: data, settings, metrics, limits
"""
