"""Plans records: joins label tables and audio files into clips and shards.

    labels, audio, lists of clips -> `Plan` -> `ShardTask`s (`tasks.py`)

A clip's audio is found by its name (`audio/listing.py`) or in the audio index.
Its length is that of the list of annotated clips, or else of the audio index,
or of the weak CSV, or `RecordParams.clip_seconds`.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import gc
import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import tqdm

from audioset_strong import files
from audioset_strong.audio.containers import (
    container_of,
    is_container,
    row_groups_of,
)
from audioset_strong.audio.listing import find_audio, is_of_whole_video
from audioset_strong.errors import InputError
from audioset_strong.labels.class_map import (
    ClassMap,
)
from audioset_strong.labels.clips import check_onsets, make_clips_table
from audioset_strong.labels.frame_rule import Event
from audioset_strong.labels.ids import (
    group_of_segment,
    parse_audioset_id,
    stable_fraction,
)
from audioset_strong.labels.label_files import read_label_files
from audioset_strong.labels.label_rows import Names
from audioset_strong.labels.problems import ProblemLog
from audioset_strong.labels.training_sets import (
    is_held_out,
    strong_events_by_segment,
    weak_events,
)
from audioset_strong.params import (
    LabelFrameParams,
    RecordParams,
)
from audioset_strong.records.audio_index import AudioIndex
from audioset_strong.records.manifest import (
    GROUPS,
)
from audioset_strong.records.tasks import (
    _DELAY,
    _MAX_ROUNDING_SECONDS,
    _NUM_THREADS,
    _PATHS_AT_ONCE,
    MAX_EXAMPLES,
    Clip,
    ShardSettings,
    ShardTask,
    _EventsOfSet,
)


@dataclasses.dataclass
class Plan:
    """Which clips to write.

    Attributes:
      clips: Every clip that a label set knows and that is not left out, by
        group.
      unmapped: Number of events of each mid that is not in the class map.
      left_out: segment_id, reason and detail of clips that are not even tried.
      notes: Number of clips that lost some labels, or have none, by the reason.
      split_groups: Group of each clip whose group its name does not tell.
      longest_clip_seconds: Length of the longest clip of known length.
    """

    clips: dict[str, list[Clip]]
    unmapped: collections.Counter[str]
    left_out: list[tuple[str, str, str]] = dataclasses.field(
        default_factory=list
    )
    notes: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    split_groups: dict[str, str] = dataclasses.field(default_factory=dict)
    longest_clip_seconds: float = 0.0


def read_label_tables(
    weak_paths: Sequence[str],
    strong_paths: Sequence[str],
    problems: ProblemLog,
    names: Names | None = None,
    params: LabelFrameParams = LabelFrameParams(),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads label files into one weak and one strong table (`label_files`).

    `problems`, `names` and `params` as in `read_label_files`.

    Raises:
      InputError: A file has the wrong header, bad lines that are not to be
        skipped, or labels that another file contradicts.
    """
    return (
        read_label_files("weak", weak_paths, problems, names, params),
        read_label_files("strong", strong_paths, problems, names, params),
    )


