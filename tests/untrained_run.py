"""A run of a tiny network that was never trained: a workdir in a second."""

import keras

from audioset_strong.labels.class_map import ClassMap
from audioset_strong.models.frame_classifier import build_frame_classifier
from audioset_strong.params import (
    FeatureParams,
    LabelFrameParams,
    ModelParams,
    TrainParams,
)
from audioset_strong.training import workdir as workdirs

CLASS_MAP = ClassMap(("/m/bell", "/m/dog", "/m/rain"), ("Bell", "Dog", "Rain"))
# Scores in the middle, where a wrong feature would show.
MODEL_PARAMS = ModelParams(width=0.0625, stem_stride=4, initial_score=0.4)


def save_untrained_run(workdir, class_map=CLASS_MAP):
    """Writes settings, classes and the best checkpoint of a run."""
    keras.utils.set_random_seed(1)
    params = workdirs.RunParams(
        FeatureParams(),
        LabelFrameParams(),
        MODEL_PARAMS,
        TrainParams(),
    )
    with workdirs.begin(workdir, params, class_map):
        model = build_frame_classifier(
            class_map.num_classes, params.model, params.features
        )
        run_hash = workdirs.hash_run(params, class_map)
        workdirs.open_checkpoints(workdir, "best", run_hash, model=model).save(
            1
        )
