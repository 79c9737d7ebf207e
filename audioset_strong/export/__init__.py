"""From a trained run to files that run anywhere. Needs TensorFlow.

saved_model.py      a run -> a SavedModel, compared with it
waveform_model.py   what it holds: from a waveform to scores
model_card.py       README.md of an export: data, settings, metrics, limits
"""
