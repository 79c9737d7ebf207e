import numpy as np
import pytest
from eval_examples import X, framed_table, make_score_file, weak_table

from audioset_strong.evaluation.results import evaluate_strong, evaluate_weak
from audioset_strong.evaluation.scores import (
    logits_to_probabilities,
    warn_unless_probabilities,
    with_probabilities,
)


def logit_file(seed=0):
    rng = np.random.default_rng(seed)
    return make_score_file(
        rng.normal(scale=4, size=(6, 10, 3)).astype(np.float32),
        mids=[X, "/m/y", "/m/z"],
    )


def test_probabilities_of_logits():
    logits = np.linspace(-80, 80, 1001)
    expected = 1 / (1 + np.exp(-logits))
    found = logits_to_probabilities(logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # float16 would make 12 and 15 the same.
    few = logits_to_probabilities(np.array([12, 15], dtype=np.float16))
    assert few[0] < few[1]


def test_what_is_the_same_and_what_is_not():
    logits = logit_file()
    probabilities = with_probabilities(logits)
    assert probabilities.notes == ("logits were turned into probabilities",)
    framed = framed_table(
        {(f"clip{i}_0", X): {i, i + 1, i + 2} for i in range(6)}
    )
    strong = [evaluate_strong(s, framed) for s in (logits, probabilities)]
    assert strong[0].mean_auc == strong[1].mean_auc
    assert strong[0].lwlrap == strong[1].lwlrap
    weak = weak_table({f"clip{i}_0": [X] if i % 2 else [] for i in range(6)})
    files = [(logit_file(seed), seed) for seed in range(10)]
    is_same = [
        evaluate_weak(s, weak, negatives="implied").mean_auc
        == evaluate_weak(
            with_probabilities(s), weak, negatives="implied"
        ).mean_auc
        for s, _ in files
    ]
    # Means of logits order some clips in another way.
    assert not all(is_same)


def test_warnings(caplog):
    text = warn_unless_probabilities(logit_file(), ["thresholds"], "S.npz")
    assert text in caplog.text
    assert text.startswith("S.npz lie in [-")
    assert "not in [0, 1], and thresholds would be another" in text
    assert "\n" not in text


@pytest.mark.parametrize("asked_for", [[], ["thresholds"]])
def test_no_warning(caplog, asked_for):
    probabilities = with_probabilities(logit_file())
    caplog.clear()
    file = probabilities if asked_for else logit_file()
    assert warn_unless_probabilities(file, asked_for) == ""
    assert not caplog.text


def test_label_frames_beyond_the_audio_do_not_count():
    scores = np.full((1, 10, 1), 0.5, dtype=np.float32)
    scores[0, 4:] = 7
    file = make_score_file(scores, num_label_frames=[4])
    assert warn_unless_probabilities(file, ["thresholds"]) == ""
    nothing = make_score_file(scores, num_label_frames=[0])
    assert warn_unless_probabilities(nothing, ["thresholds"]) == ""


def test_probabilities_that_are_said_to_be_logits(caplog):
    with_probabilities(with_probabilities(logit_file()))
    assert "are they probabilities already?" in caplog.text
