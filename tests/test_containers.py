"""Audio in Parquet files and tars: the same as in files; nothing is trusted."""

import io
import json
import os
import pickle
import re
import shutil
import struct
import tarfile
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audio_bytes import encode, noise

from audioset_strong import files
from audioset_strong.audio import containers
from audioset_strong.audio.container_labels import read_container_labels
from audioset_strong.audio.containers import (
    container_of,
    is_member,
    list_container,
    open_member,
    row_groups_of,
)
from audioset_strong.audio.decode import AudioError, decode_audio
from audioset_strong.audio.listing import (
    find_audio,
    index_listing,
    list_audio,
    survey_audio,
)
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import ClassMap, KnownClasses
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.params import RecordParams
from audioset_strong.records.importing import import_labels
from audioset_strong.records.plan import Plan, plan_shards
from audioset_strong.records.prepare import WorkerParams, prepare_records
from audioset_strong.records.schema import read_frames
from audioset_strong.records.tasks import Clip, ShardSettings

_MIDS = ("/m/09x0r", "/m/04rlf", "/t/dd00012")
_NAMES = ("Speech", "Music", "Child speech, kid speaking")
_KNOWN = KnownClasses(ClassMap(_MIDS, _NAMES))
_NUM_CLIPS = 11


def _ytid(number):
    return f"{number:02d}-a_B3d.x{number}"[:11].replace(".", "_").ljust(11, "Z")


def _segment_id(number):
    return f"{_ytid(number)}_{30000 + 1000 * number}"


def _content(number):
    """Audio of several rates and lengths, FLAC as in the hosted copies."""
    rate = (16000, 44100, 48000)[number % 3]
    samples = noise(rate * (2 + number % 4), 1 + number % 2, seed=number)
    return encode(samples, rate, "FLAC" if number % 4 else "WAV")


_CONTENTS = [_content(number) for number in range(_NUM_CLIPS)]


def _extension(number):
    return "flac" if number % 4 else "wav"


def _mids(number):
    return [_MIDS[number % 3], _MIDS[(number + 1) % 3]]


def _events(number):
    # Three digits and more, as decimal numbers come out of a computation.
    return [
        (0.1 * number, 0.1 * number + 0.5, number % 3),
        (0.7, 1.0000000001, (number + 1) % 3),
    ]


def _write_tar(path, members, tar_format=tarfile.GNU_FORMAT):
    with tarfile.open(path, "w", format=tar_format) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def _write_parquet(path, row_group_size=4, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)


def _audio_column(paths=True):
    return [
        {
            "bytes": _CONTENTS[i],
            "path": f"{_ytid(i)}.{_extension(i)}" if paths else None,
        }
        for i in range(_NUM_CLIPS)
    ]


def _write_agkphysics(folder):
    _write_parquet(
        folder / "00.parquet",
        video_id=[_ytid(i) for i in range(_NUM_CLIPS)],
        audio=_audio_column(paths=False),
        labels=[_mids(i) for i in range(_NUM_CLIPS)],
        human_labels=[
            [_NAMES[_MIDS.index(mid)] for mid in _mids(i)]
            for i in range(_NUM_CLIPS)
        ],
    )


def _write_enyoukai(folder):
    _write_parquet(
        folder / "train.parquet",
        row_group_size=3,
        video_id=[_ytid(i) for i in range(_NUM_CLIPS)],
        audio=_audio_column(),
        labels=[_mids(i) for i in range(_NUM_CLIPS)],
        events=[
            [
                {"event_name": _NAMES[index], "start": onset, "end": offset}
                for onset, offset, index in _events(i)
            ]
            for i in range(_NUM_CLIPS)
        ],
    )


def _write_confit(folder):
    members = []
    for i in range(_NUM_CLIPS):
        key = f"sample-{i:09d}"
        description = {
            "id": _ytid(i),
            "label": [_NAMES[_MIDS.index(mid)] for mid in _mids(i)],
            "label_id": [500 - i, 3],
        }
        members.append((f"{key}.json", json.dumps(description).encode()))
        members.append((f"{key}.{_extension(i)}", _CONTENTS[i]))
    _write_tar(folder / "0000.tar", members[:8])
    _write_tar(folder / "0001.tar", members[8:], tarfile.PAX_FORMAT)


