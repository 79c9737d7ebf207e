"""The only code that knows about hardware: devices, hosts, and what each reads.

Training is synchronous: in every step each replica takes its part of the global
batch, and gradients are summed. So a run takes the same steps on any number of
devices, up to rounding; batch size and learning rate are those of the whole
run. A replica is a GPU, a TPU core, or the CPU of a host without either.

Several hosts run the same command, each as one worker of a cluster that the
environment variable TF_CONFIG describes (`read_cluster`). The first worker, the
chief, alone writes the workdir; the others get its state from it. What workers
have to say to each other beside gradients goes through `exchange`. If one
fails, `ends_together` ends all.
"""

import contextlib
import dataclasses
import functools
import json
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from tensorflow.python.eager import context as tf_context

from audioset_strong.errors import InputError
from audioset_strong.labels.problems import listed
from audioset_strong.params import RecipeParams, TrainParams
from audioset_strong.records.manifest import Records
from audioset_strong.records.streams import (
    InputWorker,
    count_clips,
    training_sets_of,
    training_stream,
)
from audioset_strong.training.augmentation import make_augment

_CHOICES = ("auto", "cpu", "gpu", "multi_worker", "tpu")

# How long a worker waits for the others to be started.
_START_SECONDS = 900
# For one answer of another host. For a TPU that does not answer at all
# TensorFlow would wait for ever.
_ANSWER_SECONDS = 10
# After how long without a sign of life a worker counts as gone.
_HEARTBEAT_SECONDS = 60
# Longer than the chief needs to write a checkpoint to slow storage, for which
# the others wait in their next step.
_COLLECTIVE_SECONDS = 1800

_EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": '
    '"worker", "index": 0}}'
)
# What TensorFlow says where another worker has failed: its number and why.
_FAILED_WORKER = re.compile(r"Error reported from /job:\w+/task:(\d+): (.*)")
_GONE = "unhealthy"

# --- which devices -----------------------------------------------------------


class Cluster(NamedTuple):
    """The workers of a run, and which of them this process is.

    Attributes:
      addresses: "host:port" of each, the chief's first.
      own_index: Of this process.
    """

    addresses: tuple[str, ...]
    own_index: int


