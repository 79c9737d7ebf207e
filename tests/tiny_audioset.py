"""Tiny releases under the names of AudioSet's files: labels/ and audio/.

audio/train and audio/eval are folders of files; audio/train_parquet and
audio/eval_tars hold the same clips in one Parquet file and one tar. Two of the
ten training clips with strong labels are in the held-out twentieth. Each
evaluation clip is marked as having only one of the two tones.
"""

import shutil
import tarfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tiny_release import MIDS, write_tiny_release

from audioset_strong.labels.frame_rule import frame_strong_labels
from audioset_strong.labels.label_files import (
    read_strong_labels,
    write_framed_labels,
)

# Of video ids, in place of that of the tiny release: what is held out follows
# from them.
_PREFIXES = {"train": "nile", "eval": "toso"}


def write_tiny_audioset(folder):
    """Writes labels/ and audio/ into a folder."""
    for part, prefix in _PREFIXES.items():
        release = folder / f"{part}_release"
        release.mkdir()
        write_tiny_release(release)
        _rename(release, prefix)
    labels = folder / "labels"
    labels.mkdir()
    (folder / "audio").mkdir()
    train, evaluation = folder / "train_release", folder / "eval_release"
    shutil.copy(train / "classes.csv", labels / "class_labels_indices.csv")
    names = [f"{mid}\t{mid[3:]}" for mid in (*MIDS, "/m/unmapped")]
    (labels / "mid_to_display_name.tsv").write_text("\n".join(names) + "\n")
    _split_weak(train / "weak.csv", labels)
    shutil.copy(train / "strong.tsv", labels / "audioset_train_strong.tsv")
    shutil.copy(evaluation / "weak.csv", labels / "eval_segments.csv")
    eval_strong = labels / "audioset_eval_strong.tsv"
    shutil.copy(evaluation / "strong.tsv", eval_strong)
    strong = read_strong_labels(str(eval_strong))
    tones = strong[strong["mid"].isin(MIDS[:2])]
    other = {MIDS[0]: MIDS[1], MIDS[1]: MIDS[0]}
    absent = pd.DataFrame(
        {
            "segment_id": tones["segment_id"],
            "mid": tones["mid"].astype(str).map(other),
        }
    )
    write_framed_labels(
        frame_strong_labels(strong, absent),
        str(labels / "audioset_eval_strong_framed_posneg.tsv"),
    )
    for part in _PREFIXES:
        (folder / f"{part}_release" / "audio").rename(folder / "audio" / part)
    _write_parquet(folder / "audio" / "train", folder / "audio/train_parquet")
    _write_tar(folder / "audio" / "eval", folder / "audio/eval_tars")


def _rename(folder, prefix):
    """Gives the clips of a tiny release other video ids."""
    for path in list(folder.rglob("*")):
        if path.suffix in (".csv", ".tsv"):
            path.write_text(path.read_text().replace("nuka", prefix))
        elif path.is_file():
            path.rename(path.with_name(path.name.replace("nuka", prefix)))


def _split_weak(path, labels):
    """Writes balanced and unbalanced weak labels."""
    lines = path.read_text().splitlines()
    head, clips = lines[:3], lines[3:]
    for name, some in (("balanced", clips[:3]), ("unbalanced", clips[3:])):
        text = "\n".join([*head, *some]) + "\n"
        (labels / f"{name}_train_segments.csv").write_text(text)


def _clips_in(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write_parquet(source, folder):
    folder.mkdir()
    paths = _clips_in(source)
    columns = {
        "video_id": [p.stem.lstrip("Y").partition("_3")[0] for p in paths],
        "audio": [{"bytes": p.read_bytes(), "path": None} for p in paths],
    }
    pq.write_table(pa.table(columns), folder / "00.parquet", row_group_size=5)


def _write_tar(source, folder):
    folder.mkdir()
    with tarfile.open(folder / "00.tar", "w") as tar:
        for path in _clips_in(source):
            tar.add(path, path.name)
