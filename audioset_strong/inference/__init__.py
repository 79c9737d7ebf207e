"""Using a trained model.

scoring.py          scores every label frame of records -> a score file
saved_model.py      exports a SavedModel that takes a waveform, and loads it
event_decoding.py   scores of label frames -> events with times
"""