def read_cluster() -> Cluster | None:
    """Reads the environment variable TF_CONFIG; None if it names no cluster.

    Raises:
      InputError: It is not as TensorFlow documents it, or has parameter servers
        or an evaluator, for which there is no use here.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    try:
        config = json.loads(text or "{}")
        jobs = config.get("cluster") or {}
        if not jobs:
            return None
        addresses = [
            a for job in ("chief", "worker") for a in jobs.get(job, [])
        ]
        task = config["task"]["type"]
        index = int(config["task"]["index"])
        is_right = (
            set(jobs) <= {"chief", "worker"}
            and all(isinstance(jobs[job], list) for job in jobs)
            and all(re.fullmatch(r".+:\d+", address) for address in addresses)
            and len(set(addresses)) == len(addresses)
            and len(jobs.get("chief", [])) <= 1
            and 0 <= index < len(jobs[task])
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        is_right = False
    if not is_right:
        raise InputError(
            f"Expected TF_CONFIG like {_EXAMPLE}, the same on all hosts but "
            f"for the index. Received: {text}"
        )
    if task == "worker":
        index += len(jobs.get("chief", []))
    return Cluster(tuple(addresses), index)


def get_strategy(choice: str) -> tf.distribute.Strategy:
    """Chooses how steps are distributed, and connects to what that needs.

    For several workers this must be the first use of TensorFlow.

    Args:
      choice: "cpu"; "gpu", all visible ones of this host; "multi_worker", all
        GPUs, or else the CPUs, of the hosts in TF_CONFIG; "tpu", the one that
        the environment variable TPU_NAME names, or that of this host; "auto",
        the workers if TF_CONFIG names several, else the GPUs if there are any,
        else the CPU.

    Returns:
      A strategy for synchronous training.

    Raises:
      InputError: The choice is unknown, there is no such device, TF_CONFIG is
        wrong or does not fit the choice, or the other workers do not come.
    """
    if choice not in _CHOICES:
        raise InputError(
            f"Expected a strategy of {_CHOICES}. Received: {choice!r}."
        )
    cluster = read_cluster()
    num_workers = len(cluster.addresses) if cluster else 1
    if choice == "multi_worker" and cluster is None:
        raise InputError(
            f"The strategy 'multi_worker' needs the environment variable "
            f"TF_CONFIG, such as {_EXAMPLE}; or choose another strategy."
        )
    if num_workers > 1 and choice not in ("auto", "multi_worker"):
        # Each worker would train a run of its own, into one workdir.
        raise InputError(
            f"TF_CONFIG names {num_workers} workers, but the strategy "
            f"{choice!r} is for one process. Choose 'multi_worker', or unset "
            f"TF_CONFIG."
        )
    if cluster and num_workers > 1:
        return _multi_worker_strategy(cluster)
    if choice == "tpu":
        return _tpu_strategy(os.environ.get("TPU_NAME") or "local")
    gpus = tf.config.list_logical_devices("GPU")
    if choice == "gpu" and not gpus:
        raise InputError(
            "TensorFlow sees no GPU for the strategy 'gpu'. Install TensorFlow "
            "with CUDA ('pip install tensorflow[and-cuda]') or choose the "
            "strategy 'cpu'."
        )
    if choice == "cpu" or not gpus:
        return tf.distribute.OneDeviceStrategy("/cpu:0")
    return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])


def _multi_worker_strategy(cluster: Cluster) -> tf.distribute.Strategy:
    """Connects the workers of a cluster."""
    _wait_for_others(cluster)
    try:
        _set_heartbeat()
        return tf.distribute.MultiWorkerMirroredStrategy(
            communication_options=tf.distribute.experimental.CommunicationOptions(
                timeout_seconds=_COLLECTIVE_SECONDS
            )
        )
    except (tf.errors.OpError, RuntimeError) as error:
        raise InputError(
            f"Worker {cluster.own_index} could not join the others "
            f"({_first_line(error)}). Start all again, each as a process of "
            f"its own."
        ) from error


def _set_heartbeat() -> None:
    """Configures what the strategy would, with more patience.

    TensorFlow gives up a worker that is silent for 10 s, as one on a very busy
    host may be. There is no public call for this.
    """
    jobs = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    sizes = {n: len(a) for n, a in jobs.cluster_spec().as_dict().items()}
    coordination = tf.compat.v1.ConfigProto().experimental.coordination_config
    for name in sorted(sizes):
        coordination.coordinated_job_list.add(name=name, num_tasks=sizes[name])
    leader = "chief" if "chief" in sizes else "worker"
    tf_context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{leader}/replica:0/task:0",
        heartbeat_timeout_in_ms=1000 * _HEARTBEAT_SECONDS,
        coordinated_jobs=list(coordination.coordinated_job_list),
    )


def _wait_for_others(cluster: Cluster) -> None:
    """Waits until all workers are there, which TensorFlow would do for ever.

    Each listens at its own port, first here and then through TensorFlow.
    """
    port = int(cluster.addresses[cluster.own_index].rpartition(":")[2])
    missing = dict(enumerate(cluster.addresses))
    del missing[cluster.own_index]
    deadline = time.monotonic() + _START_SECONDS
    logging.info(
        "This is worker %d of %s; waiting for the others.",
        cluster.own_index,
        ", ".join(cluster.addresses),
    )
    try:
        listener = socket.create_server(("", port))
    except OSError as error:
        raise InputError(
            f"Worker {cluster.own_index} cannot listen at the port {port} that "
            f"TF_CONFIG gives it ({error.strerror}). Give a free one."
        ) from error
    with listener:
        while missing:
            for index, address in list(missing.items()):
                host, _, other_port = address.rpartition(":")
                with contextlib.suppress(OSError):
                    socket.create_connection(
                        (host, int(other_port)), _ANSWER_SECONDS
                    ).close()
                    del missing[index]
            if missing and time.monotonic() > deadline:
                raise InputError(
                    f"Waited {_START_SECONDS} s for {listed(missing.values())} "
                    f"of TF_CONFIG. Start all workers, with addresses that "
                    f"reach each other."
                )
            time.sleep(0.1 if missing else 0)


def _tpu_strategy(name: str) -> tf.distribute.Strategy:
    """Connects to a TPU: "local" for that of this host.

    In the parts of `TPUClusterResolver.connect`, which fails in TensorFlow
    2.16.2 before a TPU is sought.
    """
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        for addresses in resolver.cluster_spec().as_dict().values():
            for address in addresses:
                host, _, port = address.rpartition(":")
                socket.create_connection(
                    (host, int(port)), timeout=_ANSWER_SECONDS
                ).close()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (
        ImportError,
        OSError,
        RuntimeError,
        ValueError,
        tf.errors.OpError,
    ) as error:
        raise InputError(
            f"There is no TPU {name!r} for the strategy 'tpu' "
            f"({_first_line(error)}). Run on the TPU's own host, set TPU_NAME "
            f"to its name or its grpc:// address, or choose another strategy."
        ) from error


def _first_line(error: Exception) -> str:
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__).rstrip(".")[:300]


def log_distribution(
    strategy: tf.distribute.Strategy,
    records: Records,
    params: TrainParams,
    first_step: int,
) -> None:
    """Says what a run is trained on, and that its settings are global."""
    worker, num_replicas = worker_of(strategy), strategy.num_replicas_in_sync
    devices = strategy.extended.worker_devices
    kind = tf.DeviceSpec.from_string(devices[0]).device_type
    if kind == "GPU":
        gpu = tf.config.list_physical_devices("GPU")[0]
        details = tf.config.experimental.get_device_details(gpu)
        kind = details.get("device_name", kind)
    where = f"{len(devices)} x {kind}"
    if worker.num_workers > 1:
        where = f"{worker.num_workers} workers with {where} each"
    logging.info(
        "Training on %s. All of it takes batches of %d examples, %d on each of "
        "%d replicas, and a learning rate of %g.",
        where,
        params.global_batch_size,
        params.global_batch_size // num_replicas,
        num_replicas,
        params.learning_rate,
    )
    num_examples = (params.num_steps - first_step) * params.global_batch_size
    # Without a second set mu is 0.
    shares = (1 - params.mu, params.mu)
    for training_set, share in zip(training_sets_of(params), shares):
        num_clips = count_clips(records, training_set)
        logging.info(
            "Training set %s: %d clips, %.1f passes in the %d steps to go.",
            training_set.name,
            num_clips,
            num_examples * share / num_clips,
            params.num_steps - first_step,
        )


# --- several workers ---------------------------------------------------------


def worker_of(strategy: tf.distribute.Strategy) -> InputWorker:
    """Which of the processes of a run this is; the first is the chief."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        cluster = read_cluster()
        if cluster:
            return InputWorker(cluster.own_index, len(cluster.addresses))
    return InputWorker()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the workdir."""
    return worker_of(strategy).index == 0


@functools.lru_cache(maxsize=1)
def _compile_sum(strategy: tf.distribute.Strategy) -> Any:
    def sum_up(values: tf.distribute.DistributedValues) -> tf.Tensor:
        of_replicas = strategy.run(tf.identity, args=(values,))
        return strategy.reduce(
            tf.distribute.ReduceOp.SUM, of_replicas, axis=None
        )

    # Of any length, so that it is compiled twice only.
    return tf.function(sum_up, reduce_retracing=True)


def _sum_over_workers(
    strategy: tf.distribute.Strategy, numbers: np.ndarray
) -> np.ndarray:
    """Adds up what each worker has; all must call it: int64 `[any]`."""
    num_devices = len(strategy.extended.worker_devices)

    def of_replica(context: Any) -> tf.Tensor:
        is_first = context.replica_id_in_sync_group % num_devices == 0
        return tf.constant(numbers if is_first else np.zeros_like(numbers))

    values = strategy.experimental_distribute_values_from_function(of_replica)
    summed: np.ndarray = _compile_sum(strategy)(values).numpy()
    return summed


def exchange(strategy: tf.distribute.Strategy, content: bytes) -> list[bytes]:
    """Gives every worker what each of them has; all must call it.

    Returns:
      The contents of the workers, in their order.
    """
    worker = worker_of(strategy)
    if worker.num_workers == 1:
        return [content]
    own_bytes = np.zeros(worker.num_workers, np.int64)
    own_bytes[worker.index] = len(content)
    num_bytes = _sum_over_workers(strategy, own_bytes)
    # In 64-bit words, which every device can add; all but one are zero.
    num_words = -(-num_bytes // 8)
    ends = np.cumsum(num_words)
    starts = ends - num_words
    if not ends[-1]:
        return [b""] * worker.num_workers
    words = np.zeros(ends[-1], np.int64)
    start, end = starts[worker.index], ends[worker.index]
    words[start:end].view(np.uint8)[: len(content)] = np.frombuffer(
        content, np.uint8
    )
    words = _sum_over_workers(strategy, words)
    return [
        words[start:end].tobytes()[:length]
        for start, end, length in zip(starts, ends, num_bytes, strict=True)
    ]


def gather(strategy: tf.distribute.Strategy, rows: np.ndarray) -> np.ndarray:
    """Joins the rows of all workers, in their order; all must call it.

    Args:
      strategy: How steps are distributed.
      rows: `[num_rows, ...]`, any number of rows, else equal on all workers.
    """
    if worker_of(strategy).num_workers == 1:
        return rows
    contents = exchange(strategy, np.ascontiguousarray(rows).tobytes())
    joined = np.frombuffer(b"".join(contents), rows.dtype)
    return joined.reshape(-1, *rows.shape[1:])


def send_state(
    strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable]
) -> None:
    """Gives all workers the chief's values of variables; all must call it.

    So only the chief has to read the workdir.
    """
    if worker_of(strategy).num_workers == 1:
        return
    values = [variable.numpy() for variable in variables]
    own = b"".join(value.tobytes() for value in values)
    content, *_ = exchange(strategy, own if is_chief(strategy) else b"")
    position = 0
    for variable, value in zip(variables, values, strict=True):
        received = np.frombuffer(content, value.dtype, value.size, position)
        position += value.nbytes
        variable.assign(received.reshape(value.shape))


def from_chief(strategy: tf.distribute.Strategy, value: Any) -> Any:
    """Gives all workers the chief's value, of what JSON has; all must call it.

    Tuples become lists.
    """
    if worker_of(strategy).num_workers == 1:
        return value
    own = json.dumps(value).encode() if is_chief(strategy) else b""
    return json.loads(exchange(strategy, own)[0])


def refuse_other_workers(
    strategy: tf.distribute.Strategy, run_params: Any, class_hash: str
) -> None:
    """Refuses workers that were started for another run; all must call it.

    Args:
      strategy: How steps are distributed.
      run_params: Settings of every stage, a dataclass of dataclasses.
      class_hash: Of the classes.

    Raises:
      InputError: They are not equal.
    """
    settings = {"class map": class_hash}
    for stage, values in dataclasses.asdict(run_params).items():
        settings |= {f"{stage}.{name}": v for name, v in values.items()}
    # A worker's own, and what the chief alone reads.
    for name in ("train.cache_dir", "start.weights_hash"):
        settings.pop(name, None)
    chief, *others = (
        json.loads(content)
        for content in exchange(strategy, json.dumps(settings).encode())
    )
    for index, other in enumerate(others, start=1):
        differing = [
            f"{name}: {value!r} there, {chief[name]!r} on the chief"
            for name, value in other.items()
            if value != chief[name]
        ]
        if differing:
            raise InputError(
                f"Worker {index} was started for another run "
                f"({'; '.join(differing)}). Give all workers the same flags "
                f"and records."
            )


@contextlib.contextmanager
def workdir_of_worker(
    strategy: tf.distribute.Strategy, workdir: str
) -> Iterator[str]:
    """Gives the chief the workdir, and other workers a folder for a while."""
    if is_chief(strategy):
        yield workdir
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        yield temporary


@contextlib.contextmanager
def ends_together(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Ends all workers if one fails in the block, and lets none leave early.

    Raises:
      InputError: Another worker has failed, with its message, or is gone.
    """
    worker = worker_of(strategy)
    if worker.num_workers == 1:
        yield
        return
    try:
        yield
        exchange(strategy, b"")
    except tf.errors.OpError as error:
        found = _FAILED_WORKER.search(error.message)
        is_lost = isinstance(
            error,
            tf.errors.UnavailableError
            | tf.errors.AbortedError
            | tf.errors.CancelledError
            | tf.errors.DeadlineExceededError,
        )
        if not found and not is_lost:
            _tell_others(error)
            raise
        reason = "a worker does not answer any more"
        if found and _GONE in found[2]:
            reason = f"worker {found[1]} does not answer any more"
        elif found:
            reason = f"worker {found[1]} ended: {found[2].rstrip('.')}"
        raise InputError(
            f"Training ends, for {reason}. Start all workers again; they go on "
            f"from the last checkpoint."
        ) from error
    except BaseException as error:
        _tell_others(error)
        raise


