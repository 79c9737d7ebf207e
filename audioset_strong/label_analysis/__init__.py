"""What the labels say, in numbers and figures: Sections 3.1 and 3.3.

Needs no TensorFlow.
"""
