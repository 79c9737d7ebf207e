"""Settings of every stage: frozen dataclasses, saved as JSON and read back.

Each number is written here once. Settings are saved with whatever they made
(`manifest.json` beside records, `params.json` in a workdir, the metadata of an
exported model) and later stages read them from there. The attributes'
documentation is also the help text of the flags of the same names.

A saved setting that this version does not know is an error: to ignore it would
give other results without notice. One that was retired may be saved with the
value that did nothing.
"""

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from audioset_strong.errors import InputError
from audioset_strong.files import open_output, read_bytes

_Params = TypeVar("_Params")


@dataclasses.dataclass(frozen=True)
class LabelFrameParams:
    """The grid of label frames, and the rule that fills it.

    Source: Section 3.2 of the paper; grid and rule checked against the released
    framed file (BUILD_NOTES.md "Frame rule").

    Attributes:
      label_frame_seconds: Length and hop of a label frame.
      num_label_frames: Label frames of a clip; 10 x 0.96 s, so the last 0.4 s
        of a 10 s clip belongs to none.
      min_overlap: Share of the label frame that an event must fill, or share of
        the event that must lie inside, if the event is shorter.
      clip_seconds: Length of a clip.
    """

    label_frame_seconds: float = 0.96
    num_label_frames: int = 10
    min_overlap: float = 0.5
    clip_seconds: float = 10.0


@dataclasses.dataclass(frozen=True)
class FeatureParams:
    """Log-mel front end, with YAMNet's field names.

    Source: "CNN architectures for large-scale audio classification".

    Attributes:
      sample_rate: In Hz.
      stft_window_seconds: Length of the periodic Hann window.
      stft_hop_seconds: Hop between STFT frames.
      mel_bands: Number of mel bands.
      mel_min_hz: Lower edge of the lowest band.
      mel_max_hz: Upper edge of the highest band.
      log_offset: Added before the logarithm; 0.01 as in VGGish and the original
        AudioSet work (YAMNet: 0.001).
      patch_stft_frames: STFT frames of a patch, the model's input: 0.96 s.
    """

    sample_rate: int = 16000
    stft_window_seconds: float = 0.025
    stft_hop_seconds: float = 0.010
    mel_bands: int = 64
    mel_min_hz: float = 125.0
    mel_max_hz: float = 7500.0
    log_offset: float = 0.01
    patch_stft_frames: int = 96

    @property
    def stft_window_samples(self) -> int:
        """Samples of an STFT window."""
        return round(self.sample_rate * self.stft_window_seconds)

    @property
    def stft_hop_samples(self) -> int:
        """Samples between STFT frames."""
        return round(self.sample_rate * self.stft_hop_seconds)

    @property
    def fft_length(self) -> int:
        """Points of the FFT: the power of two that holds a window."""
        return 1 << (self.stft_window_samples - 1).bit_length()

    @property
    def patch_window_seconds(self) -> float:
        """Seconds from the first STFT frame of a patch to its end."""
        return self.patch_stft_frames * self.stft_hop_seconds

    @property
    def patch_window_samples(self) -> int:
        """Samples that one whole patch needs."""
        num_hops = self.patch_stft_frames - 1
        return num_hops * self.stft_hop_samples + self.stft_window_samples

    def num_stft_frames(self, num_samples: int) -> int:
        """Whole STFT frames in `num_samples`; nothing is padded."""
        if num_samples < self.stft_window_samples:
            return 0
        rest = num_samples - self.stft_window_samples
        return 1 + rest // self.stft_hop_samples


@dataclasses.dataclass(frozen=True)
class AudioParams:
    """How the audio of clips is decoded, and which faults exclude a clip.

    Files that are missing, empty, unreadable or shorter than one patch are
    always left out. Other faults are reported, and each has a setting that
    says whether it leads to leaving the clip out.

    Source: our choices (BUILD_NOTES.md "Audio in any state").

    Attributes:
      audio_backend: "soundfile" (libsndfile and soxr), or "tfio" for
        tensorflow-io's decoders.
      leave_out_truncated: Whether to leave out files that end earlier than
        their own header says.
      leave_out_silent: Whether to leave out clips without any sound.
      leave_out_long: Whether to leave out files that are longer than the clip,
        since nothing tells where in them the clip begins. If kept, they are
        cut after the clip's length.
      leave_out_short: Whether to leave out files that are shorter than the
        clip but hold at least one patch.
      leave_out_clipped: Whether to leave out clips that are distorted by
        clipping at full scale.
      silent_peak_dbfs: A clip is silent if its peak is not above this, in dB
        relative to full scale.
      clipped_fraction: A clip is clipped if at least this share of its samples
        is at full scale.
      length_tolerance_seconds: A file is long or short if it differs from the
        clip by more than this.
    """

    audio_backend: str = "soundfile"
    leave_out_truncated: bool = True
    leave_out_silent: bool = True
    leave_out_long: bool = True
    leave_out_short: bool = False
    leave_out_clipped: bool = False
    silent_peak_dbfs: float = -80.0
    clipped_fraction: float = 0.01
    length_tolerance_seconds: float = 0.5