def _write_clap(folder):
    _write_parquet(
        folder / "data.parquet",
        audio=_audio_column(),
        text=[_NAMES[i % 3] for i in range(_NUM_CLIPS)],
    )


def _write_plain(folder):
    _write_parquet(
        folder / "plain.parquet",
        id=[_segment_id(i) for i in range(_NUM_CLIPS)],
        audio=_CONTENTS,
    )


_LAYOUTS = {
    "agkphysics": _write_agkphysics,
    "enyoukai": _write_enyoukai,
    "confit": _write_confit,
    "clap": _write_clap,
    "plain": _write_plain,
}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Folder of the clips in files, in each layout, and of label files."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "files").mkdir()
    weak = ["# a", "# b", "# YTID, start_seconds, end_seconds, positive_labels"]
    strong = ["segment_id\tstart_time_seconds\tend_time_seconds\tlabel"]
    for i in range(_NUM_CLIPS):
        path = folder / "files" / f"{_segment_id(i)}.{_extension(i)}"
        path.write_bytes(_CONTENTS[i])
        weak.append(
            f'{_ytid(i)}, {30 + i}.000, {40 + i}.000, "{",".join(_mids(i))}"'
        )
        if i % 2:
            strong += [
                f"{_segment_id(i)}\t{onset:.3f}\t{offset:.3f}\t{_MIDS[index]}"
                for onset, offset, index in _events(i)
            ]
    (folder / "weak.csv").write_text("\n".join(weak) + "\n")
    (folder / "strong.tsv").write_text("\n".join(strong) + "\n")
    classes = [f'{i},{_MIDS[i]},"{_NAMES[i]}"' for i in range(3)]
    (folder / "classes.csv").write_text(
        "\n".join(["index,mid,display_name", *classes]) + "\n"
    )
    for name, write in _LAYOUTS.items():
        (folder / name).mkdir()
        write(folder / name)
    return folder


def _read_records(manifest, output_dir):
    """Returns all records, with the groups of their shards."""
    return {
        (shard["group"], serialized)
        for shard in manifest["shards"]
        for serialized in read_frames(
            files.read_bytes(f"{output_dir}/{shard['name']}")
        )
    }


def _prepare(release, audio_dir, output_dir, held_out_fraction=0.3):
    """Returns the manifest and all records, by shards' groups."""
    manifest = prepare_records(
        str(audio_dir),
        [str(release / "weak.csv")],
        [str(release / "strong.tsv")],
        str(release / "classes.csv"),
        str(output_dir),
        RecordParams(held_out_fraction, clips_per_shard=3),
        workers=WorkerParams(num_workers=1),
    )
    return manifest, _read_records(manifest, output_dir)


