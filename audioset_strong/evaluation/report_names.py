"""What a report calls evaluations."""

from audioset_strong.evaluation.evaluator import EvalResult

NEGATIVES = {
    "explicit": "explicit negatives",
    "explicit_only": "only negatives of clips without the class",
    "complementary_only": "only complementary negatives",
    "implied": "implied negatives",
}


def evaluation_name(result: EvalResult) -> str:
    """Returns the name of an evaluation, such as for a heading."""
    return f"{result.evaluation.title()} eval, {NEGATIVES[result.negatives]}"