@dataclasses.dataclass(frozen=True)
class LabelMappingParams:
    """How labels are moved to other classes before anything uses them.

    The paper uses labels "exactly as provided" (Section 3.1): all off.

    Source: `labels/label_mapping.py` describes each mapping and the reason.

    Attributes:
      smear_labels: Whether a positive label of a class counts for all its
        ancestors in the ontology, too.
      subsume_music: Whether descendants of Music become Music, except for those
        that the strong labels keep.
      canonicalize_mids: Whether the weak classes that the strong labels merged
        into a wider class become that class: Goose, Pink noise, Skidding, Toot.
    """

    smear_labels: bool = False
    subsume_music: bool = False
    canonicalize_mids: bool = False


@dataclasses.dataclass(frozen=True)
class RecordParams:
    """Which clips records hold, and how.

    Attributes:
      held_out_fraction: Share of the groups (ytids, recordings) with strong
        labels, or of all if there are none, that is held out for validation, by
        stable hash; 0 for evaluation data.
      clips_per_shard: Clips in a shard, on average. 1,000 clips are 130 MB, a
        size at which reading in parallel pays.
      clip_seconds: Length of a clip for which nothing else gives it, and the
        most that is used of one whose length a weak CSV gives; 0 for all to the
        end of the file.
      log_mel_dtype: How log-mel features are stored: "float16", or "uint8",
        which takes half as many bytes (`records/schema.py`).
    """

    held_out_fraction: float = 0.05
    clips_per_shard: int = 1000
    clip_seconds: float = 10.0
    log_mel_dtype: str = "float16"


@dataclasses.dataclass(frozen=True)
class ModelParams:
    """The network.

    Attributes:
      model: Name of the network (`models/networks.py`): "resnet50", that of the
        paper, or "mobilenet_v1", that of YAMNet.
      width: Factor on the number of filters of every convolution.
      stem_stride: Stride of the first convolution of "resnet50"; 1 in the
        paper's network. 2 makes a network small enough to train on a CPU.
      batch_norm_momentum: Share of the running statistics that each step keeps.
      batch_norm_epsilon: Added to the variance.
      sync_batch_norm: Whether replicas share their batch statistics.
      initial_score: Score of every class before training. Sets the bias of the
        last layer, so that the first steps are not spent on learning that most
        classes are rare.
    """

    model: str = "resnet50"
    width: float = 1.0
    stem_stride: int = 1
    # 0.9 and 1e-5 as in He et al.'s own ResNet.
    batch_norm_momentum: float = 0.9
    batch_norm_epsilon: float = 1e-5
    sync_batch_norm: bool = False
    initial_score: float = 0.01


