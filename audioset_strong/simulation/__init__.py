"""The simulated release: a small AudioSet that anybody may make.

  sounds        synthesizers of twenty kinds of sounds
  sources       isolated sounds: synthetic ones or ESC-50's, and their classes
  soundscapes   ten-second clips mixed from isolated sounds
  annotators    simulated people who label the clips, weakly and strongly
  release       the folder: audio and label files in the official formats

Needs no TensorFlow.
"""
