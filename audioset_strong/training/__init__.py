"""Training, on any number of devices, resumable at any step.

trainer.py    the training loop, from top to bottom
strategy.py   devices, what each of them reads, and determinism
workdir.py    the folder of a run: settings and checkpoints
metrics_log.py   its metrics, as JSON lines and for TensorBoard
progress.py      what the console shows
shown_clips.py   a few held-out clips, drawn for TensorBoard
"""
