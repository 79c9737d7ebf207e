"""Training, on any number of devices, resumable at any step.

trainer.py        the training loop, from top to bottom
run.py            a run that is set up: devices, records, workdir, state
settings.py       checks of all settings
state.py          what a checkpoint holds, and its first values
warm_start.py     first values from another run
first_scores.py   first scores from the classes' shares of positives
step.py           one step: forward, backward, update
optimizer.py      Adam, its learning rate, clipping
averaging.py      moving averages of the weights
augmentation.py   what changes training examples at random
strategy.py       devices, what each of them reads, and determinism
validation.py     the metrics that choose the checkpoint
selection.py      the best checkpoint, and early stopping
finite.py         what ends a run that is no longer made of numbers
signals.py        SIGTERM and Ctrl-C
workdir.py        the folder of a run and its settings
workdir_copy.py   a workdir in object storage
checkpoints.py    its states, written whole and verified
metrics_log.py    its metrics, as JSON lines and for TensorBoard
progress.py       what the console shows
shown_clips.py    a few held-out clips, drawn for TensorBoard
"""
