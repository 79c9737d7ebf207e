"""Streams of records: pinned bits, passes, workers, mixing, label frames."""

import collections
import dataclasses
import hashlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from pinned_records import write_clips, write_pinned_records
from tiny_release import HELD_OUT, MIDS

from audioset_strong.errors import InputError
from audioset_strong.labels.training_sets import (
    get_training_set,
    is_in_strong_fraction,
)
from audioset_strong.params import TrainParams
from audioset_strong.records import streams
from audioset_strong.records.manifest import Shard, read_records
from audioset_strong.records.parse import (
    decode_first_rows,
    parse_records,
    to_float32,
)
from audioset_strong.records.schema import ClipRecord, serialize_record
from audioset_strong.records.shard import class_events
from audioset_strong.records.streams import (
    InputWorker,
    Mixture,
    Reading,
    class_mask,
    count_clips,
    label_frame_batches,
    parts_of_worker,
    training_examples,
    training_stream,
)

_LOW, _HIGH, _NOISE, _NEVER = range(len(MIDS))
_PARAMS = TrainParams(
    training_set="weak",
    mixed_training_set="strong",
    mu=0.5,
    global_batch_size=12,
    shuffle_block_clips=8,
)
# Clips of the pinned records: every fourth with strong labels has no weak ones.
_WEAK = {f"weak{i:03d}_30000" for i in range(35)}
_STRONG = {f"strong{i:03d}_30000" for i in range(35, 50)}
_WEAK_SMALL = {f"strong{i:03d}_30000" for i in range(35, 50) if i % 4}
_CLIPS = {
    "weak": _WEAK | _WEAK_SMALL,
    "weak_small": _WEAK_SMALL,
    "diffuse": _STRONG,
    "strong": _STRONG,
}


def _slow(*cases):
    """Cases that like others here trace streams for seconds."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else [case]),
            marks=pytest.mark.slow,
        )
        for case in cases
    ]


@pytest.fixture(scope="module")
def pinned(tmp_path_factory):
    """Records made by arithmetic alone."""
    return write_pinned_records(tmp_path_factory.mktemp("pinned"))


@pytest.fixture(scope="module")
def tiny(tiny_records_dir):
    """Records of the tiny release."""
    return read_records(tiny_records_dir)


def _read_clips(records, shards):
    """Name and features of each clip."""
    paths = [records.path_of(shard) for shard in shards]
    settings = (records.features, records.log_mel_dtype)
    for serialized in tf.data.TFRecordDataset(paths).batch(1):
        clip = parse_records(serialized, "weak", *settings)
        rows = decode_first_rows(
            clip.log_mel.values, int(clip.num_stft_frames[0]), *settings
        )
        log_mel = to_float32(clip.log_mel._replace(values=rows))
        yield clip.segment_id[0].numpy().decode(), log_mel[0].numpy()


def _places_of_rows(records):
    """Clip and STFT frame of each row of features, by the row's bytes."""
    return {
        row.tobytes(): (name, number)
        for name, log_mel in _read_clips(records, records.shards)
        for number, row in enumerate(log_mel)
    }


@pytest.fixture(scope="module")
def pinned_places(pinned):
    return _places_of_rows(pinned)


@pytest.fixture(scope="module")
def tiny_places(tiny):
    return _places_of_rows(tiny)


def _take(records, name, number, share=(), **reading):
    """First examples of a stream, as arrays: patches and targets."""
    reading = Reading(**{"seed": 3, "shuffle_block_clips": 8, **reading})
    stream = training_examples(records, get_training_set(name, *share), reading)
    patches, targets = next(iter(stream.batch(number)))
    return patches.numpy(), targets.numpy()


def _clips(records, places, name, number, **reading):
    """Names of the clips of the first examples."""
    patches, _ = _take(records, name, number, **reading)
    return [places[patch[0].tobytes()][0] for patch in patches]


def _assert_equal_batches(expected, found):
    for one, other in zip(expected, found, strict=True):
        assert set(one) == set(other)
        for name, values in one.items():
            np.testing.assert_array_equal(other[name], values)


# --- Pinned ------------------------------------------------------------------

# Published numbers were made with this stream. Whoever changes a hash makes
# `experiments/results` irreproducible, and has to renew Table 1.


