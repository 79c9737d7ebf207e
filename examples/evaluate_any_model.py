"""Evaluates the scores of any model, here random ones at 25 windows a second.

python examples/evaluate_any_model.py framed.tsv report
"""

import sys

import numpy as np

from audioset_strong import evaluation

truth = evaluation.read_truth(framed_labels=sys.argv[1])
segment_ids = sorted(truth.framed["segment_id"].unique())
mids = sorted(truth.framed["mid"].unique())

# What a model gave: [num_clips, num_windows, num_classes] in [0, 1].
model_scores = np.random.default_rng(0).random(
    (len(segment_ids), 250, len(mids)), dtype=np.float32
)
# Windows become label frames of 0.96 s by the mean weighted by overlap.
scores = evaluation.make_scores(
    model_scores, segment_ids, mids, frame_seconds=0.04
)

report = evaluation.evaluate(
    scores,
    truth,
    evaluation.EvalSettings(
        resampling=evaluation.ResamplingSettings(num_resamples=200)
    ),
)
print(evaluation.headline_text(report))  # Random scores: d' near 0.
evaluation.write_report(report, sys.argv[2])
