"""What TensorBoard reads of a run."""

import os

from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)
from tensorboard.util.tensor_util import make_ndarray


def read_events(workdir):
    """TensorBoard's own reader of a run, without its sampling."""
    folder = os.path.join(workdir, "tensorboard")
    return EventAccumulator(folder, size_guidance={"tensors": 0}).Reload()


def read_points(workdir):
    """Steps and values of each tag, in TensorBoard's order."""
    events = read_events(workdir)
    return {
        tag: [
            (event.step, make_ndarray(event.tensor_proto).tolist())
            for event in events.Tensors(tag)
        ]
        for tag in events.Tags()["tensors"]
    }