def _hash(dataset):
    digest = hashlib.sha256()
    for element in dataset.as_numpy_iterator():
        parts = element
        if isinstance(element, dict):
            parts = [element[name] for name in sorted(element)]
        for part in parts:
            if isinstance(part, bytes):
                digest.update(part)
            else:
                digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize(
    ("name", "seed", "block_clips", "num_skipped", "expected"),
    [
        ("weak", 0, 4, 0, "87f11210d3b5dcc6"),
        ("weak", 0, 1024, 0, "53afb8a57d5ddb3b"),
        ("weak", 7, 10, 83, "e72095517d13337c"),
        ("weak_small", 1, 4, 0, "e7080e91faa39c32"),
        ("diffuse", 2, 7, 5, "1859bc115f633ce5"),
        ("strong", 2, 7, 0, "83d63c50dddeabed"),
        ("strong", 3, 1, 15, "f66eb8181566db1d"),
    ],
)
def test_pinned_examples(
    pinned, name, seed, block_clips, num_skipped, expected
):
    reading = Reading(seed, block_clips, num_skipped)
    stream = training_examples(pinned, get_training_set(name), reading)
    # Two passes of Weak and more of the others.
    assert _hash(stream.take(100)) == expected


@pytest.mark.parametrize(
    ("training_set", "mixed_training_set", "mu", "fraction", "first_step",
     "expected"),
    [
        ("weak", "", 0.0, 1.0, 0, "a40483a9cf47a8f0"),
        ("weak", "strong", 0.8, 1.0, 0, "9a6963dcef5c9880"),
        ("weak_small", "diffuse", 0.3, 1.0, 3, "62409c3b161b5c79"),
        ("weak", "strong", 0.8, 0.4, 0, "b59cc6140e5a1585"),
    ],
)  # fmt: skip
def test_pinned_stream(
    pinned, training_set, mixed_training_set, mu, fraction, first_step, expected
):
    params = TrainParams(
        training_set=training_set,
        mixed_training_set=mixed_training_set,
        mu=mu,
        strong_fraction=fraction,
        strong_fraction_seed=3,  # of no effect on the whole
        global_batch_size=16,
        shuffle_block_clips=8,
        mask_unlabelled_classes=True,
        seed=11,
    )
    stream = training_stream(pinned, params, first_step)
    assert _hash(stream.take(6)) == expected


def test_pinned_label_frames(pinned):
    clips = label_frame_batches(pinned, ["weak", "strong"]).unbatch()
    # Pinned before there was any.
    clips = clips.map(
        lambda clip: {k: v for k, v in clip.items() if k != "audio_seconds"}
    )
    assert _hash(clips) == "ae943ff6bbeed595"


# --- One source --------------------------------------------------------------


@pytest.mark.parametrize("is_deterministic", [True, False])
@pytest.mark.parametrize("name", sorted(_CLIPS))
def test_each_pass_has_every_clip_once(
    pinned, pinned_places, name, is_deterministic
):
    number = len(_CLIPS[name])
    clips = _clips(
        pinned,
        pinned_places,
        name,
        3 * number,
        is_deterministic=is_deterministic,
    )
    passes = np.reshape(clips, [3, number]).tolist()
    for names in passes:
        assert sorted(names) == sorted(_CLIPS[name])
    # Each pass has its own order.
    assert len({tuple(names) for names in passes}) == 3


def _share_of(names, *share):
    return {n for n in names if is_in_strong_fraction(n, *share)}


def test_shares_of_the_pinned_clips_are_neither_empty_nor_all():
    sizes = [len(_share_of(_STRONG, f, 4)) for f in (0.2, 0.4, 0.7, 1.0)]
    assert sizes == [3, 4, 10, 15]


@pytest.mark.parametrize("name", ["weak_small", "strong"])
def test_each_pass_has_every_clip_of_a_share_once(pinned, pinned_places, name):
    share = (0.7, 4)
    expected = _share_of(_CLIPS[name], *share)
    number = len(expected)
    assert 1 < number < len(_CLIPS[name])
    assert count_clips(pinned, get_training_set(name, *share)) == number
    clips = _clips(pinned, pinned_places, name, 3 * number, share=share)
    passes = np.reshape(clips, [3, number]).tolist()
    for names in passes:
        assert sorted(names) == sorted(expected)
    assert len({tuple(names) for names in passes}) == 3


