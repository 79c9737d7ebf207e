r"""Evaluates a model that is not ours, as anybody would evaluate theirs.

    python -m experiments.foreign_model --output_dir=runs/foreign \
        --sources=esc50 --esc50_dir=ESC-50

Trains scikit-learn's MLPClassifier on band energies of soundscapes, writes its
scores as sed_scores_eval does, one table a clip, in windows of 0.24 s whose
columns are display names, and runs `evaluate` on them. Nothing here knows
label frames or our models. Writes release/, tables/ and report/ to
--output_dir, and prints what `evaluate` prints.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
import soundfile
from absl import flags, logging
from scipy import signal
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from audioset_strong import run_flags
from audioset_strong.files import open_output
from audioset_strong.simulation.release import make_release
from audioset_strong.simulation.soundscapes import SoundscapeParams
from audioset_strong.simulation.sources import SourceSettings
from experiments.steps import hash_sizes, run_step

_SOURCES = flags.DEFINE_enum(
    "sources", "synthetic", ["synthetic", "esc50"], "Where the sounds are from."
)
_ESC50_DIR = flags.DEFINE_string("esc50_dir", "", "Folder of ESC-50.")
_NUM_TRAIN_CLIPS = flags.DEFINE_integer(
    "num_train_clips", 600, "Clips with strong labels.", lower_bound=1
)
_NUM_EVAL_CLIPS = flags.DEFINE_integer(
    "num_eval_clips", 200, "Evaluation clips.", lower_bound=1
)
_HIDDEN_UNITS = flags.DEFINE_integer(
    "hidden_units", 128, "Units of the hidden layer.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything.")
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where to write.", required=True
)

WINDOW_SECONDS = 0.24
# A window is judged by itself and by what is around it.
_NUM_CONTEXT_WINDOWS = 5
_NUM_BANDS = 40


def main(argv: Sequence[str]) -> None:
    """Makes soundscapes, trains, scores and evaluates."""
    run_flags.refuse_arguments(argv)
    release_dir, tables_dir, report_dir = (
        os.path.join(_OUTPUT_DIR.value, name)
        for name in ("release", "tables", "report")
    )
    soundscapes = SoundscapeParams(
        num_weak_clips=0,
        num_strong_clips=_NUM_TRAIN_CLIPS.value,
        num_eval_clips=_NUM_EVAL_CLIPS.value,
        seed=_SEED.value,
    )
    source = SourceSettings(_SOURCES.value, _ESC50_DIR.value)
    release = make_release(release_dir, soundscapes, source)
    labels_dir = os.path.join(release_dir, "labels")
    names = pd.read_csv(
        os.path.join(labels_dir, "mid_to_display_name.tsv"),
        sep="\t",
        names=["mid", "display_name"],
        index_col="mid",
    )["display_name"]

    def make_tables() -> None:
        model = train(release_dir, names)
        logging.info("Trained for %d epochs.", model[-1].n_iter_)
        write_tables(model, release_dir, names, tables_dir)

    run_step(
        _OUTPUT_DIR.value,
        "tables",
        tables_dir,
        {
            "soundscapes": soundscapes,
            "source": release["source"],
            "hidden_units": _HIDDEN_UNITS.value,
        },
        make_tables,
        hash_sizes,
    )
    command = [
        *("-m", "audioset_strong.evaluate", f"--scores={tables_dir}"),
        f"--framed_labels={labels_dir}/audioset_eval_strong_framed_posneg.tsv",
        f"--weak_labels={labels_dir}/eval_segments.csv",
        f"--display_names={labels_dir}/mid_to_display_name.tsv",
        f"--report_dir={report_dir}",
    ]
    print("python", *command, flush=True)
    subprocess.run([sys.executable, *command], check=True)


def train(release_dir: str, names: "pd.Series[str]") -> Pipeline:
    """Trains on the windows of the clips with strong labels.

    Args:
      release_dir: What `make_soundscapes` wrote.
      names: Display name of each mid.

    Returns:
      Features -> the probability of each class, in the order of `names`.
    """
    events = pd.read_csv(
        os.path.join(release_dir, "labels", "audioset_train_strong.tsv"),
        sep="\t",
    )
    features, targets = [], []
    for segment_id, of_clip in events.groupby("segment_id"):
        windows = window_features(
            os.path.join(release_dir, "audio", "train", f"{segment_id}.flac")
        )
        centres = (np.arange(len(windows)) + 0.5) * WINDOW_SECONDS
        is_active = np.zeros((len(windows), len(names)), dtype=int)
        for event in of_clip.itertuples():
            is_inside = (centres >= event.start_time_seconds) & (
                centres < event.end_time_seconds
            )
            is_active[is_inside, names.index.get_loc(event.label)] = 1
        features.append(windows)
        targets.append(is_active)
    model = make_pipeline(
        StandardScaler(),
        MLPClassifier(
            (_HIDDEN_UNITS.value,),
            alpha=0.01,
            early_stopping=True,
            random_state=_SEED.value,
        ),
    )
    return model.fit(np.concatenate(features), np.concatenate(targets))


def window_features(path: str) -> np.ndarray:
    """Computes log band energies of windows, and those around them.

    Args:
      path: An audio file.

    Returns:
      float64 `[num_windows, num_features]`: mean and standard deviation in the
      window, and the mean over the windows around it.
    """
    waveform, sample_rate = soundfile.read(path)
    hop = round(0.01 * sample_rate)
    frequencies, _, spectrum = signal.stft(
        waveform, sample_rate, nperseg=4 * hop, noverlap=3 * hop
    )
    edges = np.geomspace(60, sample_rate / 2, _NUM_BANDS + 1)
    band = np.digitize(frequencies, edges) - 1
    energies = np.stack(
        [
            (np.abs(spectrum[band == b]) ** 2).sum(axis=0)
            for b in range(_NUM_BANDS)
        ],
        axis=1,
    )
    log_energies = np.log(energies + 1e-8)
    per_window = round(WINDOW_SECONDS / 0.01)
    num_windows = len(log_energies) // per_window
    windows = log_energies[: num_windows * per_window].reshape(
        num_windows, per_window, _NUM_BANDS
    )
    means = windows.mean(axis=1)
    half = _NUM_CONTEXT_WINDOWS // 2
    padded = np.pad(means, ((half, half), (0, 0)), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(
        padded, _NUM_CONTEXT_WINDOWS, axis=0
    ).mean(axis=-1)
    return np.concatenate([means, windows.std(axis=1), around], axis=1)


def write_tables(
    model: Pipeline, release_dir: str, names: "pd.Series[str]", tables_dir: str
) -> None:
    """Writes the scores of the evaluation clips as sed_scores_eval does.

    Args:
      model: What `train` returned.
      release_dir: What `make_soundscapes` wrote.
      names: Display name of each mid.
      tables_dir: Where to write `<segment_id>.tsv`; made if missing.
    """
    os.makedirs(tables_dir, exist_ok=True)
    audio_dir = os.path.join(release_dir, "audio", "eval")
    for file_name in sorted(os.listdir(audio_dir)):
        scores = model.predict_proba(
            window_features(os.path.join(audio_dir, file_name))
        )
        edges = np.arange(len(scores) + 1) * WINDOW_SECONDS
        table = pd.DataFrame(scores, columns=list(names))
        table.insert(0, "onset", edges[:-1])
        table.insert(1, "offset", edges[1:])
        segment_id = os.path.splitext(file_name)[0]
        with open_output(os.path.join(tables_dir, f"{segment_id}.tsv")) as file:
            table.to_csv(file, sep="\t", index=False)


if __name__ == "__main__":
    run_flags.run(main)