class _Places:
    """Where clips are, how long they are, and what group they are in."""

    def __init__(
        self,
        path_of_stem: Mapping[str, str],
        clips: pd.DataFrame | None,
        index: AudioIndex | None,
        clip_seconds: float,
    ) -> None:
        self._path_of_stem, self._index = path_of_stem, index
        self._clip_seconds = clip_seconds
        self.listed: dict[str, tuple[float, str]] = {}
        if clips is not None:
            columns = ("segment_id", "duration_seconds", "group")
            rows = zip(*(clips[name] for name in columns))
            self.listed = {s: (seconds, group) for s, seconds, group in rows}

    def names(self) -> set[str]:
        """The clips that the list or the index names."""
        indexed = self._index.row_of_clip if self._index else ()
        return {*self.listed, *indexed}

    def group_of(self, segment_id: str) -> str:
        """The group of a clip: of the list, or the index, or by its name."""
        own = group_of_segment(segment_id)
        listed = self.listed.get(segment_id, (0.0, own))[1]
        if self._index is None:
            return listed
        indexed = self._index.group_of(segment_id) or own
        row = self._index.row_of_clip.get(segment_id)
        is_given = row is not None and self._index.groups[row]
        if listed != own and is_given and indexed != listed:
            raise InputError(
                f"Expected one group for {segment_id!r}: the list of annotated "
                f"clips says {listed!r}, {self._index.source} says "
                f"{indexed!r}."
            )
        return indexed if listed == own else listed

    def place(self, segment_id: str, weak_seconds: float) -> tuple[Any, ...]:
        """Finds a clip.

        Args:
          segment_id: The clip.
          weak_seconds: Its length by the weak labels, or NaN.

        Returns:
          Path, start and length in seconds, extent as in `Clip`, and whether
          the length is the clip's own and not the usual one.
        """
        path, start, extent = "", 0.0, "file"
        seconds = self.listed.get(segment_id, (math.nan, ""))[0]
        if self._index is None:
            path = find_audio(segment_id, self._path_of_stem) or ""
            audioset_id = parse_audioset_id(segment_id) if path else None
            if audioset_id and is_of_whole_video(
                segment_id, path, self._path_of_stem
            ):
                # It is named after the video alone.
                start, extent = audioset_id.start_ms / 1000, "video"
        elif (row := self._index.row_of_clip.get(segment_id)) is not None:
            path = self._index.path_of(row)
            given_start = float(self._index.start_seconds[row])
            given_seconds = float(self._index.duration_seconds[row])
            if math.isnan(seconds):
                seconds = given_seconds
            elif seconds > given_seconds + _MAX_ROUNDING_SECONDS:
                # What follows may be another clip.
                raise InputError(
                    f"Expected a length of {segment_id!r} that fits into its "
                    f"audio: the list of annotated clips says {seconds:g} s, "
                    f"{self._index.source} says {given_seconds:g} s."
                )
            if not (math.isnan(given_start) and math.isnan(given_seconds)):
                extent = "part"
                start = 0.0 if math.isnan(given_start) else given_start
        if not math.isnan(seconds):
            return path, start, seconds, extent, True
        seconds = self._clip_seconds
        if not math.isnan(weak_seconds):
            seconds = min(weak_seconds, self._clip_seconds or weak_seconds)
        return path, start, seconds, extent, False


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Keeps the collector from looking at millions of clips, again and again.

    A fifth of the time of a plan; nothing in it refers to itself.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_without_garbage_collection()
def plan_clips(
    weak: pd.DataFrame,
    strong: pd.DataFrame,
    class_map: ClassMap,
    path_of_stem: Mapping[str, str],
    params: RecordParams,
    eval_ytids: Collection[str] = frozenset(),
    clips: pd.DataFrame | None = None,
    index: AudioIndex | None = None,
) -> Plan:
    """Joins labels and audio, clip by clip.

    Args:
      weak: Weak table (`label_files`).
      strong: Strong table (`label_files`).
      class_map: Events of other mids are left out; their clips are kept.
      path_of_stem: Audio files by what their names may mean
        (`listing.index_listing`); not used with an index.
      params: Held-out share, share of Strong and clip length.
      eval_ytids: Groups of evaluation clips (`read_label_ytids`); all clips of
        the groups that these clips are in are left out.
      clips: Table of annotated clips (`labels.clips`), or None. A clip without
        an event becomes one of negatives.
      index: Where the clips are, or None to find them by their names.

    Raises:
      InputError: A labelled clip is not among the annotated ones, an event
        starts a second or more after the end of its clip, a clip is
        longer than the index says or in two groups, two clips have the same
        audio, or no clip would be held out though a share of them should be.
    """
    plan = Plan({group: [] for group in GROUPS}, collections.Counter())
    places = _Places(path_of_stem, clips, index, params.clip_seconds)
    if clips is not None:
        _check_all_listed(weak, strong, places.listed)
    of_eval = _eval_clips(weak, strong, eval_ytids, places, plan)
    if of_eval:
        weak = weak[~weak["segment_id"].isin(of_eval)]
        strong = strong[~strong["segment_id"].isin(of_eval)]
    index_of_mid = class_map.index_of_mid

    def indexed(of_clip: Sequence[Event]) -> list[tuple[int, float, float]]:
        """Replaces mids by class indices, and counts those without one."""
        found = []
        for mid, onset, offset in of_clip:
            if mid in index_of_mid:
                found.append((index_of_mid[mid], onset, offset))
            else:
                plan.unmapped[mid] += 1
        return found

    weak_rows = dict(zip(weak["segment_id"], range(len(weak))))
    weak_seconds = (weak["end_seconds"] - weak["start_seconds"]).to_numpy()
    weak_mids = weak["mids"].tolist()
    strong_events = strong_events_by_segment(strong)
    without_events = (
        (set(places.listed) - set(weak_rows) - set(strong_events) - of_eval)
        if places.listed
        else set()
    )
    # Which label set knows of a clip that it has no event.
    negative_set = "weak" if weak_rows and not strong_events else "strong"
    has_strong = bool(strong_events) or (
        bool(without_events) and negative_set == "strong"
    )
    strong_groups = (
        {places.group_of(s) for s in strong_events}
        if clips is not None or index is not None
        else frozenset()
    )
    owner_of: dict[str, str] = {}
    lengths: list[tuple[str, float]] = []
    # Of millions of clips many have the same labels; one list will do.
    shared_events: dict[Any, list[tuple[int, float, float]]] = {}
    segment_ids = sorted({*weak_rows, *strong_events, *without_events})
    for segment_id in tqdm.tqdm(segment_ids, "plan", unit="clip", delay=_DELAY):
        row = weak_rows.get(segment_id)
        path, start, seconds, extent, is_own = places.place(
            segment_id, math.nan if row is None else float(weak_seconds[row])
        )
        if extent == "video" and owner_of.setdefault(path, segment_id) != (
            segment_id
        ):
            raise InputError(
                f"{owner_of[path]} and {segment_id} are two clips, and "
                f"{path} would be both. Say where they are in an audio index, "
                f"or name files <ytid>_<start ms>."
            )
        events: _EventsOfSet = {}
        if row is not None:
            # They span the longest clip, whatever the length of the audio.
            span = max(params.clip_seconds, seconds)
            weak_indexed = indexed(weak_events(weak_mids[row], span))
            key = (span, *(index for index, _, _ in weak_indexed))
            events["weak"] = shared_events.setdefault(key, weak_indexed)
        if segment_id in strong_events:
            events["strong"] = indexed(strong_events[segment_id])
            if seconds:  # else it is as long as its file
                lengths.append((segment_id, seconds))
        if not events:
            events[negative_set] = []
            plan.notes["annotated, without an event: only negatives"] += 1
        split_group = places.group_of(segment_id)
        group = _group_of(
            segment_id,
            split_group,
            events,
            params,
            plan,
            has_strong,
            split_group in strong_groups,
        )
        if group is not None:
            plan.clips[group].append(
                Clip(
                    segment_id,
                    path,
                    seconds,
                    events,
                    start_seconds=start,
                    extent=extent,
                )
            )
            plan.longest_clip_seconds = max(
                plan.longest_clip_seconds,
                seconds if is_own else params.clip_seconds,
            )
            if split_group != group_of_segment(segment_id):
                plan.split_groups[segment_id] = split_group
    ids, seconds_of_ids = zip(*lengths) if lengths else ((), ())
    known = make_clips_table(list(ids), list(seconds_of_ids), list(ids))
    check_onsets(strong, known, math.inf)
    _look_up_audio(list(plan.clips.values()))
    _check_held_out(plan, places, params)
    return plan