def _tell_others(error: BaseException) -> None:
    """Ends the waiting of the other workers, with a reason."""
    message = next(iter(str(error).splitlines()), "") or type(error).__name__
    # There is no public call for this either.
    with contextlib.suppress(tf.errors.OpError, ValueError, AttributeError):
        tf_context.context().report_error_to_cluster(
            tf.errors.INVALID_ARGUMENT, message
        )


# --- what each reads and does ------------------------------------------------


def distribute_stream(
    strategy: tf.distribute.Strategy,
    records: Records,
    params: TrainParams,
    first_step: int,
    recipe: RecipeParams = RecipeParams(),
) -> tf.distribute.DistributedDataset:
    """Streams the batches of a run to the replicas of a strategy.

    Each host has an input pipeline that reads its own share of the clips
    (`InputWorker`) and gives each of its replicas a batch of its own. On one
    host the replicas' batches are the parts of one global batch, in order.

    Args:
      strategy: How steps are distributed.
      records: Where the clips are.
      params: The run.
      first_step: Step to start from.
      recipe: What changes the examples, and how clips are drawn.

    Raises:
      InputError: A batch cannot be shared evenly, or what `training_stream`
        raises.
    """

    def stream_of(context: tf.distribute.InputContext) -> tf.data.Dataset:
        num_hosts = context.num_input_pipelines
        if recipe.mixup_share and params.global_batch_size <= num_hosts:
            raise InputError(
                f"mixup_share needs a partner for each example, but each "
                f"worker reads one a step. Expected global_batch_size of at "
                f"least {2 * num_hosts}. Received: {params.global_batch_size}."
            )
        worker = InputWorker(context.input_pipeline_id, num_hosts)
        stream = training_stream(
            records,
            params,
            first_step,
            worker,
            num_splits=context.num_replicas_in_sync // num_hosts,
            augment=make_augment(records.features, recipe, params.seed, worker),
            balance_classes=recipe.balance_classes,
        )
        # Otherwise workers would ask each other, in every step, for the end.
        return stream.apply(
            tf.data.experimental.assert_cardinality(
                tf.data.INFINITE_CARDINALITY
            )
        )

    # Not experimental_distribute_dataset, which would rebatch and re-shard.
    return strategy.distribute_datasets_from_function(stream_of)