@dataclasses.dataclass(frozen=True)
class TrainParams:
    """One training run.

    Attributes:
      training_set: The set that examples come from, unless they are mixed in:
        "weak" (every clip with weak labels), "weak_small" (weak labels of the
        clips that have strong ones), "diffuse" or "strong".
      mixed_training_set: The set that is mixed in with probability `mu`:
        "diffuse" or "strong"; "" for no mixing.
      mu: Probability that an example comes from `mixed_training_set`.
      strong_fraction: Share of the groups (ytids, recordings) with strong
        labels that "weak_small", "diffuse" and "strong" use, by stable hash; a
        larger share has all that a smaller one has. "weak" stays whole.
      strong_fraction_seed: Chooses which groups.
      num_steps: Optimizer updates.
      global_batch_size: Examples in each update, over all replicas.
      learning_rate: Of Adam, at its highest.
      learning_rate_decay: "constant", "cosine" to zero at `num_steps`, or
        "step": times `decay_factor` every `decay_interval_steps`.
      decay_interval_steps: Steps between two steps of the "step" decay.
      decay_factor: What each of them multiplies the learning rate by.
      warmup_steps: Steps over which the learning rate rises linearly from zero.
      mask_unlabelled_classes: Whether classes that the labels of a training set
        never mark are left out of the loss of its examples. Otherwise they
        count as negatives.
      shuffle_block_clips: Examples that are shuffled at a time, per source; 12
        KB of memory each.
      checkpoint_interval_steps: Steps between checkpoints, each with a
        validation.
      log_interval_steps: Steps between lines of metrics.
      selection_metric: Validation metric that chooses the best checkpoint:
        "strong_d_prime", "lwlrap" or "mAP".
      precision: Of the network's arithmetic: "float32", "bfloat16" or
        "float16", the last with loss scaling. Weights, logits and loss are
        float32.
      jit_compile: Whether XLA compiles the step.
      steps_per_call: Steps that one call of the host runs. More keep a fast
        device busy; signals are answered between calls.
      seed: Of weights, order, windows and mixing.
      deterministic: Whether to use deterministic kernels, so that a resumed run
        ends in the same bits as an unbroken one. One operation runs at a time
        then, which costs some speed on a CPU.
      deterministic_input: Whether equal runs read the same clips in the same
        order. If not, clips come as soon as they are ready, which is a little
        faster; a resumed run then skips as many examples as were used, but not
        the same ones, so in that pass some clips are seen twice and others not
        at all. Must be on if `deterministic` is.
      cache_dir: Local folder for copies of the shards, which are made ahead of
        the reader and kept while the disk has room; for records in object
        storage, where "" keeps no more than what is being read.
      strategy: "auto", "cpu", "gpu", "multi_worker" or "tpu"
        (`training/strategy.py`).
      warm_start_workdir: Run whose best checkpoint gives the first weights; ""
        for random ones.
      warm_start_classes: Which classes the run in `warm_start_workdir` may
        have: "same", the same in the same order; "match", others too, where
        classes of both runs keep their weights of the last layer and the others
        get new ones; "new", any, where the whole last layer is new.
    """

    training_set: str = "weak"
    mixed_training_set: str = ""
    mu: float = 0.0
    strong_fraction: float = 1.0
    strong_fraction_seed: int = 0
    num_steps: int = 10000
    global_batch_size: int = 128
    learning_rate: float = 1e-3
    learning_rate_decay: str = "constant"
    decay_interval_steps: int = 0
    decay_factor: float = 0.5
    warmup_steps: int = 0
    mask_unlabelled_classes: bool = False
    shuffle_block_clips: int = 1024
    checkpoint_interval_steps: int = 1000
    log_interval_steps: int = 50
    selection_metric: str = "strong_d_prime"
    precision: str = "float32"
    jit_compile: bool = False
    steps_per_call: int = 1
    seed: int = 0
    deterministic: bool = True
    deterministic_input: bool = True
    cache_dir: str = ""
    strategy: str = "auto"
    warm_start_workdir: str = ""
    warm_start_classes: str = "same"


@dataclasses.dataclass(frozen=True)
class RecipeParams:
    """What peers add to a training run, all off by default.

    Source: of each, at its code (`training/optimizer.py`,
    `training/augmentation.py`, `records/streams.py`).

    Attributes:
      weight_decay: Of AdamW: share of each kernel that an update takes away, in
        units of the learning rate.
      clip_norm: Most that the global norm of the gradients may be; 0 for any.
      ema_decay: Share of the averaged weights that each step keeps; 0 for no
        averaging. Averaged weights are those validated, kept as best and
        exported.
      initial_scores_from_labels: Whether the first scores are the classes'
        shares of positive targets, instead of `initial_score`.
      label_smoothing: How far targets move from 0 and 1 towards 0.5.
      mixup_share: Probability that an example is mixed with another of its
        batch.
      mixup_alpha: Both parameters of the Beta distribution of the weights that
        two mixed examples get.
      max_masked_stft_frames: Most STFT frames that one time mask of SpecAugment
        hides.
      max_masked_mel_bands: Most mel bands that its frequency mask hides.
      max_gain_db: Examples are made louder or softer by up to this many dB.
      balance_classes: Whether clips are drawn in proportion to the sum of
        1 / (number of labels of the class) over their labels.
      patience_validations: The run stops after so many validations without a
        better one; 0 for never.
    """

    weight_decay: float = 0.0
    clip_norm: float = 0.0
    ema_decay: float = 0.0
    initial_scores_from_labels: bool = False
    label_smoothing: float = 0.0
    mixup_share: float = 0.0
    mixup_alpha: float = 10.0
    max_masked_stft_frames: int = 0
    max_masked_mel_bands: int = 0
    max_gain_db: float = 0.0
    balance_classes: bool = False
    patience_validations: int = 0


