r"""Asks models what real recordings are of: ESC-50's, one class each.

    python -m experiments.real_recordings --esc50_dir=ESC-50
    python -m experiments.real_recordings --esc50_dir=ESC-50 \
      --models=runs/starter/export/model_int8.onnx,other/model.onnx

Of the recordings of evaluation, which no training soundscape holds a sound of.
Soundscapes say how common classes are and how they are mixed; these do not.
Prints a line a model; without --models that of the package.
"""

from collections.abc import Sequence

import numpy as np
from absl import flags
from sklearn.metrics import roc_auc_score

from audioset_strong import run_flags
from audioset_strong.evaluation.ranking_metrics import d_prime_from_auc
from audioset_strong.inference.sound_model import load_model
from audioset_strong.simulation.sources import (
    ESC50_CLASSES,
    Esc50Clip,
    read_esc50_clips,
    split_recordings,
)

_ESC50_DIR = flags.DEFINE_string(
    "esc50_dir", None, "Folder of ESC-50.", required=True
)
_MODELS = flags.DEFINE_list("models", [], "Exported models.")


def read_eval_clips(esc50_dir: str) -> list[Esc50Clip]:
    """Lists the clips whose recordings are for evaluation."""
    clips = read_esc50_clips(esc50_dir)
    split_of = split_recordings(clips)
    return [clip for clip in clips if split_of[clip.recording] == "eval"]


def measure(path: str | None, clips: Sequence[Esc50Clip]) -> str:
    """Measures a model; returns a line of a table.

    Args:
      path: As in `load_model`.
      clips: Of ESC-50, each of one class.
    """
    model = load_model(path)
    class_map = model.metadata.class_map
    columns = [class_map.index_of_mid[c.mid] for c in ESC50_CLASSES.values()]
    # [num_clips, num_classes]: the mean over the frames of a clip.
    scores = np.stack(
        [model.score(clip.path).scores[:, columns].mean(0) for clip in clips]
    )
    categories = np.array([clip.category for clip in clips])
    is_present = categories[:, None] == np.array(list(ESC50_CLASSES))
    is_right = is_present[np.arange(len(clips)), scores.argmax(axis=1)]
    d_prime = d_prime_from_auc(roc_auc_score(is_present, scores))
    return (
        f"| {path or 'of the package'} | {len(clips)} | {is_right.mean():.2f} "
        f"| {d_prime:.2f} |"
    )


def main(argv: Sequence[str]) -> None:
    """Prints the table."""
    run_flags.refuse_arguments(argv)
    clips = read_eval_clips(_ESC50_DIR.value)
    print("| model | clips | named right | d' |\n|---|---|---|---|")
    for path in _MODELS.value or [None]:
        print(measure(path, clips), flush=True)


if __name__ == "__main__":
    run_flags.run(main)
