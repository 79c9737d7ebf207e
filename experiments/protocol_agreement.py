r"""Holds every protocol against the code that published it.

    python -m experiments.protocol_agreement --peers_dir=peers \
      --scores=strong-small-0.24.npz --strong_labels=ground_truth.tsv \
      --excerpt=audioset_eval_strong.top110.tsv \
      --durations=eval_strong_durations.csv --output_dir=runs/protocols

--peers_dir holds checkouts named OWNER+NAME. Their functions are taken from
their files as they are, without what these import for models, and are given the
same scores and events as ours:

    random     random scores at 40 ms, 150 clips, 12 classes
    ESC-50     what a trained model hears in simulated soundscapes (--scores, at
               a hop of 0.24 s, each frame repeated six times)
    AudioSet   random scores for --num_clips clips of the real strong labels
    lengths    the same with the real lengths of these clips (--durations)

Writes protocols.json and the table for protocols.md. Needs the extra psds.
"""

import ast
import contextlib
import inspect
import io
import json
import os
import tempfile
import types
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy
from absl import flags
from scipy import ndimage

from audioset_strong import run_flags
from audioset_strong.evaluation import events
from audioset_strong.evaluation.native_scores import NativeScores
from audioset_strong.evaluation.protocols import (
    ClassList,
    ProtocolSettings,
    score_protocols,
)
from audioset_strong.evaluation.score_tables import read_scores
from audioset_strong.evaluation.truth import Truth
from audioset_strong.files import make_output_folder, open_output
from audioset_strong.labels.clips import make_clips_table
from audioset_strong.labels.label_files import read_strong_labels

_PEERS = flags.DEFINE_string("peers_dir", None, "Checkouts.", required=True)
_SCORES = flags.DEFINE_string("scores", None, "Scores of ESC-50 clips.")
_STRONG = flags.DEFINE_string("strong_labels", None, "Their strong labels.")
_EXCERPT = flags.DEFINE_string("excerpt", None, "Strong labels of AudioSet.")
_DURATIONS = flags.DEFINE_string("durations", None, "Y<ytid>,seconds lines.")
_NUM_CLIPS = flags.DEFINE_integer("num_clips", 150, "Of the excerpt.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder.", required=True)

_HOP = 0.04
_NUM_FRAMES = 250

_Floats = npt.NDArray[np.float64]


# --- Their code --------------------------------------------------------------