def _look_up_audio(clip_lists: Sequence[list[Clip]]) -> None:
    """Puts the states of the audio files into the clips of lists."""
    paths = [container_of(c.audio_path) for clips in clip_lists for c in clips]
    # A container holds many clips, and a remote folder is listed once.
    shared = sorted({p for p in paths if is_container(p) or files.is_remote(p)})
    nothing = files.FileState(0, "")
    state_of = dict(zip(shared, files.states_of(shared), strict=True))
    state_of[""] = None

    def look_up(start: int) -> list[files.FileState]:
        chunk = paths[start : start + _PATHS_AT_ONCE]
        local = iter(files.states_of([p for p in chunk if p not in state_of]))
        return [
            (state_of[p] if p in state_of else next(local)) or nothing
            for p in chunk
        ]

    # Many at a time, because a mounted network folder answers slowly.
    with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as executor:
        starts = range(0, len(paths), _PATHS_AT_ONCE)
        states = itertools.chain.from_iterable(executor.map(look_up, starts))
        with tqdm.tqdm(
            states, "look up", len(paths), unit="file", delay=_DELAY
        ) as bar:
            found = iter(bar)
            for clips in clip_lists:
                for number, clip in enumerate(clips):
                    num_bytes, version = next(found)
                    clips[number] = Clip(
                        clip.segment_id,
                        clip.audio_path,
                        clip.clip_seconds,
                        clip.events,
                        num_bytes,
                        clip.start_seconds,
                        clip.extent,
                        version,
                    )


def _check_all_listed(
    weak: pd.DataFrame, strong: pd.DataFrame, listed: Collection[str]
) -> None:
    """Raises `InputError` if a labelled clip is not among the annotated."""
    labelled = {*weak["segment_id"], *strong["segment_id"]}
    unlisted = sorted(labelled.difference(listed))
    if unlisted:
        raise InputError(
            f"Expected every labelled clip on the list of annotated clips; "
            f"{len(unlisted):,} of {len(labelled):,} are not, such as "
            f"{name_some(unlisted)}. The list names such as "
            f"{name_some(sorted(listed))}. Add them to the list, or take them "
            f"out of the labels."
        )


def name_some(names: Sequence[str]) -> str:
    """Names the first few for a message."""
    return ", ".join(repr(name) for name in names[:MAX_EXAMPLES])