def test_a_share_has_the_windows_of_the_whole(pinned):
    # 10 of 15 clips: the examples of the first pass are among those of all.
    patches, _ = _take(pinned, "strong", 10, share=(0.7, 4))
    whole, _ = _take(pinned, "strong", 15)
    assert {p.tobytes() for p in patches} < {p.tobytes() for p in whole}


@pytest.mark.slow
def test_skipping_in_a_share_is_dropping_the_first(pinned):
    whole = _take(pinned, "diffuse", 40, share=(0.7, 4))
    for num_skipped in (1, 31):
        tail = _take(
            pinned, "diffuse", 40 - num_skipped,
            share=(0.7, 4), num_skipped=num_skipped,
        )  # fmt: skip
        for expected, found in zip(whole, tail):
            np.testing.assert_array_equal(expected[num_skipped:], found)


def test_workers_share_a_share(pinned, pinned_places):
    # Stretches of 7 and 8 clips, in the order of the shards.
    in_order = [f"strong{number:03d}_30000" for number in range(35, 50)]
    for index, stretch in enumerate((in_order[:7], in_order[7:])):
        expected = _share_of(stretch, 0.7, 4)
        clips = _clips(
            pinned,
            pinned_places,
            "strong",
            2 * len(expected),
            share=(0.7, 4),
            worker=InputWorker(index, 2),
        )
        assert sorted(clips) == sorted([*expected, *expected])


def test_a_share_is_of_groups(tiny_records_dir, tmp_path):
    shutil.copytree(tiny_records_dir, tmp_path, dirs_exist_ok=True)
    # Whatever the clips' own names say: three of the six are of each site.
    sites = {f"nukatrain{n:02d}_30000": f"site {n % 2}" for n in range(10)}
    rows = [f"{name}\t{site}\n" for name, site in sites.items()]
    (tmp_path / "groups.tsv").write_text(f"segment_id\tgroup\n{''.join(rows)}")
    records = read_records(str(tmp_path))
    for seed, inside in ((0, [1]), (1, [0]), (2, [0, 1])):
        for site in range(2):
            is_inside = is_in_strong_fraction(f"site {site}", 0.5, seed)
            assert is_inside == (site in inside)
        share = get_training_set("strong", 0.5, seed)
        number = sum(n % 2 in inside for n in (1, 2, 3, 4, 8, 9))
        assert count_clips(records, share) == number


def test_a_share_without_clips_says_so(pinned):
    with pytest.raises(
        InputError, match="strong_fraction 0.001 .* none of the 15 clips .*'str"
    ):
        _take(pinned, "strong", 1, share=(0.001, 0))
    # A worker whose only clip is outside.
    in_order = sorted(_STRONG)
    outside = min(_STRONG - _share_of(_STRONG, 0.4, 4))
    worker = InputWorker(in_order.index(outside), 15)
    with pytest.raises(InputError, match="Input worker .* of 15 has no clip"):
        _take(pinned, "strong", 1, share=(0.4, 4), worker=worker)


def test_held_out_clips_are_not_trained_on(tiny, tiny_places):
    clips = _clips(tiny, tiny_places, "weak", 9)
    assert len(set(clips)) == 9
    assert not set(clips) & {f"{ytid}_30000" for ytid in HELD_OUT}


@pytest.mark.parametrize("name", ["weak_small", "diffuse", "strong"])
def test_targets_are_those_of_the_window(tiny, tiny_places, name):
    patches, targets = _take(tiny, name, 60)
    num_with_tone = 0
    for patch, target in zip(patches, targets):
        clip, start = tiny_places[patch[0].tobytes()]
        assert tiny_places[patch[95].tobytes()] == (clip, start + 95)
        # A tone from 2000 to 6000 ms, half of a window is 480 ms; and noise
        # throughout, which only the strong labels have.
        has_tone = name != "strong" or 1520 <= start * 10 <= 5520
        num_with_tone += has_tone
        tone = _LOW if int(clip[9:11]) % 2 else _HIGH
        expected = np.zeros(4)
        expected[tone], expected[_NOISE] = has_tone, name != "weak_small"
        np.testing.assert_array_equal(target, expected)
    assert (10 < num_with_tone < 50) == (name == "strong")


# weak_small: the manifest does not say how many clips a worker has.
_WORKERS = InputWorker(), InputWorker(1, 2)