@pytest.fixture(scope="module")
def expected_records(release, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("records")
    return _prepare(release, release / "files", output_dir)[1]


# --- The same as files ------------------------------------------------------


@pytest.mark.parametrize("layout", list(_LAYOUTS))
def test_records_are_those_of_files(
    layout, release, expected_records, tmp_path
):
    manifest, records = _prepare(release, release / layout, tmp_path)
    assert len(records) == _NUM_CLIPS
    assert records == expected_records
    assert not manifest["left_out"]


def test_one_container_will_do(release, expected_records, tmp_path):
    path = release / "enyoukai" / "train.parquet"
    assert _prepare(release, path, tmp_path)[1] == expected_records


def test_files_and_containers_mix(release, expected_records, tmp_path):
    audio = tmp_path / "audio"
    shutil.copytree(release / "agkphysics", audio / "parquet")
    table = pq.read_table(audio / "parquet" / "00.parquet")
    pq.write_table(table[:5], audio / "parquet" / "00.parquet")
    # WebDataset's keys end at the first point.
    members = [(f"Y{_ytid(i)}.mp4.wav", _CONTENTS[i]) for i in (5, 6)]
    _write_tar(audio / "x.tar", members)
    for i in range(7, _NUM_CLIPS):
        name = f"{_segment_id(i)}.{_extension(i)}"
        shutil.copy(release / "files" / name, audio / name)
    _write_parquet(audio / "labels.parquet", x=[1])
    assert _prepare(release, audio, tmp_path / "out")[1] == expected_records


def test_containers_in_object_storage(
    release, expected_records, s3_dir, tmp_path
):
    for layout in ("enyoukai", "confit"):
        for path, _ in files.list_files(release / layout):
            name = os.path.basename(path)
            with files.replace_when_whole(f"{s3_dir}/{layout}/{name}") as copy:
                shutil.copy(path, copy)
        audio_dir, output_dir = f"{s3_dir}/{layout}", tmp_path / layout
        assert _prepare(release, audio_dir, output_dir)[1] == expected_records
    path = f"{s3_dir}/enyoukai/train.parquet"
    assert len(list_audio(path).paths) == _NUM_CLIPS
    with pytest.raises(AudioError, match="missing"):
        decode_audio(f"{s3_dir}/enyoukai/gone.tar#bytes=0+10", 16000)


def test_webdataset_writes_what_is_read(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
        for i in range(3):
            writer.write(
                {
                    "__key__": f"sample-{i}",
                    _extension(i): _CONTENTS[i],
                    "json": {"id": _ytid(i), "label": [_NAMES[i]]},
                }
            )
    labels = read_container_labels([str(tmp_path / "a.tar")], _KNOWN)
    assert labels.audio_index["segment_id"].tolist() == [
        _ytid(i) for i in range(3)
    ]
    for i, path in enumerate(labels.audio_index["path"]):
        assert open_member(path).read() == _CONTENTS[i]


@pytest.mark.parametrize(
    "tar_format",
    [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT],
)
def test_tars_of_every_format(tar_format, tmp_path):
    folder = "long/" * 18 + "end"
    is_ustar = tar_format == tarfile.USTAR_FORMAT
    names = [f"{folder}/{'é' * (20 if is_ustar else 90)}.wav", "b.x.wav"]
    path = str(tmp_path / "a.TAR")
    _write_tar(path, [(n, n.encode()) for n in names], tar_format)
    members = list_container(path).members
    assert [m.name for m in members] == names
    assert [open_member(m.path).read().decode() for m in members] == names
    # The name to the last point, and WebDataset's key.
    assert members[1].keys == ("b.x", "b")


def test_joined_tars_are_read_to_the_end(tmp_path):
    for number in range(3):
        _write_tar(tmp_path / f"{number}.tar", [(f"{number}.wav", b"12345")])
    parts = [(tmp_path / f"{n}.tar").read_bytes() for n in range(3)]
    (tmp_path / "all.tar").write_bytes(b"".join(parts))
    container = list_container(str(tmp_path / "all.tar"))
    assert [m.name for m in container.members] == ["0.wav", "1.wav", "2.wav"]
    assert not container.note


def test_a_locator_is_an_exact_form(tmp_path):
    assert is_member("a#b/c#1.tar#bytes=0+7")
    assert container_of("a#b/c#1.tar#bytes=0+7") == "a#b/c#1.tar"
    assert container_of("s3://b/X.PARQUET#row=12") == "s3://b/X.PARQUET"
    for path in (
        "a.wav#row=1",
        "a.tar#row=1",
        "a.tar#bytes=1",
        "a.tar#bytes=01+2",
        "a.tar#bytes=-1+2",
        "a.tar#bytes=1+2.wav",
        "a.parquet#row=1 ",
        "a.parquet#row=",
        "#1.wav",
    ):
        assert not is_member(path)
        assert container_of(path) == path
    path = tmp_path / "take #3.tar#row=1.wav"
    path.write_bytes(_CONTENTS[0])
    assert decode_audio(str(path), 16000).file_seconds == 2


def test_rows_in_any_order(release):
    path = str(release / "enyoukai" / "train.parquet")
    for row in (10, 3, 4, 4, 0, 9, 8, 2):
        assert open_member(f"{path}#row={row}").read() == _CONTENTS[row]


def test_a_row_group_is_in_one_shard(release):
    paths = [
        str(release / "agkphysics" / "00.parquet"),
        str(release / "enyoukai" / "train.parquet"),
    ]
    clips = [
        Clip(f"{n}-{path[-9]}", f"{path}#row={n}", 10.0, {"weak": []})
        for n in reversed(range(_NUM_CLIPS))
        for path in paths
    ]
    clips += [Clip(f"file{n}", f"{n}.wav", 10.0, {"weak": []}) for n in "ab"]
    # A row that is not there, and a file: their clips will say so.
    clips.append(Clip("no row", f"{paths[0]}#row=99", 10.0, {"weak": []}))
    clips.append(Clip("no file", "gone.parquet#row=0", 10.0, {"weak": []}))
    groups = row_groups_of(clip.audio_path for clip in clips)
    assert groups[f"{paths[0]}#row=10"] == (f"{paths[0]}#2", 10)
    assert len(groups) == 2 * _NUM_CLIPS
    tasks = plan_shards(Plan({"weak": clips}, {}), "out", 4, ShardSettings())
    shard_of_group = {}
    for task in tasks:
        rows = [
            groups[c.audio_path] for c in task.clips if c.audio_path in groups
        ]
        assert rows == sorted(rows)
        for group, _ in rows:
            assert shard_of_group.setdefault(group, task.name) == task.name
    assert len(shard_of_group) == 3 + 4
    assert sum(len(task.clips) for task in tasks) == len(clips)


def test_coverage_counts_members(release):
    survey = survey_audio(
        str(release / "confit"), [_segment_id(i) for i in range(5)]
    )
    assert survey.num_of_scheme == {"<ytid>": 5}
    assert len(survey.matches.unmatched_paths) == _NUM_CLIPS - 5


def test_members_of_no_clip_are_called_by_their_names(
    release, tmp_path, caplog
):
    audio = [*_audio_column(), {"bytes": _CONTENTS[0], "path": "other.wav"}]
    _write_parquet(tmp_path / "a.parquet", audio=audio)
    with caplog.at_level("INFO", logger="absl"):
        _prepare(release, tmp_path / "a.parquet", tmp_path / "out")
    assert f"a.parquet#row={_NUM_CLIPS}" in caplog.text
    assert "(called 'other')" in caplog.text


def test_a_replaced_container_is_noticed(release, tmp_path):
    # Same offsets and names, another size and other audio.
    audio = tmp_path / "audio"
    audio.mkdir()
    path, names = audio / "a.tar", [f"{_ytid(i)}.flac" for i in range(2)]
    _write_tar(path, [(name, _CONTENTS[1]) for name in names])
    first = _prepare(release, audio, tmp_path / "out", 0.0)[1]
    members = [(names[0], _CONTENTS[1]), (names[1], _CONTENTS[2])]
    _write_tar(path, [*members, ("more.txt", bytes(20000))])
    second = _prepare(release, audio, tmp_path / "out", 0.0)[1]
    assert len(first) == len(second) == 2
    assert len(first & second) == 1
    # Nor is what was read last kept in memory beyond that.
    table = {"video_id": ["a", "b"], "audio": [_CONTENTS[0], _CONTENTS[1]]}
    path = audio / "b.parquet"
    for contents in (_CONTENTS[:2], _CONTENTS[2:4]):
        _write_parquet(path, **{**table, "audio": contents})
        assert open_member(f"{path}#row=1").read() == contents[1]


# --- Labels inside ----------------------------------------------------------


def _paths(folder):
    return [path for path, _ in files.list_files(folder)]


@pytest.mark.parametrize("layout", ["agkphysics", "enyoukai", "confit", "clap"])
def test_labels_lie_beside_the_audio(layout, release):
    labels = read_container_labels(_paths(release / layout), _KNOWN)
    ids = [_ytid(i) for i in range(_NUM_CLIPS)]
    assert labels.audio_index["segment_id"].tolist() == ids
    for i, path in enumerate(labels.audio_index["path"]):
        assert open_member(path).read() == _CONTENTS[i]
    assert labels.weak["segment_id"].tolist() == ids
    is_clap = layout == "clap"
    assert labels.weak["mids"].tolist() == [
        tuple(_mids(i)[:1] if is_clap else _mids(i)) for i in range(_NUM_CLIPS)
    ]
    assert labels.weak["start_seconds"].eq(0).all()
    assert labels.weak["end_seconds"].isna().all()
    if layout != "enyoukai":
        assert labels.strong is None
        return
    expected = [
        (_ytid(i), round(onset, 3), round(offset, 3), _MIDS[index])
        for i in range(_NUM_CLIPS)
        for onset, offset, index in _events(i)
    ]
    assert list(labels.strong.itertuples(index=False, name=None)) == expected


@pytest.mark.parametrize(
    ("layout", "label_format"),
    [
        ("agkphysics", "parquet"),
        ("enyoukai", "parquet"),
        ("confit", "webdataset"),
        ("clap", "parquet"),
    ],
)
def test_imported_layouts_give_the_records_of_files(
    layout, label_format, release, tmp_path
):
    own = tmp_path / "own"
    classes = str(release / "classes.csv")
    import_labels(str(release / layout), label_format, "", str(own), classes)
    index = (own / "audio_index.tsv").read_text()
    for i in range(_NUM_CLIPS):
        path = release / "files" / f"{_segment_id(i)}.{_extension(i)}"
        index = re.sub(rf"(?m)^({_ytid(i)}\t)[^\t]*", rf"\g<1>{path}", index)
    (own / "files.tsv").write_text(index)
    assert index.count("/files/") == _NUM_CLIPS
    records = []
    for name in ("audio_index.tsv", "files.tsv"):
        manifest = prepare_records(
            "",
            [str(p) for p in own.glob("weak.csv")],
            [str(p) for p in own.glob("strong.tsv")],
            str(own / "class_map.csv"),
            str(tmp_path / name),
            RecordParams(held_out_fraction=0.0, clips_per_shard=4),
            workers=WorkerParams(num_workers=1),
            clips_path=str(own / "clips.tsv"),
            audio_index_path=str(own / name),
        )
        records.append(_read_records(manifest, tmp_path / name))
    assert records[0] == records[1]
    assert len(records[0]) == _NUM_CLIPS


def test_a_struct_of_lists_is_a_list_of_events(tmp_path):
    path = str(tmp_path / "a.parquet")
    events = {"event_name": ["Music", "/m/0x"], "start": [1, 2], "end": [2, 9]}
    _write_parquet(path, id=["x"], audio=[b"1"], events=[events])
    labels = read_container_labels([path], _KNOWN)
    assert labels.strong["mid"].tolist() == ["/m/04rlf", "/m/0x"]
    assert labels.weak is None


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("labels", ["Wind"], "display name of a class, found 'Wind'"),
        ("labels", ["Twin"], "'Twin' is the name of /m/1 and /m/2"),
        ("text", "a dog barks while it rains", "display name of a class"),
        ("text", "", "display name of a class, found ''"),
        ("label", [3], "found 3"),
        ("events", [{"event_name": "Hum", "start": 0, "end": 1}], "'Hum'"),
        ("events", [{"event_name": "/m/1", "start": 2, "end": 2}], "2 to 2 s"),
        ("events", [{"event_name": "/m/1", "start": -1, "end": 2}], "onset"),
        (
            "events",
            [{"event_name": "/m/1", "start": 0, "end": float("nan")}],
            "offset of an event in seconds, found nan",
        ),
        ("events", [{"event_name": "/m/1", "start": 0}], "with end or offset"),
        ("events", "Speech 0 1", "list of events"),
        ("video_id", "a\tb", r"without tabs, found 'a\\tb'"),
        ("video_id", "same", "'same' is also .*#row=0"),
    ],
)
def test_labels_that_cannot_be_used_are_named(column, value, message, tmp_path):
    known = KnownClasses(None, {"/m/1": "Twin", "/m/2": "Twin"})
    path = str(tmp_path / "a.parquet")
    columns = {"video_id": ["same", "b", "c"], "audio": [b"1", b"2", b"3"]}
    columns["labels"] = [["/m/1"]] * 3
    if column not in columns:
        columns.pop("labels" if column in ("text", "label") else "", None)
        columns[column] = [None, value, None]
    else:
        columns[column][1] = value
    columns.setdefault("human_labels", [["/m/2"]] * 3)
    if column in ("text", "label"):
        columns["human_labels"] = [["/m/2"], None, ["/m/2"]]
    _write_parquet(path, **columns)
    with pytest.raises(InputError, match=f"a.parquet:2: .*{message}"):
        read_container_labels([path], known)
    log = ProblemLog(skip_bad_lines=True)
    labels = read_container_labels([path], known, log)
    assert log.num_left_out == 1
    assert labels.audio_index["segment_id"].tolist() == ["same", "c"]
    assert labels.weak["segment_id"].tolist() == ["same", "c"]


