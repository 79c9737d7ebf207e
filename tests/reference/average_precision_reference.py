"""Average precision by its meaning: one positive after the other."""


def average_precision_reference(positive_scores, negative_scores):
    """Returns the mean precision among what scores as high as each positive."""
    precisions = []
    for threshold in positive_scores:
        num_right = sum(score >= threshold for score in positive_scores)
        num_wrong = sum(score >= threshold for score in negative_scores)
        precisions.append(num_right / (num_right + num_wrong))
    return sum(precisions) / len(precisions)
