"""Training, on any number of devices, resumable at any step.

trainer.py        the training loop, from top to bottom
step.py           one step: forward, backward, update
optimizer.py      Adam, its learning rate, clipping
augmentation.py   what changes training examples at random
strategy.py       devices, what each of them reads, and determinism
validation.py     the metrics that choose the checkpoint
workdir.py        the folder of a run and its settings
checkpoints.py    its states, written whole and verified
metrics_log.py    its metrics, as JSON lines and for TensorBoard
progress.py       what the console shows
shown_clips.py    a few held-out clips, drawn for TensorBoard
"""