def test_containers_without_labels_are_refused(release):
    paths = _paths(release / "plain")
    with pytest.raises(InputError, match=r"audio with labels in .*plain\.parq"):
        read_container_labels(paths, _KNOWN)


# --- What cannot be trusted -------------------------------------------------


def _header(name=b"a.wav", size=0, kind=b"0", size_field=None):
    """A header of a tar with any size, however absurd, and a right sum."""
    info = tarfile.TarInfo(name.decode())
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT)[:512])
    block[124:136] = size_field or b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _padded(content):
    return content + bytes(-len(content) % 512)


_GOOD = _header(b"good.wav", 4) + _padded(b"good")
_END = bytes(1024)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (b"x" * 512 + _END, "no header of a file at byte 1,024"),
        (_header(size=1 << 33, size_field=b"\x80" + bytes(6) + b"\2" + bytes(4))
         + _END, "has 8,589,934,592 bytes, only 1,024 follow"),
        (_header(size_field=b"\xff" * 11 + b"\0") + _END, "has -"),
        (_header(size=2000) + bytes(1000), "has 2,000 bytes, only 1,000"),
        (_header(kind=b"x", size=2048) + b"9" * 2048 + _END, "pax header"),
        (_header(kind=b"x", size=10) + _padded(b"99 path=a\n") + _END, "pax"),
        (_header(kind=b"x", size=12)
         + _padded(b"12 size=-5\n\n") + _header() + _END, "pax|has -5"),
        (_header(kind=b"x", size=11)
         + _padded(b"11 size=1e3") + _header() + _END, "no header"),
        (_header(kind=b"L", size=2 << 20) + bytes(2 << 20) + _END,
         "a header of 2,097,152 bytes"),
        (_header(kind=b"L", size=5) + _padded(b"a.wav"), "without an end"),
        (b"", "it ends at byte 1,024 without an end"),
        (_header()[:300], "truncated header"),
    ],
)  # fmt: skip
def test_damaged_tars_give_what_comes_before(damage, message, tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(_GOOD + damage)
    container = list_container(str(path))
    [member] = container.members[:1]
    assert open_member(member.path).read() == b"good"
    assert len(container.members) == 1
    assert pd.Series([container.note]).str.contains(message).all()
    assert "The 1 files before that are used" in container.note
    assert "\n" not in container.note
    # Without a first file there is nothing to use.
    path.write_bytes(damage)
    with pytest.raises(InputError, match=r"a\.tar is no tar that can be read"):
        list_container(str(path))


def test_only_regular_files_count(tmp_path):
    path = tmp_path / "a.tar"
    names = ("../../etc/passwd.wav", "/abs/olute.wav", "a\nb.wav", "..")
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
        for kind in (
            *(tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE),
            *(tarfile.FIFOTYPE, tarfile.DIRTYPE),
        ):
            info = tarfile.TarInfo(f"x{kind.decode()}.wav")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    whole = path.read_bytes().rstrip(b"\0")
    sparse = bytearray(_header(b"s.wav", 512, b"S"))
    sparse[482:483] = b"\1"
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    pax = b"22 GNU.sparse.major=1\n"
    path.write_bytes(
        _padded(whole) + bytes(sparse) + bytes(512) + b"s" * 512
        + _header(kind=b"x", size=len(pax)) + _padded(pax)
        + _header(b"t.wav", 600) + b"t" * 1024
        + _header(b"u.wav", kind=b"V") + _GOOD + _END
    )  # fmt: skip
    container = list_container(str(path))
    assert [m.name for m in container.members] == [*names, "good.wav"]
    assert container.num_left_out == {
        "links": 2,
        "devices": 2,
        "sparse files": 2,
        "members of an unknown kind": 1,
    }
    listing = list_audio(str(tmp_path))
    assert len(listing.paths) == 4
    assert all(container_of(p) == str(path) for p in listing.paths)
    [note] = listing.container_notes
    assert "2 links, 2 devices, 2 sparse files" in note


def test_nothing_is_unpickled_or_unpacked(tmp_path, monkeypatch):
    class Bomb:
        def __reduce__(self):
            return os.abort, ()

    bomb = pickle.dumps(Bomb())
    (tmp_path / "in").mkdir()
    members = [(f"a.{e}", bomb) for e in ("pyd", "pkl", "npy", "cls", "json")]
    members.append(("b.json", b'{"id": ' + b"[" * 100_000))
    members.append(("c.json", b'{"id": "x"}' + b" " * (1 << 20)))
    members += [("a.wav", _CONTENTS[0]), ("b.wav", b""), ("c.wav", b"RIFF")]
    _write_tar(tmp_path / "in" / "a.tar", members)
    monkeypatch.chdir(tmp_path)
    listing = list_audio("in")
    assert [p.count("#") for p in listing.paths] == [1, 1]
    assert len(listing.empty_paths) == 1
    assert dict(listing.num_other_files) == dict.fromkeys(
        (".pyd", ".pkl", ".npy", ".cls"), 1
    )
    assert listing.container_notes == [
        "in/a.tar: 3 unreadable .json files are not used."
    ]
    assert os.listdir() == ["in"]
    with pytest.raises(AudioError, match="unreadable: in/a.tar#bytes="):
        decode_audio(listing.paths[1], 16000)
    with pytest.raises(AudioError, match="empty_file"):
        decode_audio(listing.empty_paths[0], 16000)


@pytest.mark.parametrize(
    ("locator", "message"),
    [
        (
            "a.tar#bytes=999999+4",
            "unreadable: .*ends after 0 of the member's 4",
        ),
        ("a.tar#bytes=512+99999999", "unreadable: .*ends after"),
        ("a.tar#bytes=0+99999999999999", "unreadable: .*too many for audio"),
        ("gone.tar#bytes=0+4", "missing"),
        ("gone.parquet#row=0", "missing"),
        ("b.parquet#row=3", "unreadable: .*3 rows, no row 3"),
        ("b.parquet#row=999999999999999", "unreadable: .*3 rows, no row 999,"),
        ("b.parquet#row=1", "empty_file"),
        ("b.parquet#row=2", "empty_file"),
        ("labels.parquet#row=0", "unreadable: .*no column of audio"),
        ("cut.parquet#row=0", "unreadable: .*Parquet magic bytes"),
    ],
)
def test_what_a_locator_names_may_not_be_there(locator, message, tmp_path):
    (tmp_path / "a.tar").write_bytes(_GOOD + _END)
    _write_parquet(tmp_path / "b.parquet", id="abc", audio=[b"x", None, b""])
    _write_parquet(tmp_path / "labels.parquet", audio=["a.wav"])
    content = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[:-20])
    with pytest.raises(AudioError, match=message):
        decode_audio(str(tmp_path / locator), 16000)


