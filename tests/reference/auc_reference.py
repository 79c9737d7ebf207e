"""AUC by its meaning: count the pairs that are in the right order."""


def auc_reference(positive_scores, negative_scores):
    """Returns the share of (positive, negative) pairs in order; ties half."""
    num_right = 0.0
    for positive in positive_scores:
        for negative in negative_scores:
            num_right += (positive > negative) + 0.5 * (positive == negative)
    return num_right / (len(positive_scores) * len(negative_scores))