@dataclasses.dataclass(frozen=True)
class DecodingParams:
    """How scores over time become events with times.

    Steps in the order of the attributes. Source: our choices (BUILD_NOTES.md
    "Events of a model"); each is usual in DCASE's task 4.

    Attributes:
      median_filter_seconds: Length of a median filter over the scores of each
        class, rounded to an odd number of frames; 0 for none.
      top_k: Only the k highest classes of a frame can be present, and those
        equal to the k-th; 0 for all.
      threshold: Score that an event must reach, where its class has no
        threshold of its own.
      hold_share: Once begun, an event goes on while its score is at least this
        share of the threshold, at least 0.01; 1 for the threshold itself.
      max_gap_seconds: Events of a class that are this close or closer are one.
      min_event_seconds: Shorter events are left out.
    """

    median_filter_seconds: float = 0.0
    top_k: int = 0
    threshold: float = 0.5
    hold_share: float = 1.0
    max_gap_seconds: float = 0.0
    min_event_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Raises `InputError` for a setting out of its range."""
        for name, value in dataclasses.asdict(self).items():
            most = 1.0 if name in ("threshold", "hold_share") else math.inf
            # What goes on at any score would never end.
            least = 0.01 if name == "hold_share" else 0.0
            if not (least <= value <= most and math.isfinite(value)):
                at_most = f" and at most {most:g}" if most == 1.0 else ""
                raise InputError(
                    f"{name} must be at least {least:g}{at_most}. Received: "
                    f"{value}."
                )


class Retired(NamedTuple):
    """A setting that is no more.

    Attributes:
      neutral: The value with which it did nothing.
      advice: What another value did, and what to do now.
    """

    neutral: Any
    advice: str


_SHARE_OF_STRONG = (
    "chose the clips that kept their strong labels in these records. Now train "
    "chooses, by the setting of the same name: prepare the records anew, with "
    "all labels"
)
# By the class that they were of.
RETIRED: Mapping[str, Mapping[str, Retired]] = {
    "RecordParams": {
        "strong_fraction": Retired(1.0, _SHARE_OF_STRONG),
        "strong_fraction_seed": Retired(0, _SHARE_OF_STRONG),
    }
}


def from_dict(
    params_class: type[_Params], values: Mapping[str, Any]
) -> _Params:
    """Makes a params dataclass from a dict; missing fields keep their default.

    Settings of `RETIRED` are dropped.

    Raises:
      InputError: A field is unknown, which means that another version wrote it,
        or is retired and has a value that did something.
    """
    retired = RETIRED.get(params_class.__name__, {})
    for name, (neutral, advice) in retired.items():
        if values.get(name, neutral) != neutral:
            raise InputError(f"The setting {name}={values[name]} {advice}.")
    values = {n: v for n, v in values.items() if n not in retired}
    known = {f.name for f in dataclasses.fields(params_class)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"Unknown settings {unknown} for {params_class.__name__}; it has "
            f"{sorted(known)}. They were saved by another version."
        )
    return params_class(**values)


def save_params(
    path: str | os.PathLike[str], params_by_stage: Mapping[str, Any]
) -> None:
    """Writes `{stage: settings}` as JSON, whole or not at all."""
    stages = {n: dataclasses.asdict(p) for n, p in params_by_stage.items()}
    with open_output(path) as file:
        file.write(json.dumps(stages, indent=2) + "\n")


def load_params(
    path: str | os.PathLike[str],
    classes_by_stage: Mapping[str, type],
    optional: Sequence[str] = (),
) -> dict[str, Any]:
    """Reads what `save_params` wrote: the params of each stage.

    Stages in `optional`, which an earlier version may not have written, have
    their defaults if they are missing.

    Raises:
      InputError: The file is no such JSON, a stage is missing or has unknown
        fields.
    """
    try:
        saved = json.loads(read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path}: expected JSON ({error}).") from error
    if not isinstance(saved, dict) or not all(
        isinstance(settings, dict) for settings in saved.values()
    ):
        raise InputError(f"{path}: expected settings by stage.")
    missing = sorted(set(classes_by_stage) - set(saved) - set(optional))
    if missing:
        raise InputError(f"{path}: expected settings of {missing}.")
    return {
        name: from_dict(params_class, saved.get(name, {}))
        for name, params_class in classes_by_stage.items()
    }