class _Tensor(np.ndarray):
    """An array with the methods of torch tensors that their code calls."""

    def _same(self, *_: Any, **__: Any) -> "_Tensor":
        return self

    to = detach = cpu = cuda = float = _same

    def numpy(self) -> npt.NDArray[Any]:
        return np.asarray(self)

    def clone(self) -> "_Tensor":
        return self.copy()

    def size(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.shape

    def transpose(self, first: int, second: int) -> "_Tensor":  # type: ignore[override]
        return np.swapaxes(self, first, second)

    def expand(self, *_: int) -> "_Tensor":
        return self

    def unsqueeze(self, axis: int) -> "_Tensor":
        return np.expand_dims(self, axis)  # type: ignore[return-value]


def _tensor(array: npt.NDArray[Any]) -> _Tensor:
    return array.view(_Tensor)


class _Frame(events._WritableFrame):
    """A table for code that was written for pandas 2."""

    @property
    def _constructor(self) -> type["_Frame"]:
        return _Frame

    def drop(self, *args: Any, **kwargs: Any) -> Any:
        if "columns" in kwargs:
            kwargs.pop("axis", None)
        return super().drop(*args, **kwargs)


def _create_score_dataframe(*args: Any, **kwargs: Any) -> pd.DataFrame:
    """Makes a table as the library does."""
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    return _Frame(create_score_dataframe(*args, **kwargs))


def _taken(path: str, *names: str, **given: Any) -> types.SimpleNamespace:
    """Takes functions, classes and methods from a file of theirs.

    Args:
      path: The file, in the folder of peers.
      *names: What to take, such as `function` or `Class.method`.
      **given: What else the code finds under a name.
    """
    import sed_scores_eval

    # As the code imports it from wherever its version had it.
    library = types.SimpleNamespace(**vars(sed_scores_eval))
    namespace: dict[str, Any] = {
        "np": np,
        "pd": pd,
        "os": os,
        "Path": Path,
        "ceil": ceil,
        "defaultdict": defaultdict,
        "ndimage": ndimage,
        "scipy": types.SimpleNamespace(
            ndimage=types.SimpleNamespace(filters=ndimage)
        )
        if not hasattr(scipy.ndimage, "filters")
        else scipy,
        "sed_scores_eval": library,
        "create_score_dataframe": _create_score_dataframe,
        "validate_score_dataframe": (
            sed_scores_eval.base_modules.scores.validate_score_dataframe
        ),
        **given,
    }
    full = os.path.join(_PEERS.value, path)
    with open(full, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    found: list[ast.stmt] = []
    for name in names:
        body = tree.body
        for part in name.split("."):
            [node] = [n for n in body if getattr(n, "name", None) == part]
            body = getattr(node, "body", [])
        assert isinstance(node, ast.FunctionDef | ast.ClassDef)
        node.decorator_list = []
        found.append(node)
    # Without their assertion of exactly 407 classes.
    code = compile(ast.Module(found, []), full, "exec", optimize=1)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, namespace)
    return types.SimpleNamespace(**namespace)


def _keywords(path: str, function: str) -> list[dict[str, Any]]:
    """Returns the literal keywords of their calls of a function, each once."""
    with open(os.path.join(_PEERS.value, path), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    calls = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function:
            call = {
                k.arg: ast.literal_eval(k.value)
                for k in node.keywords
                if isinstance(k.value, ast.Constant) and k.arg
            }
            if call not in calls:
                calls.append(call)
    return calls


# --- What both are given -----------------------------------------------------


class _Case(NamedTuple):
    """Scores and events of one kind.

    Attributes:
      name: What they are.
      scores: float32 `[num_clips, 250, num_classes]` at 40 ms.
      clips: segment_id of each clip, such as "Yabc".
      mids: Class of each column.
      strong: Strong table, events as they are.
      seconds: Length of each clip.
    """

    name: str
    scores: npt.NDArray[np.float32]
    clips: list[str]
    mids: list[str]
    strong: pd.DataFrame
    seconds: _Floats

    @property
    def training(self) -> ClassList:
        """All classes but the last, every third of them rare."""
        mids = self.mids[:-1]
        groups = {
            mid: "common" if i % 3 else "rare" for i, mid in enumerate(mids)
        }
        return ClassList(frozenset(mids), groups, "of the training labels")

    def ours(self, name: str, needs_classes: bool) -> dict[str, float]:
        """Scores by a protocol of ours."""
        native = NativeScores(
            segment_ids=np.array(self.clips),
            mids=np.array(self.mids),
            scores=self.scores.reshape(-1, len(self.mids)),
            num_frames=np.full(len(self.clips), _NUM_FRAMES),
            frame_seconds=_HOP,
            audio_seconds=np.full(len(self.clips), _HOP * _NUM_FRAMES),
        )
        truth = Truth(
            strong=self.strong,
            clips=make_clips_table(
                self.clips, self.seconds.tolist(), self.clips
            ),
        )
        settings = ProtocolSettings(
            classes=self.training if needs_classes else None
        )
        [result] = score_protocols(native, truth, [name], settings)
        return result.values

    def merged(self, mids: Sequence[str] | None = None) -> pd.DataFrame:
        """Events as their label files have them: merged, of some classes."""
        strong = events.merge_overlapping(self.strong)
        strong = strong[strong["mid"].isin(mids or self.mids)]
        return pd.DataFrame(
            {
                "filename": strong["segment_id"] + ".wav",
                "onset": strong["onset_seconds"],
                "offset": strong["offset_seconds"],
                "event_label": strong["mid"],
            }
        )

    def events_of(self, mids: Sequence[str]) -> dict[str, list[Any]]:
        """The same for code that wants them by clip."""
        found: dict[str, list[Any]] = {}
        for row in self.merged(mids).itertuples(index=False):
            clip, onset, offset, mid = row
            found.setdefault(clip[: -len(".wav")], []).append(
                (onset, offset, mid)
            )
        return found

    def files(self, folder: str, mids: Sequence[str]) -> tuple[str, str]:
        """Writes the TSV files of events and lengths."""
        truth = os.path.join(folder, "truth.tsv")
        lengths = os.path.join(folder, "lengths.tsv")
        table = self.merged(mids)
        table.to_csv(truth, sep="\t", index=False)
        pd.DataFrame(
            {
                "filename": [f"{clip}.wav" for clip in self.clips],
                "duration": self.seconds,
            }
        ).query("filename in @table.filename").to_csv(
            lengths, sep="\t", index=False
        )
        return truth, lengths


def _random_case() -> _Case:
    rng = np.random.default_rng(1)
    clips = [f"Yclip{i:03d}" for i in range(150)]
    mids = [f"class{i:02d}" for i in range(12)]
    rows = []
    for clip in clips:
        for mid in mids:
            for _ in range(rng.poisson(0.4)):
                onset = round(9.5 * rng.random(), 3)
                length = 0.05 + 4 * rng.random() ** 2
                offset = min(round(onset + length, 3), 10.0)
                rows.append((clip, onset, offset, mid))
    strong = pd.DataFrame(
        rows,
        columns=["segment_id", "onset_seconds", "offset_seconds", "mid"],
    )
    return _with_random_scores("random", clips, mids, strong, rng)


def _with_random_scores(
    name: str,
    clips: list[str],
    mids: list[str],
    strong: pd.DataFrame,
    rng: np.random.Generator,
) -> _Case:
    """Scores that know something: smooth noise, and more inside of events."""
    scores = rng.random((len(clips), _NUM_FRAMES, len(mids)), np.float32)
    scores = ndimage.gaussian_filter1d(scores, 4, axis=1)
    scores = (scores - scores.min()) / np.ptp(scores)
    place = {clip: i for i, clip in enumerate(clips)}
    column = {mid: i for i, mid in enumerate(mids)}
    for clip, onset, offset, mid in strong.itertuples(index=False):
        inside = slice(round(onset / _HOP), round(offset / _HOP))
        scores[place[clip], inside, column[mid]] += 0.5
    scores = (scores / scores.max()).astype(np.float32)
    return _Case(name, scores, clips, mids, strong, np.full(len(clips), 10.0))


def _model_case() -> _Case:
    """What a model heard at a hop of 0.24 s, repeated to 40 ms."""
    scored = read_scores(_SCORES.value or "")
    strong = read_strong_labels(_STRONG.value or "")
    clips = scored.segment_ids.tolist()
    strong = strong[strong["segment_id"].isin(clips)]
    mids = [m for m in scored.mids.tolist() if m in set(strong["mid"])]
    columns = pd.Index(scored.mids).get_indexer(pd.Index(mids))
    scores = np.stack(
        [
            scored.of_clip(row)[:, columns].repeat(6, axis=0)[:_NUM_FRAMES]
            for row in range(len(clips))
        ]
    )
    strong = strong[strong["mid"].isin(mids)]
    return _Case(
        "ESC-50", scores, clips, mids, strong, np.full(len(clips), 10.0)
    )


def _audioset_cases() -> Iterator[_Case]:
    rng = np.random.default_rng(2)
    strong = read_strong_labels(_EXCERPT.value or "")
    clips = sorted(strong["segment_id"].unique())
    chosen = rng.choice(clips, _NUM_CLIPS.value, replace=False).tolist()
    strong = strong[strong["segment_id"].isin(chosen)]
    strong = strong.assign(segment_id="Y" + strong["segment_id"].str[:11])
    clips = sorted(strong["segment_id"].unique())
    mids = sorted(strong["mid"].unique())
    case = _with_random_scores("AudioSet", clips, mids, strong, rng)
    yield case
    if _DURATIONS.value:
        lengths = pd.read_csv(
            _DURATIONS.value, header=None, names=["clip", "seconds"]
        ).set_index("clip")["seconds"]
        seconds = lengths.reindex(clips).fillna(10.0).clip(upper=10.0)
        yield case._replace(name="lengths", seconds=seconds.to_numpy())


# --- Their protocols ---------------------------------------------------------


def _pretrained_sed(case: _Case) -> dict[str, float]:
    """PretrainedSED: from raw events and scores to what is logged."""
    peer = "fschmid56+PretrainedSED"
    merge = _taken(
        f"{peer}/data_util/audioset_strong.py", "merge_overlapping_events"
    ).merge_overlapping_events
    decode = _taken(
        f"{peer}/helpers/decode.py", "batched_decode_preds"
    ).batched_decode_preds
    encoder = _taken(
        f"{peer}/helpers/encode.py", "ManyHotEncoder", OrderedDict=dict
    ).ManyHotEncoder(case.mids)
    truth = {}
    for clip, rows in case.strong.groupby("segment_id"):
        sample = {
            "events": [
                {
                    "onset": rows["onset_seconds"].tolist(),
                    "offset": rows["offset_seconds"].tolist(),
                    "event_label": rows["mid"].tolist(),
                }
            ]
        }
        table = merge(sample)["events"][0]
        truth[clip] = list(
            zip(
                table["onset"],
                table["offset"],
                table["event_label"],
                strict=True,
            )
        )
    _, scores, _ = decode(
        _tensor(case.scores.swapaxes(1, 2)),
        [f"{clip}.mp3" for clip in case.clips],
        encoder,
        thresholds=[],
        median_filter=9,
    )
    logged: dict[str, float] = {}
    # The labels of training, which lack the last class.
    encoder.labels = case.mids[:-1]
    for clip, table in scores.items():
        scores[clip] = table.drop(columns=case.mids[-1])
    module = types.SimpleNamespace(
        val_ground_truth=truth,
        encoder=encoder,
        val_duration=dict(zip(case.clips, case.seconds, strict=True)),
        val_predictions_strong=scores,
        val_loss=[],
        log_dict=lambda logs, sync_dist: logged.update(logs),
    )
    _taken(
        f"{peer}/ex_audioset_strong.py",
        "PLModule.on_validation_epoch_end",
        torch=types.SimpleNamespace(as_tensor=lambda _: _tensor(np.zeros(1))),
        as_strong_train_classes=case.mids,
        as_strong_eval_classes=case.mids,
    ).on_validation_epoch_end(module)
    return {
        "psds": logged["val/psds1"],
        "psds_macro": logged["val/psds1_macro_averaged"],
        "pauroc": logged["val/pauroc"],
    }


def _flexsed(case: _Case) -> dict[str, float]:
    """FlexSED: val_psds, with a model that hears what the case says."""
    peer = "JHU-LCAP+FlexSED/src"
    place = {clip: i for i, clip in enumerate(case.clips)}
    heard = _tensor(case.scores.swapaxes(1, 2))  # [clips, classes, frames]

    class Model:
        def eval(self) -> None:
            pass

        def forward_to_spec(self, audio: Any) -> Any:
            return audio

        def __call__(self, mel: Any, _: Any) -> _Tensor:
            return _tensor(heard[np.asarray(mel)])

    torch = types.SimpleNamespace(
        load=lambda _: _tensor(np.zeros((1, 1))),
        cat=lambda arrays, dim: _tensor(np.concatenate(arrays, axis=dim)),
        sigmoid=lambda array: array,
    )
    measures = _taken(
        f"{peer}/desed_task/evaluation/evaluation_measures.py",
        "compute_psds_from_scores",
    )
    decode = _taken(f"{peer}/local/utils.py", "batched_decode_preds")
    encoder = _taken(f"{peer}/utils/sed.py", "Encoder", math=__import__("math"))
    val_psds = _taken(
        f"{peer}/val.py",
        "val_psds",
        torch=torch,
        tqdm=lambda batches: batches,
        Encoder=encoder.Encoder,
        batched_decode_preds=lambda *args, thresholds, **kwargs: (
            decode.batched_decode_preds(*args, thresholds=[], **kwargs)
        ),
        compute_psds_from_scores=measures.compute_psds_from_scores,
    ).val_psds
    with tempfile.TemporaryDirectory() as folder:
        truth, lengths = case.files(folder, case.mids)
        labels = os.path.join(folder, "labels.csv")
        pd.DataFrame({"label": case.mids}).to_csv(labels, index=False)
        # Their mask looks events up under the names that the loader gives.
        names = [f"{clip}.wav" for clip in case.events_of(case.mids)]
        batches = [
            (_tensor(np.array([place[name[:-4]]])), [name]) for name in names
        ]
        params = {
            "data": {
                "test": {"label": labels, "csv": truth, "dur": lengths},
                "train_data": {"clap_dir": folder},
            }
        }
        of_all, of_present = val_psds(
            Model(), batches, params, 0, "test", folder, "cpu"
        )
    return {"psds_a": of_all, "psds_t": of_present}


def _post_processed(
    case: _Case, post_process: Callable[..., Any], *more: Any
) -> dict[str, pd.DataFrame]:
    """Scores of clips with events as the models of text make them."""
    found = case.events_of(case.mids)
    return {
        clip: post_process(_tensor(scores), *more)[1]
        for clip, scores in zip(case.clips, case.scores, strict=True)
        if clip in found
    }


def _finelap(case: _Case) -> float:
    """FineLAP: their post-processing and PSDS, as evaluate.py calls it."""
    peer = "xiquan-li+FineLAP"
    utils = _taken(
        f"{peer}/utils/eval_utils_sed.py",
        "post_process",
        "compute_psds_from_scores",
    )
    classes = types.SimpleNamespace(classes=case.mids)
    loader = types.SimpleNamespace(dataset=classes)
    scores = _post_processed(case, utils.post_process, loader)
    truth = case.events_of(case.mids)
    [first, *_] = _keywords(f"{peer}/evaluate.py", "compute_psds_from_scores")
    return float(
        utils.compute_psds_from_scores(
            scores,
            truth,
            _lengths(case, truth),
            # The call has alpha_st=alpha_st, 0 for AudioSet Strong.
            **{**first, "alpha_st": 0},
        )
    )


def _mga_clap(case: _Case) -> float:
    """MGA-CLAP: the same of zero_shot_sed.py."""
    path = "Ming-er+MGA-CLAP/zero_shot_sed.py"
    given = _taken(
        path,
        "post_process",
        "compute_psds_from_scores",
        eval_dataset=types.SimpleNamespace(classes=case.mids),
    )

    def post_process(scores: _Tensor) -> Any:
        batch = _Batch(scores)
        return given.post_process(batch)

    scores = _post_processed(case, post_process)
    truth = case.events_of(case.mids)
    [first, *_] = _keywords(path, "compute_psds_from_scores")
    return float(
        given.compute_psds_from_scores(
            scores, truth, _lengths(case, truth), **first
        )
    )


class _Batch:
    """A batch of one clip, which MGA-CLAP takes apart."""

    def __init__(self, scores: _Tensor) -> None:
        self._scores = scores

    def size(self) -> tuple[int, ...]:
        return (1, *self._scores.shape)

    def squeeze(self, _: int) -> _Tensor:
        return self._scores


def _lengths(case: _Case, clips: Mapping[str, Any]) -> dict[str, float]:
    lengths = dict(zip(case.clips, case.seconds.tolist(), strict=True))
    return {clip: lengths[clip] for clip in clips}


def _dasm(case: _Case) -> dict[str, float]:
    """Transformer4SED: PSDS of the common and of the rare classes."""
    peer = "cai525+Transformer4SED"
    measures = _taken(
        f"{peer}/src/evaluation_measures.py", "compute_psds_from_scores"
    )
    decode = _taken(
        f"{peer}/src/codec/decoder.py",
        "batched_decode_preds",
        torch=None,
        median_filter_torch=None,
    ).batched_decode_preds
    encoder = _taken(
        "fschmid56+PretrainedSED/helpers/encode.py",
        "ManyHotEncoder",
        OrderedDict=dict,
    ).ManyHotEncoder(case.mids)
    path = f"{peer}/recipes/audioset_strong/base/passt_cnn/train.py"
    name = next(
        node.name
        for node in ast.parse(Path(_PEERS.value, path).read_text()).body
        if isinstance(node, ast.ClassDef)
        and any(
            getattr(n, "name", "") == "mean_psds_per_type" for n in node.body
        )
    )
    trainer = _taken(
        path,
        f"{name}.psds",
        f"{name}._remove_extra_events",
        f"{name}.mean_psds_per_type",
        compute_psds_from_scores=measures.compute_psds_from_scores,
        Dict=dict,
    )
    classes = case.training
    found = case.events_of(sorted(classes.mids))
    rows = [i for i, clip in enumerate(case.clips) if clip in found]
    _, scores = decode(
        _tensor(case.scores.swapaxes(1, 2)[rows]),
        [f"{case.clips[i]}.wav" for i in rows],
        encoder,
        filter=None,
    )
    this = types.SimpleNamespace(
        encoder=encoder, type_dict=dict(classes.group_of_mid)
    )
    this._remove_extra_events = lambda *args: trainer._remove_extra_events(
        this, *args
    )
    with tempfile.TemporaryDirectory() as folder:
        truth, lengths = case.files(folder, sorted(classes.mids))
        psds, single = trainer.psds(
            this, scores, truth, lengths, None, set(classes.mids)
        )
    of_groups = trainer.mean_psds_per_type(this, single)
    return {
        "psds": psds,
        "psds_common": of_groups["common"],
        "psds_rare": of_groups["rare"],
    }


_TRAINER = (
    "DCASE-REPO+DESED_task/recipes/dcase2024_task4_baseline/local/"
    "sed_trainer_pretrained.py"
)


def _dcase(case: _Case, has_psds2: bool) -> dict[str, float]:
    """The baseline of DCASE 2024: what its trainer calls, and how."""
    import sed_scores_eval

    measures = _taken(
        "DCASE-REPO+DESED_task/desed_task/evaluation/evaluation_measures.py",
        "compute_psds_from_scores",
    )
    encoder = _taken(
        "fschmid56+PretrainedSED/helpers/encode.py",
        "ManyHotEncoder",
        OrderedDict=dict,
    ).ManyHotEncoder(case.mids)
    decode = _taken(
        "DCASE-REPO+DESED_task/recipes/dcase2024_task4_baseline/local/utils.py",
        "batched_decode_preds",
    ).batched_decode_preds
    truth = case.events_of(case.mids)
    lengths = _lengths(case, truth)
    rows = [i for i, clip in enumerate(case.clips) if clip in truth]
    _, scores, _ = decode(
        _tensor(case.scores.swapaxes(1, 2)[rows]),
        [f"{case.clips[i]}.wav" for i in rows],
        encoder,
        thresholds=[],
    )
    inputs = scores, truth, lengths
    psds1, psds2 = (
        next(
            call
            for call in _keywords(_TRAINER, "compute_psds_from_scores")
            if call["dtc_threshold"] == dtc
        )
        for dtc in (0.7, 0.1)
    )
    values = {"psds1": measures.compute_psds_from_scores(*inputs, **psds1)}
    if has_psds2:
        values["psds2"] = measures.compute_psds_from_scores(*inputs, **psds2)
    for kind in ("intersection", "collar"):
        [call] = _keywords(_TRAINER, f"sed_scores_eval.{kind}_based.fscore")
        module = getattr(sed_scores_eval, f"{kind}_based")
        values[kind] = module.fscore(*inputs[:2], **call)[0]["macro_average"]
    # As for MAESTRO's clips, which are named by their place in a file.
    segments = _taken(
        _TRAINER, "_get_segment_scores_and_overlap_add", "_get_segment_scores"
    )._get_segment_scores_and_overlap_add(
        {f"{clip}-0-1000": table for clip, table in scores.items()},
        lengths,
        case.mids,
    )
    segments = {clip: _Frame(table) for clip, table in segments.items()}
    for call in _keywords(_TRAINER, "sed_scores_eval.segment_based.auroc"):
        name = "mpauc" if "max_fpr" in call else "mauc"
        values[name] = sed_scores_eval.segment_based.auroc(
            segments,
            truth,
            lengths,
            segment_length=1.0,
            max_fpr=call.get("max_fpr"),
        )[0]["mean"]
    return {key: float(np.asarray(value)) for key, value in values.items()}


def _scikit_learn(case: _Case) -> dict[str, float]:
    """AUC of segments, by `roc_auc_score`, McClish's correction undone."""
    from sklearn.metrics import (  # type: ignore[import-untyped]
        roc_auc_score,
    )

    truth = case.events_of(case.mids)
    rows = [i for i, clip in enumerate(case.clips) if clip in truth]
    pooled = case.scores[rows].reshape(len(rows), 10, 25, -1).max(axis=2)
    areas, partial = [], []
    for column, mid in enumerate(case.mids):
        is_on = np.zeros((len(rows), 10), bool)
        for i, row in enumerate(rows):
            for onset, offset, event_mid in truth[case.clips[row]]:
                if event_mid == mid:
                    seconds = np.arange(10)
                    is_on[i] |= (seconds < offset) & (seconds + 1 > onset)
        of_class = is_on.ravel(), pooled[:, :, column].ravel()
        areas.append(roc_auc_score(*of_class))
        corrected = roc_auc_score(*of_class, max_fpr=0.1)
        partial.append(0.05 + (2 * corrected - 1) * 0.95)
    return {"auroc": float(np.mean(areas)), "pauroc": float(np.mean(partial))}


@contextlib.contextmanager
def _stable_sort() -> Iterator[None]:
    """Mends the line of the library that sorts equal rates in any order.

    PSDS, which do not depend on it, are not computed meanwhile.
    """
    from sed_scores_eval import intersection_based
    from sed_scores_eval.base_modules import curves, roc

    own, psds = roc.staircase_auc, intersection_based.psds
    intersection_based.psds = lambda *_, **__: (0.0, {"": 0.0}, (), {})
    source = inspect.getsource(curves.staircase_auc)
    mended = dict(vars(curves))
    exec(source.replace("(x)", "(x, kind='stable')", 1), mended)
    roc.staircase_auc = mended["staircase_auc"]
    yield
    roc.staircase_auc, intersection_based.psds = own, psds


# --- Results -----------------------------------------------------------------


class _Row(NamedTuple):
    """One number of a case, by our code and by theirs."""

    case: str
    protocol: str
    metric: str
    code: str
    ours: float
    theirs: float
    stably_sorted: float | None = None


def _rows_of(case: _Case) -> Iterator[_Row]:
    def row(
        protocol: str, metric: str, code: str, theirs: float, **more: Any
    ) -> _Row:
        key = protocol, metric
        if protocol not in ours:
            needs = any(n in protocol for n in ("407", "common_rare"))
            ours[protocol] = case.ours(protocol, needs)
        value = ours[protocol][metric]
        made = _Row(case.name, *key, code, value, float(theirs), **more)
        print(made, flush=True)
        return made

    ours: dict[str, dict[str, float]] = {}
    with _stable_sort():
        stable = _pretrained_sed(case)["pauroc"]
        stable_dcase = (
            {} if case.name == "lengths" else _dcase(case, has_psds2=False)
        )
    theirs = _pretrained_sed(case)
    name = "psds1_audioset_strong_407"
    for metric in ("psds_macro", "psds"):
        yield row(name, metric, "PretrainedSED", theirs[metric])
    yield row(
        "segment_pauroc_407",
        "pauroc",
        "PretrainedSED",
        theirs["pauroc"],
        stably_sorted=float(stable),
    )
    if case.name == "lengths":
        return
    theirs = _flexsed(case)
    yield row("psds1_a", "psds", "FlexSED", theirs["psds_a"])
    yield row("psds1_t", "psds", "FlexSED", theirs["psds_t"])
    yield row("psds1_open", "psds", "FineLAP", _finelap(case))
    yield row("psds1_open", "psds_penalized", "MGA-CLAP", _mga_clap(case))
    theirs = _dasm(case)
    for metric in ("psds", "psds_common", "psds_rare"):
        yield row("psds1_common_rare", metric, "DASM", theirs[metric])
    theirs = _scikit_learn(case)
    yield row("segment_auroc", "auroc", "scikit-learn", theirs["auroc"])
    yield row("segment_pauroc", "pauroc", "scikit-learn", theirs["pauroc"])
    # Theirs takes hours with many classes.
    has_psds2 = len(case.clips) * len(case.mids) ** 2 < 200_000
    theirs = _dcase(case, has_psds2)
    yield row("dcase_psds1", "psds", "DESED_task", theirs["psds1"])
    if has_psds2:
        yield row("dcase_psds2", "psds", "DESED_task", theirs["psds2"])
    for kind in ("intersection", "collar"):
        yield row(f"dcase_{kind}_f1", "f1", "DESED_task", theirs[kind])
    for metric in ("mpauc", "mauc"):
        yield row(
            "dcase2024_mpauc",
            metric,
            "DESED_task",
            theirs[metric],
            stably_sorted=stable_dcase[metric],
        )


def main(argv: Sequence[str]) -> None:
    """Computes every number twice and writes both."""
    run_flags.refuse_arguments(argv)
    cases = [_random_case()]
    if _SCORES.value:
        cases.append(_model_case())
    if _EXCERPT.value:
        cases += _audioset_cases()
    rows = [row for case in cases for row in _rows_of(case)]
    lines = [
        "| scores | protocol | metric | code | ours | theirs | difference |"
    ]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        theirs = f"{row.theirs:.6f}"
        difference = f"{abs(row.ours - row.theirs):.1e}"
        if row.stably_sorted is not None:
            theirs += f"; {row.stably_sorted:.6f} sorted stably"
            difference += f"; {abs(row.ours - row.stably_sorted):.1e}"
        lines.append(
            f"| {row.case} | {row.protocol} | {row.metric} | {row.code} | "
            f"{row.ours:.6f} | {theirs} | {difference} |"
        )
    make_output_folder(_OUTPUT_DIR.value)
    for name, text in {
        "protocols.json": json.dumps([r._asdict() for r in rows], indent=1),
        "protocols.md": "\n".join(lines),
    }.items():
        with open_output(os.path.join(_OUTPUT_DIR.value, name)) as file:
            file.write(text + "\n")


if __name__ == "__main__":
    run_flags.run(main)