def average_over_replicas(variables: Sequence[tf.Variable]) -> None:
    """Gives all replicas the mean of their values: called by each, in a step.

    For batch norm's running statistics, which replicas that do not share those
    of a batch keep for themselves. As means they are those of the run, whoever
    validates with them or saves them.

    Args:
      variables: float32, of any shapes.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1 or not variables:
        return
    # In one piece, because sending costs by the piece.
    flat = tf.concat([tf.reshape(v, [-1]) for v in variables], axis=0)
    flat = context.all_reduce(tf.distribute.ReduceOp.MEAN, flat)
    sizes = [v.shape.num_elements() for v in variables]
    for variable, values in zip(variables, tf.split(flat, sizes), strict=True):
        # On this replica's own copy.
        tf.raw_ops.AssignVariableOp(
            resource=variable.handle,
            value=tf.reshape(values, variable.shape),
        )


def make_reproducible(seed: int, deterministic: bool) -> None:
    """Seeds everything and, if asked, chooses deterministic kernels.

    Args:
      seed: Of the first weights.
      deterministic: Whether equal runs must end in equal bits. Besides
        deterministic kernels this takes one operation at a time on a CPU: with
        two, gradients of a batch of 128 differ in the last bit now and then
        (BUILD_NOTES.md "Determinism").
    """
    # Otherwise names and memory of earlier models in this process stay.
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    if not deterministic:
        return
    tf.config.experimental.enable_op_determinism()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # TensorFlow has already started
        if tf.config.threading.get_inter_op_parallelism_threads() != 1:
            logging.warning(
                "TensorFlow already runs several threads, so this run may "
                "differ from an equal one in the last bits."
            )