@pytest.fixture(scope="module")
def unskipped(pinned):
    """Examples of each worker from the first on."""
    return {
        worker: _take(
            pinned, "weak_small", 50, shuffle_block_clips=4, worker=worker
        )
        for worker in _WORKERS
    }


@pytest.mark.parametrize("worker", _WORKERS)
@pytest.mark.parametrize("num_skipped", [1, 4, 6, 40, *_slow(3, 5, 11, 12)])
def test_skipping_is_dropping_the_first(pinned, unskipped, worker, num_skipped):
    tail = _take(
        pinned, "weak_small", 50 - num_skipped, num_skipped=num_skipped,
        shuffle_block_clips=4, worker=worker,
    )  # fmt: skip
    whole = unskipped[worker]
    for expected, found in zip(whole, tail):
        np.testing.assert_array_equal(expected[num_skipped:], found)


def test_without_order_a_resumed_run_counts_the_same(pinned, pinned_places):
    # Twelve of 15 clips are used; what follows is three more and whole passes.
    clips = _clips(
        pinned,
        pinned_places,
        "strong",
        3 + 15 + 15,
        num_skipped=12,
        is_deterministic=False,
    )
    assert len(set(clips[3:18])) == len(set(clips[18:])) == 15


def test_a_training_set_without_clips_is_refused(pinned):
    weak_only = dataclasses.replace(
        pinned, shards=tuple(pinned.shards_of("weak"))
    )
    with pytest.raises(InputError, match="no clip for the training set 'stro"):
        _take(weak_only, "strong", 1)


# --- Input workers -----------------------------------------------------------


