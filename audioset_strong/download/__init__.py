"""The official label files: what they are, fetching them, checking them.

Needs no TensorFlow.
"""
