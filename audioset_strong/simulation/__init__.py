"""The simulated release: a small AudioSet that anybody may make.

Soundscapes are mixed from isolated sounds, and simulated annotators label them
in the formats of the real files. Needs no TensorFlow.
"""
