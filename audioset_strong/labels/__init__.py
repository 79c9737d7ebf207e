"""AudioSet labels: files, classes, label frames and training sets.

Needs NumPy and pandas only; TensorFlow is never imported from here.
"""
