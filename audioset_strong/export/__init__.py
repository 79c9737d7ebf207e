"""From a trained run to files that run anywhere. Needs TensorFlow.

saved_model.py   the SavedModel that takes a waveform
model_card.py    README.md of an export: data, settings, metrics, limits
"""
