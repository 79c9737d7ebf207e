#!/usr/bin/env bash
# Trains on several hosts with GPUs: one process on each, which uses all of its GPUs.
#
#   HOSTS="gpu0 gpu1" experiments/audioset/launch_multi_worker.sh \
#     --flagfile=experiments/audioset/weak-large.flags
#   sbatch --nodes=2 --ntasks-per-node=1 --gpus-per-node=8 --signal=TERM@120 \
#     experiments/audioset/launch_multi_worker.sh --flagfile=experiments/audioset/weak-large.flags
#
# All arguments are flags of the train command. HOSTS are reached by ssh, without a password; in a
# Slurm job they are the job's. Run it from the repository's root, which has the same path on all
# hosts, as the records have; only the first host needs the workdir. PORT (2222) must be free and
# reachable on all of them; PYTHON (.venv/bin/python) runs them. The same command again resumes.
# DRY_RUN=1 prints the commands.
set -euo pipefail

port=${PORT:-2222}
python=${PYTHON:-.venv/bin/python}
if [[ -n ${SLURM_JOB_NODELIST:-} ]]; then
  read -ra hosts <<< "$(scontrol show hostnames "$SLURM_JOB_NODELIST" | tr '\n' ' ')"
else
  read -ra hosts <<< "${HOSTS:?names no hosts: HOSTS=\"gpu0 gpu1\" $0 --flagfile=...}"
fi

addresses=$(printf ', "%s"' "${hosts[@]/%/:$port}")
tf_config() {
  printf '{"cluster": {"worker": [%s]}, "task": {"type": "worker", "index": %s}}' \
    "${addresses:2}" "$1"
}
run() {
  if [[ -z ${DRY_RUN:-} ]]; then "$@"; return; fi
  [[ $1 != exec ]] || shift  # which would end the shell that it is pasted into
  echo "$(printf '%q ' "$@")"
}
train=(-m audioset_strong.train --strategy=multi_worker "$@")

if [[ -n ${SLURM_JOB_NODELIST:-} ]]; then
  # Each task puts its own number in. Slurm's signals reach the tasks.
  run exec srun --kill-on-bad-exit=0 --ntasks-per-node=1 bash -c \
    'export TF_CONFIG=${0/INDEX/$SLURM_PROCID}; exec "$@"' \
    "$(tf_config INDEX)" "$python" "${train[@]}"
  exit
fi

# A terminal on each host, so that processes there end with their ssh.
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT INT TERM
for index in "${!hosts[@]}"; do
  command="cd $(printf %q "$PWD") && TF_CONFIG=$(printf %q "$(tf_config "$index")") exec $(
    printf '%q ' "$python" "${train[@]}")"
  run ssh -tt -o BatchMode=yes "${hosts[index]}" "$command" < /dev/null &
done
status=0
for job in $(jobs -p); do
  wait "$job" || status=$?
done
exit "$status"
