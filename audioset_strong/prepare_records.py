r"""Writes TFRecords of log-mel features and events.

    python -m audioset_strong.prepare_records \
      --audio_dir=audio --class_map=class_labels_indices.csv \
      --weak_labels=balanced_train_segments.csv,unbalanced_train_segments.csv \
      --strong_labels=audioset_train_strong.tsv \
      --eval_labels=eval_segments.csv,audioset_eval_strong.tsv \
      --output_dir=records/train

Audio files are named after AudioSet's clips. For other names, other ids and
clips that are parts of long recordings give an index of the audio, and for
clips without any event a list of the clips that were annotated:

    python -m audioset_strong.prepare_records \
      --audio_index=own/audio_index.tsv --clips=own/clips.tsv \
      --strong_labels=own/strong.tsv --class_map=own/class_map.csv \
      --output_dir=records/own

Writes shards, `class_map.csv`, `segment_ids.txt` (the clips in the shards),
`groups.tsv` (their groups, where ids do not tell), `manifest.json`,
`left_out.csv` (clips without usable audio and those of --eval_labels, with the
reason) and `faults.csv` to --output_dir. Labels are taken as they are, unless
--smear_labels, --subsume_music or --canonicalize_mids says otherwise. The same
command again makes only what is missing, and takes nothing away unless
--replace says so.

Paths may be in object storage (s3://bucket/folder). Shards are written by one
process for each core of this machine. With --runner they are written on a
cluster, by a runner of Apache Beam (pip install 'audioset_strong[beam]'), whose
own options are given as further flags:

      --runner=FlinkRunner --flink_master=localhost:8081
      --runner=DaskRunner --dask_client_address=tcp://scheduler:8786
"""

from collections.abc import Sequence

from absl import flags, logging

from audioset_strong import run_flags
from audioset_strong.audio.backends import AUDIO_BACKENDS
from audioset_strong.labels.label_mapping import read_label_mapping
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import (
    AudioParams,
    FeatureParams,
    LabelMappingParams,
    RecordParams,
)
from audioset_strong.records.prepare import (
    WorkerParams,
    describe,
    import_beam,
    prepare_records,
)
from audioset_strong.records.schema import LOG_MEL_DTYPES

