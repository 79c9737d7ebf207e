"""Settings of the simulated release."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class SoundscapeParams:
    """The simulated release: soundscapes and their annotators.

    Attributes:
      num_weak_clips: Training clips with weak labels only.
      num_strong_clips: Training clips with weak and strong labels.
      num_eval_clips: Evaluation clips, with both.
      seed: Of everything.
      min_events: Fewest events of a clip.
      max_events: Most events of a clip.
      min_event_seconds: Shortest event.
      max_event_seconds: Longest event.
      min_snr_db: Quietest event over the background, by RMS.
      max_snr_db: Loudest event over the background.
      class_imbalance: Exponent of Zipf's law for the class frequencies: 0 is a
        fixed balance, which would hide the problem that the paper solves.
      weak_recall: Chance that weak annotators are asked about a class that is
        in the clip, on average; the others become missing positives. Higher
        for long and loud sounds.
      weak_parent_share: Chance that they are asked about the parent of the
        class instead.
      strong_jitter_seconds: Standard deviation of marked onsets and offsets.
      num_explicit_negatives: Clips of the evaluation set that annotators mark
        as without a class, per class.
      held_out_fraction: Share of the clips with strong labels that training
        will hold out; their sounds come from the validation split.
    """

    num_weak_clips: int = 4000
    num_strong_clips: int = 400
    num_eval_clips: int = 400
    seed: int = 0
    min_events: int = 1
    max_events: int = 5
    min_event_seconds: float = 0.2
    max_event_seconds: float = 4.0
    min_snr_db: float = -5.0
    max_snr_db: float = 20.0
    class_imbalance: float = 0.7
    weak_recall: float = 0.6
    weak_parent_share: float = 0.25
    strong_jitter_seconds: float = 0.05
    num_explicit_negatives: int = 15
    held_out_fraction: float = 0.05
