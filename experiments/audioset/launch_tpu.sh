#!/usr/bin/env bash
# Trains on a Cloud TPU slice.
#
#   TPU=my-slice ZONE=us-central2-b SOURCE=gs://bucket/audioset_strong.tar.gz \
#     RECORDS=gs://bucket/records experiments/audioset/launch_tpu.sh \
#     --flagfile=experiments/audioset/weak-large.flags
#
# All arguments are flags of the train command. It runs on the slice's first host, and TensorFlow
# reaches the others from there; each host reads its own share of the records, from the same local
# path. So every host first gets the repository (SOURCE, a tar of it), its environment, and the
# records (RECORDS to records/, 134 GB; mount a disk there if the host's is smaller). The workdir
# stays on the first host. One host (v2-8, v3-8, v4-8) is a slice, too: HOSTS=1. VERSION is that of
# TensorFlow for TPUs, PYTHON (python3) a Python of 3.11 or later there. DRY_RUN=1 prints the
# commands.
#
# This has not been run: no TPU was at hand.
set -euo pipefail

: "${TPU:?is the name of the slice}" "${ZONE:?is its zone}"
: "${SOURCE:?is a tar of this repository, gs://...}"
: "${RECORDS:?is the folder of records, gs://...}"
version=${VERSION:-2.20.0}

on_worker() {
  local command=(gcloud compute tpus tpu-vm ssh "$TPU" "--zone=$ZONE" "--worker=$1" "--command=$2")
  if [[ -n ${DRY_RUN:-} ]]; then printf '%q ' "${command[@]}" && echo; else "${command[@]}"; fi
}

on_worker all "set -e; mkdir -p audioset_strong; cd audioset_strong
[ -e setup.py ] || gcloud storage cat $(printf %q "$SOURCE") | tar xz --strip-components=1
.venv/bin/pip show --quiet tensorflow-tpu 2> /dev/null || { $(printf %q "${PYTHON:-python3}") -m venv .venv
  # The last two find the hosts of a slice.
  .venv/bin/pip install --quiet -e . google-api-python-client oauth2client
  .venv/bin/pip uninstall --quiet --yes tensorflow  # of which the next is a variant
  .venv/bin/pip install --quiet tensorflow-tpu==$version \
    --find-links=https://storage.googleapis.com/libtpu-tf-releases/index.html; }
mkdir -p records; gcloud storage rsync --recursive $(printf %q "$RECORDS") records"

# On one host TensorFlow drives the TPU itself; on several a server on each does.
if [[ ${HOSTS:-0} == 1 ]]; then
  environment="TPU_NAME=local NEXT_PLUGGABLE_DEVICE_USE_C_API=true"
  environment+=" TF_PLUGGABLE_DEVICE_LIBRARY_PATH=/lib/libtpu.so"
else
  environment="TPU_NAME=$(printf %q "$TPU") TPU_LOAD_LIBRARY=0"
fi
on_worker 0 "cd audioset_strong; $environment exec $(
  printf '%q ' .venv/bin/python -m audioset_strong.train --strategy=tpu "$@")"