def _eval_clips(
    weak: pd.DataFrame,
    strong: pd.DataFrame,
    eval_ytids: Collection[str],
    places: _Places,
    plan: Plan,
) -> set[str]:
    """Finds the clips of groups with evaluation clips; lists the labelled."""
    if not eval_ytids:
        return set()
    segment_ids = {*weak["segment_id"], *strong["segment_id"], *places.listed}
    # Those that the evaluation labels name, and those that the list or the
    # index has for clips that they name.
    eval_groups = set(eval_ytids) | {
        places.group_of(segment_id)
        for segment_id in segment_ids | places.names()
        if group_of_segment(segment_id) in eval_ytids
    }
    of_eval = {s for s in segment_ids if places.group_of(s) in eval_groups}
    plan.left_out += [
        (segment_id, "eval_clip", "its recording is in eval_labels")
        for segment_id in sorted(of_eval)
    ]
    return of_eval


def _group_of(
    segment_id: str,
    split_group: str,
    events: _EventsOfSet,
    params: RecordParams,
    plan: Plan,
    has_strong: bool,
    is_in_strong_group: bool,
) -> str | None:
    """Chooses a clip's group.

    Clips are held out of those with strong labels or, where no clip has any
    (`has_strong`), of all. A clip with weak labels only whose recording has
    strong ones elsewhere must not be trained on if the recording is held out.

    Returns:
      None if the clip is left out.
    """
    is_out = is_held_out(split_group, params.held_out_fraction)
    if "strong" not in events:
        if is_out and not has_strong:
            return "held_out"
        if is_out and is_in_strong_group:
            reason = f"other clips of {split_group!r} are held out"
            plan.left_out.append((segment_id, "group_held_out", reason))
            return None
        return "weak"
    return "held_out" if is_out else "strong"


def _check_held_out(plan: Plan, places: _Places, params: RecordParams) -> None:
    """Checks that a share of the clips is held out, and a share is not.

    Raises:
      InputError: It is not; says which share would do.
    """
    fraction = params.held_out_fraction
    if not 0 < fraction < 1:
        return
    there = {
        group: [clip.segment_id for clip in clips if clip.is_there]
        for group, clips in plan.clips.items()
    }
    if sum(map(len, there.values())) < sum(map(len, plan.clips.values())) / 2:
        return  # for want of audio, which is another error
    rest = there["strong"] or there["weak"]
    if (there["held_out"] and rest) or not (there["held_out"] or rest):
        return
    groups = {places.group_of(s) for s in there["held_out"] or rest}
    # A group is held out if its fraction is below the share.
    ordered = sorted(stable_fraction(g, salt="held_out") for g in groups)
    what = "all are" if there["held_out"] else "none is"
    way_out = "Add groups"
    if len(ordered) > 1:
        # Between two groups, nearest to the share that was asked for.
        near = max(1, min(len(ordered) - 1, round(fraction * len(ordered))))
        way_out = (
            f"Give held_out_fraction={_between(*ordered[near - 1 : near + 1])} "
            f"for {near} of them"
        )
    raise InputError(
        f"Expected held_out_fraction={fraction:g} to hold out some of "
        f"{len(ordered)} groups of clips (recordings, videos) for validation; "
        f"by the hash of their names {what} held out. {way_out}, or "
        f"held_out_fraction=0 for none."
    )


def _between(low: float, high: float) -> str:
    """Writes a short decimal number above `low` that is not above `high`."""
    decimals = 2
    while True:
        scale = 10**decimals
        number = (math.floor(low * scale) + 1) / scale
        if number <= high:
            return f"{number:.{decimals}f}"
        decimals += 1


@_without_garbage_collection()
def plan_shards(
    plan: Plan, output_dir: str, clips_per_shard: int, settings: ShardSettings
) -> list[ShardTask]:
    """Distributes the clips of each group over shards by a stable hash.

    Clips of one row group of Parquet are in one shard, in the order of rows,
    because a row group is decoded from its start.
    """
    row_groups = row_groups_of(
        clip.audio_path for clips in plan.clips.values() for clip in clips
    )
    tasks = []
    for group, clips in plan.clips.items():
        num_shards = -(-len(clips) // clips_per_shard)  # rounded up
        of_shard: list[list[Clip]] = [[] for _ in range(num_shards)]
        for clip in tqdm.tqdm(
            clips, f"shards of {group}", unit="clip", delay=_DELAY
        ):
            key, _ = row_groups.get(clip.audio_path, (clip.segment_id, 0))
            fraction = stable_fraction(key, salt="shard")
            of_shard[int(fraction * num_shards)].append(clip)
        for index, shard_clips in enumerate(of_shard):
            if row_groups:
                shard_clips.sort(
                    key=lambda c: row_groups.get(c.audio_path, ("", 0))
                )
            name = f"{group}-{index:05d}-of-{num_shards:05d}.tfrecord"
            tasks.append(
                ShardTask(output_dir, group, name, tuple(shard_clips), settings)
            )
    return tasks