_AUDIO_DIR = flags.DEFINE_string(
    "audio_dir",
    None,
    "Folder with the clips, searched with its subfolders. Files are named "
    "<ytid>, <ytid>_<start ms>, <ytid>_<start s>_<end s> or the like, with or "
    "without Y before, and any extension that libsndfile reads. Parquet files "
    "and uncompressed tars are read in place, in a folder or alone. With "
    "--audio_index, the folder that its paths are relative to.",
)
_AUDIO_INDEX = flags.DEFINE_string(
    "audio_index",
    "",
    "CSV, TSV or Parquet with the columns segment_id and path, and perhaps "
    "start_seconds, duration_seconds and group: where the audio of each clip "
    "is. Paths are relative to --audio_dir, or to the folder of this file.",
)
_CLIPS = flags.DEFINE_string(
    "clips",
    "",
    "TSV with the columns segment_id, duration_seconds and perhaps group: the "
    "clips that were annotated. Those without an event are negatives of every "
    "class.",
)
_CLIP_SECONDS = flags.DEFINE_float(
    "clip_seconds",
    RecordParams.clip_seconds,
    "Length of clips for which neither --clips nor --audio_index says it; of "
    "weak CSVs that say it, the most to use. 0 for whole files.",
    lower_bound=0.0,
)
_WEAK_LABELS = flags.DEFINE_list(
    "weak_labels", [], "Weak label CSVs, separated by commas."
)
_STRONG_LABELS = flags.DEFINE_list(
    "strong_labels", [], "Strong label TSVs, separated by commas."
)
_EVAL_LABELS = flags.DEFINE_list(
    "eval_labels",
    [],
    "Label files of the evaluation clips, weak, strong or framed, separated by "
    "commas. Clips of these videos are left out of training records.",
)
_CLASS_MAP = run_flags.define_class_map(required=True)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where to write.", required=True
)
_HELD_OUT_FRACTION = flags.DEFINE_float(
    "held_out_fraction",
    RecordParams.held_out_fraction,
    "Share of the groups (ytids, recordings) with strong labels, or of all if "
    "there are none, to hold out for validation. Give 0 for evaluation data.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_CLIPS_PER_SHARD = flags.DEFINE_integer(
    "clips_per_shard",
    RecordParams.clips_per_shard,
    "Clips of a shard, on average.",
    lower_bound=1,
)
_LOG_OFFSET = flags.DEFINE_float(
    "log_offset",
    FeatureParams.log_offset,
    "Added to the mel spectrogram before the logarithm; YAMNet has 0.001.",
)
_LOG_MEL_DTYPE = flags.DEFINE_enum(
    "log_mel_dtype",
    RecordParams.log_mel_dtype,
    LOG_MEL_DTYPES,
    "How log-mel features are stored; uint8 takes half of the bytes.",
)
_MAX_LOSS = flags.DEFINE_float(
    "max_loss",
    None,
    "Largest share of the clips that may be missing or unusable; the run fails "
    "if there are more, and left_out.csv lists them. By default it only fails "
    "if nine of ten are missing.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_REPLACE = flags.DEFINE_boolean(
    "replace",
    False,
    "Whether records that are there may be deleted, or lose clips or labels, "
    "where audio, labels or settings are others than before.",
)
_RUNNER = flags.DEFINE_string(
    "runner",
    WorkerParams.runner,
    "local, or a runner of Apache Beam: DaskRunner, FlinkRunner, SparkRunner, "
    "DataflowRunner, PortableRunner, ... Its options are flags of this command "
    "too.",
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers",
    0,
    "Processes to use; 0 for one a core, or as --runner chooses.",
    lower_bound=0,
)
_AUDIO_FLAGS = run_flags.define_params(
    AudioParams, {"audio_backend": AUDIO_BACKENDS}
)
_ONTOLOGY = flags.DEFINE_string(
    "ontology", None, "ontology.json, for --smear_labels and --subsume_music."
)
_DISPLAY_NAMES = flags.DEFINE_string(
    "display_names",
    None,
    "mid_to_display_name.tsv: the classes of the strong labels, for "
    "--subsume_music.",
)
_LABEL_MAPPING_FLAGS = run_flags.define_params(LabelMappingParams)
_SKIP_BAD_LINES = run_flags.define_skip_bad_lines()


def main(argv: Sequence[str]) -> None:
    """Joins labels and audio, writes the shards, says what was left out."""
    program, *runner_options = argv
    unknown = runner_options
    if _RUNNER.value != WorkerParams.runner:
        beam = import_beam(_RUNNER.value)
        unknown = beam.unknown_options(_RUNNER.value, runner_options)
    run_flags.refuse_arguments([program, *unknown])
    problems = ProblemLog(_SKIP_BAD_LINES.value)
    mapping = read_label_mapping(
        run_flags.read_params(LabelMappingParams, _LABEL_MAPPING_FLAGS),
        _ONTOLOGY.value,
        _DISPLAY_NAMES.value,
        problems,
    )
    if not _EVAL_LABELS.value:
        logging.info(
            "No --eval_labels: nothing keeps evaluation clips out of these "
            "records."
        )
    manifest = prepare_records(
        _AUDIO_DIR.value or "",
        _WEAK_LABELS.value,
        _STRONG_LABELS.value,
        _CLASS_MAP.value,
        _OUTPUT_DIR.value,
        RecordParams(
            held_out_fraction=_HELD_OUT_FRACTION.value,
            clips_per_shard=_CLIPS_PER_SHARD.value,
            clip_seconds=_CLIP_SECONDS.value,
            log_mel_dtype=_LOG_MEL_DTYPE.value,
        ),
        FeatureParams(log_offset=_LOG_OFFSET.value),
        audio=run_flags.read_params(AudioParams, _AUDIO_FLAGS),
        workers=WorkerParams(
            _NUM_WORKERS.value, _RUNNER.value, tuple(runner_options)
        ),
        max_loss=_MAX_LOSS.value,
        mapping=mapping,
        eval_label_paths=_EVAL_LABELS.value,
        problems=problems,
        clips_path=_CLIPS.value,
        audio_index_path=_AUDIO_INDEX.value,
        replace=_REPLACE.value,
    )
    describe(manifest, logging.info)


if __name__ == "__main__":
    run_flags.run(main, passes_unknown_flags=True)
