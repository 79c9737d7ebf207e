#!/usr/bin/env bash
# The reproduction on the real AudioSet, stage by stage; README.md says what each does.
#
#   experiments/audioset/run.sh labels|coverage|prepare|train|mu|share|evaluate [--flag=value ...]
#
# Flags go to the commands of the stage, after those of the flagfiles here: --num_workers=64 of
# prepare, --rows=weak-large --seeds=0,1,2 of train. Run it from the repository's root; labels/,
# audio/, records/ and runs/ there may be links. The same stage again does only what is missing.
#
#   TRAIN_AUDIO, EVAL_AUDIO  where the clips are (audio/train, audio/eval): a folder of files, of
#                            Parquet files or of tars
#   SEED                     of the models that evaluate compares (0)
#   PYTHON                   runs the commands (.venv/bin/python)
#   DRY_RUN=1                prints the commands
set -euo pipefail

here=experiments/audioset
runs=runs/audioset
train_audio=${TRAIN_AUDIO:-audio/train}
eval_audio=${EVAL_AUDIO:-audio/eval}
seed=${SEED:-0}
python=${PYTHON:-.venv/bin/python}

run() {
  if [[ -z ${DRY_RUN:-} ]]; then "$@"; return; fi
  [[ $1 != exec ]] || shift  # which would end the shell that it is pasted into
  echo "$(printf '%q ' "$@")"
}

# Stops at a flag that would send two commands to one place.
refuse_places() {
  local flag
  for flag in "$@"; do
    case $flag in
      -output_dir* | -audio_dir* | -write_clips* | -report_dir* | \
      --output_dir* | --audio_dir* | --write_clips* | --report_dir*)
        echo "$flag would go to two commands. DRY_RUN=1 prints them; run one by itself." >&2
        exit 2
        ;;
    esac
  done
}

# Whether a row is in the table, or there is none yet.
in_table() {
  [[ ! -e $runs/table1.md ]] || grep -qF "| $1 |" "$runs/table1.md"
}

# Prints the score file of a row. The name of the run holds its mu: that of the flagfile, until
# train has written which it was.
score_file() {
  local name result=$runs/rows/$1-seed$seed.json
  if [[ -e $result ]]; then
    name=$(sed -n 's/^ *"run": "\(.*\)",\?$/\1/p' "$result")
  else
    name=$(sed -n 's#^--workdir=.*/\(.*\)-seed0$#\1#p' "$here/$1.flags")-seed$seed
  fi
  echo "$runs/models/$name/eval_scores.npz"
}

[[ -e $here/run.sh ]] || { echo "Run it from the repository's root: $here/run.sh" >&2; exit 2; }
stage=${1:-}
shift || true
case $stage in
  labels)
    run "$python" -m audioset_strong.download_labels --output_dir=labels "$@"
    ;;
  coverage)
    refuse_places "$@"
    run "$python" -m audioset_strong.report_coverage --audio_dir="$train_audio" \
      --weak_labels=labels/balanced_train_segments.csv,labels/unbalanced_train_segments.csv \
      --strong_labels=labels/audioset_train_strong.tsv \
      --class_map=labels/class_labels_indices.csv --display_names=labels/mid_to_display_name.tsv \
      --output_dir=coverage/train --write_clips=coverage/train/clips.txt "$@"
    run "$python" -m audioset_strong.report_coverage --audio_dir="$eval_audio" \
      --weak_labels=labels/eval_segments.csv --strong_labels=labels/audioset_eval_strong.tsv \
      --framed_labels=labels/audioset_eval_strong_framed_posneg.tsv \
      --class_map=labels/class_labels_indices.csv --display_names=labels/mid_to_display_name.tsv \
      --output_dir=coverage/eval --write_clips=coverage/eval/clips.txt "$@"
    ;;
  prepare)
    refuse_places "$@"
    run "$python" -m audioset_strong.prepare_records --flagfile=$here/prepare_train.flags \
      --audio_dir="$train_audio" "$@"
    run "$python" -m audioset_strong.prepare_records --flagfile=$here/prepare_eval.flags \
      --audio_dir="$eval_audio" "$@"
    ;;
  train | share)
    mu=()
    [[ ! -e $runs/mu_sweep.json ]] || mu=(--mu_from=$runs/mu_sweep.json)
    name=table1
    [[ $stage == train ]] || name=strong_share
    # In this process's place, so that a signal reaches the training.
    run exec "$python" -m experiments.$name --flagfile=$here/$name.flags "${mu[@]}" "$@"
    ;;
  mu)
    run exec "$python" -m experiments.mu_sweep --flagfile=$here/mu_sweep.flags "$@"
    ;;
  evaluate)
    refuse_places "$@"
    labels=(--framed_labels=labels/audioset_eval_strong_framed_posneg.tsv
      --weak_labels=labels/eval_segments.csv --strong_labels=labels/audioset_eval_strong.tsv
      --class_map=labels/class_labels_indices.csv
      --display_names=labels/mid_to_display_name.tsv)
    scores=()
    for name in Weak-large Weak-small Diffuse-small Strong-small "+ Diffuse" "+ Strong"; do
      row=${name/"+ "/plus_}
      if in_table "$name"; then
        scores+=("--scores=$name=$(score_file "${row,,}")")
      else
        echo "Left out: $name, which is not in $runs/table1.md." >&2
      fi
    done
    run "$python" -m audioset_strong.compare_systems \
      "${scores[@]}" "${labels[@]}" --output_dir="$runs/comparison-seed$seed" "$@"
    # What timing gives, also by the length of events: at the same mu, where that row is there.
    in_table "+ Strong" && in_table "+ Diffuse" || exit 0
    strong=$(score_file plus_strong)
    baseline=$(score_file plus_diffuse)
    same_mu=${strong/plus_strong-/plus_diffuse-}
    ! in_table "+ Diffuse at same mu" || [[ ! -e $same_mu ]] || baseline=$same_mu
    run "$python" -m audioset_strong.evaluate --scores="$strong" --baseline_scores="$baseline" \
      "${labels[@]}" --report_dir="$runs/timing-seed$seed" "$@"
    ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
