"""Training, on any number of devices, resumable at any step.

trainer.py    the training loop, from top to bottom
strategy.py   devices, what each of them reads, and determinism
workdir.py    the folder of a run: settings, checkpoints, metrics
"""
