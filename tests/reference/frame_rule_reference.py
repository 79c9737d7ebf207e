"""The frame rule by its words, on a raster of milliseconds."""


def frame_targets_reference(events_ms):
    """Returns which of ten label frames (onset, offset) pairs make positive.

    A label frame is positive if one event fills at least half of it, or if it
    holds at least half of one event.
    """
    is_positive = [False] * 10
    for onset, offset in events_ms:
        event = set(range(onset, offset))
        for frame in range(10):
            window = set(range(frame * 960, (frame + 1) * 960))
            shared = len(event & window)
            fills_window = 2 * shared >= len(window)
            holds_event = 2 * shared >= len(event)
            if fills_window or holds_event:
                is_positive[frame] = True
    return is_positive