def _shards(sizes):
    return [Shard("weak", f"{i}", 0, n, n, 0) for i, n in enumerate(sizes)]


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.integers(1, 9),
    st.integers(1, 4),
)
def test_shares_are_every_clip_once_and_even(sizes, num_workers, unit):
    shares = [
        [
            (part.shard.name, part.first_clip + number)
            for part in parts_of_worker(
                _shards(sizes), InputWorker(index, num_workers), unit
            )
            for number in range(part.num_clips)
        ]
        for index in range(num_workers)
    ]
    last = next((share for share in reversed(shares) if share), [])
    assert [clip for share in shares for clip in share] == [
        (str(i), number) for i, n in enumerate(sizes) for number in range(n)
    ]
    # In whole units, but for the last clips.
    lengths = [-(-len(share) // unit) for share in shares]
    assert max(lengths) - min(lengths) <= 1
    assert all(len(share) % unit == 0 for share in shares if share != last)


def test_too_many_workers(pinned):
    with pytest.raises(InputError, match="15 clips cannot be shared by 16"):
        _take(pinned, "strong", 1, worker=InputWorker(15, 16))
    with pytest.raises(InputError, match="worker of 0 to 1. Received: 2"):
        InputWorker(2, 2)
    # Fifteen clips and fifteen workers, but four clips have no weak labels.
    with pytest.raises(InputError, match="worker 1 of 15 has no clip.*fewer"):
        _take(pinned, "weak_small", 1, worker=InputWorker(1, 15))


# There are nine weak and two strong shards: three workers are more than these.
@pytest.mark.parametrize(
    ("name", "num_workers"),
    [("weak", 2), ("strong", 3), *_slow(("weak", 3), ("weak_small", 5))],
)
def test_workers_share_a_pass(pinned, pinned_places, name, num_workers):
    shares = []
    for index in range(num_workers):
        worker = InputWorker(index, num_workers)
        clips = _clips(pinned, pinned_places, name, 92, worker=worker)
        # A pass ends where the first clip comes again.
        length = len(set(clips))
        assert sorted(clips[:length]) == sorted(clips[length : 2 * length])
        shares.append(clips[:length])
    counts = collections.Counter(clip for share in shares for clip in share)
    assert set(counts) == _CLIPS[name]
    assert set(counts.values()) == {1}


@pytest.mark.slow
def test_batches_of_workers(pinned):
    sources = []
    for index in range(3):
        worker = InputWorker(index, 3)
        batches = list(training_stream(pinned, _PARAMS, worker=worker).take(50))
        assert {len(batch["patches"]) for batch in batches} == {4}
        sources.append(np.concatenate([batch["source"] for batch in batches]))
        # A resumed worker goes on where it was.
        tail = training_stream(pinned, _PARAMS, first_step=48, worker=worker)
        _assert_equal_batches(batches[48:], tail.take(2))
    # Each worker mixes on its own: 200 choices, standard error 0.035.
    assert all(abs(source.mean() - 0.5) < 0.15 for source in sources)
    assert (sources[0] != sources[1]).any()


# --- Batches -----------------------------------------------------------------


def test_a_batch_that_cannot_be_shared(pinned):
    with pytest.raises(
        InputError, match="of 12 cannot be shared.*multiple of 24"
    ):
        training_stream(pinned, _PARAMS, 0, InputWorker(0, 3), 8)


@pytest.mark.parametrize(
    ("mixed", "log_mel_dtype", "deterministic_input", "num_workers"),
    [
        ("", "float16", True, 1),
        ("strong", "uint8", False, 2),
        *_slow(
            ("", "uint8", False, 2),
            ("strong", "float16", False, 2),
            ("strong", "uint8", True, 1),
        ),
    ],
)
def test_shapes_are_static(
    tmp_path, mixed, log_mel_dtype, deterministic_input, num_workers
):
    records = write_pinned_records(tmp_path, log_mel_dtype)
    params = dataclasses.replace(
        _PARAMS,
        mixed_training_set=mixed,
        deterministic_input=deterministic_input,
    )
    worker = InputWorker(0, num_workers)
    stream = training_stream(records, params, worker=worker)
    size = 12 // num_workers
    assert stream.element_spec == {
        "patches": tf.TensorSpec([size, 96, 64], tf.float32),
        "targets": tf.TensorSpec([size, 4], tf.float32),
        "target_mask": tf.TensorSpec([size, 4], tf.float32),
        "source": tf.TensorSpec([size], tf.float32),
    }
    [batch] = stream.take(1)
    assert batch["patches"].shape == (size, 96, 64)


def test_8_bits_change_the_features_and_nothing_else(pinned, tmp_path):
    quantised = write_pinned_records(tmp_path, "uint8")
    both = [training_stream(r, _PARAMS).take(6) for r in (pinned, quantised)]
    # Features are in [-16, 16): a step is 32 / 255.
    for exact, found in zip(*both):
        error = np.abs(found["patches"] - exact["patches"]).max()
        assert 0.01 < error <= 32 / 255 / 2 + 1e-5
        for name in ("targets", "target_mask", "source"):
            np.testing.assert_array_equal(found[name], exact[name])


# --- Mixing ------------------------------------------------------------------


def _choices(mixture, first_example, number):
    stream = mixture.choices(first_example).batch(number).take(1)
    return next(stream.as_numpy_iterator())


@pytest.fixture(scope="module")
def unequal_records(pinned, tmp_path_factory):
    """300 clips with weak labels, 6 with strong ones; a patch of audio each."""
    folder = tmp_path_factory.mktemp("unequal")
    shards = []
    for group, number in (("weak", 300), ("strong", 6)):
        path = folder / f"{group}-00000-of-00001.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for index in range(number):
                log_mel = np.full([96, 64], index, np.float32)
                events = {group: class_events([(0, 0.0, 10.0)])}
                record = ClipRecord(f"{group}{index}_0", log_mel, 1.0, events)
                writer.write(serialize_record(record))
        counts = (number, 0) if group == "weak" else (0, number)
        num_bytes = path.stat().st_size
        shards.append(Shard(group, path.name, num_bytes, number, *counts))
    return dataclasses.replace(
        pinned, records_dir=str(folder), shards=tuple(shards)
    )


def test_the_realised_share_is_mu(unequal_records):
    params = dataclasses.replace(_PARAMS, global_batch_size=50, mu=0.2, seed=5)
    stream = training_stream(unequal_records, params).take(100)
    source = np.concatenate([batch["source"] for batch in stream])
    # The small source does not run dry. Four standard errors:
    for choices in (source, source[:1000], source[-1000:]):
        limit = 4 * np.sqrt(0.2 * 0.8 / len(choices))
        assert abs(choices.mean() - 0.2) <= limit
    np.testing.assert_array_equal(source, _choices(Mixture(0.2, 5), 0, 5000))


@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_the_ends_are_exact(pinned, mu):
    params = dataclasses.replace(_PARAMS, mu=mu)
    stream = training_stream(pinned, params).take(3)
    assert {float(s) for b in stream for s in b["source"]} == {mu}
    assert (_choices(Mixture(mu, 0), 0, 70000) == mu).all()


def test_counts_are_those_of_the_choices():
    mixture = Mixture(0.3, seed=7)
    block = streams._CHOICES_PER_BLOCK
    chosen = _choices(mixture, 0, 3 * block)
    for number in (0, 1, 1000, block - 1, block, block + 1, 2 * block + 77):
        assert mixture.count_second(number) == chosen[:number].sum()
        np.testing.assert_array_equal(
            _choices(mixture, number, 500), chosen[number : number + 500]
        )
    other = _choices(Mixture(0.3, seed=8), 0, 100)
    assert not np.array_equal(other, chosen[:100])


@pytest.mark.parametrize("mu", [-0.1, 1.1, float("nan")])
def test_mu_is_a_probability(mu):
    with pytest.raises(InputError, match="Expected 0 <= mu <= 1"):
        Mixture(mu, 0)


@pytest.mark.parametrize(
    ("mixed", "first_step"),
    [("", 3), ("diffuse", 4), *_slow(("strong", 1), ("strong", 7))],
)
def test_a_resumed_stream_is_the_tail_of_the_stream(pinned, mixed, first_step):
    params = dataclasses.replace(
        _PARAMS, mixed_training_set=mixed, mu=0.4, global_batch_size=7
    )
    whole = list(training_stream(pinned, params).take(10))
    tail = training_stream(pinned, params, first_step).take(10 - first_step)
    _assert_equal_batches(whole[first_step:], tail)


def test_two_sources_of_the_same_clips_draw_other_windows(pinned):
    params = dataclasses.replace(
        _PARAMS, training_set="diffuse", global_batch_size=50
    )
    [batch] = training_stream(pinned, params).take(1)
    patches = collections.defaultdict(set)
    for patch, source in zip(batch["patches"].numpy(), batch["source"].numpy()):
        patches[source].add(patch.tobytes())
    # One clip, of 96 STFT frames and some, has few windows.
    assert len(patches[0] & patches[1]) <= 1


def test_classes_without_labels_are_masked_on_demand(pinned):
    counts = {"weak": [0, 7, 1, 2], "strong": [1, 1, 3, 0]}
    records = dataclasses.replace(pinned, events_per_class=counts)
    for name in _CLIPS:
        for is_masked in (False, True):
            mask = class_mask(records, get_training_set(name), is_masked)
            expected = [1, 1, 1, 1]
            if is_masked:
                expected[0 if name.startswith("weak") else 3] = 0
            assert mask.tolist() == expected
    # Of a share, its own labels count.
    share = (0.15, 10)
    mask = class_mask(pinned, get_training_set("strong", *share), True)
    number = len(_share_of(_STRONG, *share))
    targets = _take(pinned, "diffuse", number, share=share)[1]
    np.testing.assert_array_equal(mask, targets.max(axis=0))
    assert 0 < mask.sum() < 4
    params = dataclasses.replace(_PARAMS, mask_unlabelled_classes=True)
    [batch] = training_stream(pinned, params).take(1)
    is_mixed = batch["source"].numpy() == 1
    assert is_mixed.any()
    np.testing.assert_array_equal(batch["target_mask"][:, 3], ~is_mixed)


# --- Label frames ------------------------------------------------------------


def test_label_frames_of_held_out_clips(tiny):
    [batch] = label_frame_batches(tiny, ["held_out"])
    assert batch["patches"].shape == (4, 10, 96, 64)
    assert batch["num_label_frames"].numpy().tolist() == [10] * 4
    for segment_id, targets in zip(
        batch["segment_id"].numpy(), batch["targets"].numpy()
    ):
        tone = _LOW if int(segment_id[9:11]) % 2 else _HIGH
        # Noise all along; a tone from 2.0 to 6.0 s: 0.88 s of label frame 2
        # and 0.24 s of label frame 6.
        assert targets[:, _NOISE].tolist() == [1] * 10
        assert np.flatnonzero(targets[:, tone]).tolist() == [2, 3, 4, 5]
        assert targets.sum() == 14


def test_label_frames_are_the_consecutive_patches(tiny):
    _, log_mel = next(_read_clips(tiny, tiny.shards_of("held_out")))
    [batch] = label_frame_batches(tiny, ["held_out"])
    np.testing.assert_array_equal(
        tf.reshape(batch["patches"][0], [960, 64]), log_mel[:960]
    )


def test_label_frames_beyond_the_audio_are_not_counted(tiny):
    clips = {
        clip["segment_id"].numpy(): clip
        for clip in label_frame_batches(tiny, ["weak"], "weak").unbatch()
    }
    # 4 s are 398 STFT frames: four whole label frames.
    short = clips[b"nuka_weak03_0"]
    assert short["num_label_frames"] == 4
    assert not short["patches"][4:].numpy().any()
    assert short["patches"][:4].numpy().all()
    assert short["targets"].numpy()[0].tolist() == [0, 1, 1, 0]
    assert clips[b"nuka_weak00_0"]["num_label_frames"] == 10


def test_groups_without_clips(tiny):
    with pytest.raises(InputError, match=r"no clip in the groups \['none'\]"):
        label_frame_batches(tiny, ["none"])


# --- Clips of any length -----------------------------------------------------


@pytest.fixture(scope="module")
def any_length(tmp_path_factory):
    """Clips of 1 to 121 s; three of them without an event."""
    clips = [
        ("long", 121.0, {"strong": [(_NOISE, 100.0, 101.0)], "weak": []}),
        ("silent 1", 7.7, {"strong": []}),
        ("short", 1.9, {"strong": [(_LOW, 0.3, 1.9)]}),
        ("silent 2", 1.0, {"strong": []}),
        ("weak only", 30.0, {"weak": [(_HIGH, 0.0, 30.0)]}),
        ("silent 3", 24.0, {"strong": []}),
    ]
    return write_clips(tmp_path_factory.mktemp("any_length"), clips)


def test_label_frames_are_as_many_as_fit(any_length):
    clips = {
        clip["segment_id"].numpy().decode(): clip
        for clip in label_frame_batches(any_length, ["strong"]).unbatch()
    }
    found = {n: int(c["num_label_frames"]) for n, c in clips.items()}
    # 24 s hold 25 label frames, but the last STFT window ends 15 ms later.
    assert found == {
        "long": 126,
        "silent 1": 8,
        "short": 1,
        "silent 2": 1,
        "weak only": 31,
        "silent 3": 24,
    }
    positives = {
        n: np.argwhere(c["targets"]).tolist() for n, c in clips.items()
    }
    # 100.0 to 101.0 s: 0.80 s of frame 104 and 0.2 s of the next.
    assert positives.pop("long") == [[104, _NOISE]]
    assert positives.pop("short")[0] == [0, _LOW]
    assert not any(positives.values())


def test_clips_without_events_are_negatives(any_length):
    # A pass is five clips; the sixth is not known to the strong labels.
    params = TrainParams(training_set="strong", global_batch_size=100)
    [batch] = training_stream(any_length, params).take(1)
    starts = batch["patches"].numpy()[:, 0, 0]
    targets = batch["targets"].numpy()
    assert (batch["target_mask"].numpy() == 1).all()
    # Three of five clips have no event, and a second in the long one is rare.
    assert 60 <= (targets.sum(axis=1) == 0).sum() < 85
    assert (targets[:, _LOW].sum(), targets[:, _HIGH].sum()) == (20, 0)
    # The windows of a long clip are anywhere in it, at 10 ms.
    assert starts.max() > 9000


def test_diffuse_events_span_clips_of_any_length(any_length):
    params = TrainParams(training_set="diffuse", global_batch_size=50)
    [batch] = training_stream(any_length, params).take(1)
    assert batch["targets"].numpy().sum(axis=0).tolist() == [10, 0, 10, 0]


def test_long_clips_are_parsed_a_few_at_a_time(any_length):
    def sizes(num_label_frames):
        label_frames = dataclasses.replace(
            any_length.label_frames, num_label_frames=num_label_frames
        )
        records = dataclasses.replace(any_length, label_frames=label_frames)
        batches = label_frame_batches(records, ["strong"])
        return [len(batch["segment_id"]) for batch in batches]

    # An hour has 3,750 label frames, of which 2,048 are read at a time.
    assert [sizes(n) for n in (128, 600, 3750)] == [[6], [3, 3], [1] * 6]