def test_rows_without_audio_are_counted(release, tmp_path):
    audio = _audio_column()
    audio[2] = {"bytes": None, "path": "/etc/passwd"}
    audio[3] = None
    audio[4] = {"bytes": b"", "path": None}
    audio[5]["bytes"] = b"not audio"
    ids = [_ytid(i) for i in range(_NUM_CLIPS)]
    path = tmp_path / "a.parquet"
    _write_parquet(path, audio=audio, video_id=ids)
    manifest, records = _prepare(release, path, tmp_path / "out")
    assert len(records) == _NUM_CLIPS - 4
    assert manifest["left_out"] == {
        "empty_file": [_segment_id(i) for i in (2, 3, 4)],
        "unreadable": [_segment_id(5)],
    }


def test_damaged_parquet_files(tmp_path, release):
    content = (release / "agkphysics" / "00.parquet").read_bytes()
    path = tmp_path / "a.parquet"
    for damaged in (b"", b"PAR1", content[:-9], content[:2000], b"PAR1" * 9):
        path.write_bytes(damaged)
        with pytest.raises(
            InputError, match="no Parquet file that can be"
        ) as e:
            list_container(str(path))
        assert "\n" not in str(e.value)
    # Pages that do not decompress cost the clips of their row group at most.
    damaged = bytearray(content)
    damaged[len(content) // 2 : len(content) // 2 + 99] = os.urandom(99)
    start = content.index(_CONTENTS[1][:16]) - 8
    damaged[start : start + 8] = struct.pack("<q", -1)
    path.write_bytes(damaged)
    outcomes = []
    for i in range(_NUM_CLIPS):
        try:
            outcomes.append(
                open_member(f"{path}#row={i}").read() == _CONTENTS[i]
            )
        except ValueError:
            outcomes.append(False)
    assert outcomes.count(True) >= _NUM_CLIPS - 8
    path.write_bytes(content[:-9])
    with pytest.raises(InputError, match="no Parquet file"):
        list_audio(str(tmp_path))


@pytest.mark.parametrize("name", ["a.tar.gz", "b.tgz", "c.tar.zst"])
def test_compressed_tars_are_refused(name, tmp_path):
    with tarfile.open(tmp_path / name, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a.wav"))
    path = str(tmp_path / name)
    for list_it in (list_container, list_audio):
        with pytest.raises(InputError, match=f"uncompressed tar.*{name}"):
            list_it(path)
    # In a folder it is named and the rest is used.
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    listing = list_audio(str(tmp_path))
    assert listing.paths == [str(tmp_path / "x.wav")]
    assert [name in note for note in listing.container_notes] == [True]
    # Under the name of a plain tar it is told by its content.
    os.rename(path, tmp_path / "d.tar")
    with pytest.raises(InputError, match="no tar that can be read"):
        list_audio(str(tmp_path))


def test_a_large_row_group_is_not_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "_MAX_GROUP_BYTES", 50 << 20)
    # Rows of a megabyte; decoded one group is 64 MB.
    path = str(tmp_path / "a.parquet")
    rows = [np.random.default_rng(i).bytes(1 << 20) for i in range(64)]
    pq.write_table(
        pa.table({"id": [str(i) for i in range(64)], "audio": rows}),
        path,
        write_batch_size=8,
    )
    before = pa.total_allocated_bytes()
    largest = 0
    for i in range(64):
        assert open_member(f"{path}#row={i}").read() == rows[i]
        largest = max(largest, pa.total_allocated_bytes() - before)
    assert largest < 40 << 20


def test_a_locator_costs_what_it_names(tmp_path):
    # A header that promises a gigabyte allocates nothing.
    path = tmp_path / "a.tar"
    path.write_bytes(_GOOD + _header(size=(1 << 30) - 1))
    tracemalloc.start()
    assert len(list_container(str(path)).members) == 1
    with pytest.raises(ValueError, match="ends after"):
        open_member(f"{path}#bytes=512+{(1 << 30) - 1}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 24


def test_names_of_members_are_names_of_clips(release):
    index = index_listing(list_audio(str(release / "confit")))
    path = find_audio(_segment_id(4), index)
    assert open_member(path).read() == _CONTENTS[4]
    assert find_audio("sample-000000004", index) == path
