"""lwlrap as DCASE 2019 Task 2 defines it, one label at a time.

Written from the definition in Fonseca et al., "Audio tagging with noisy labels
and minimal supervision", not from any code. Ties are ranked by class index.
"""


def per_class_lwlrap_reference(scores, is_positive):
    """Returns each class's lwlrap (None without positives) and weight."""
    precisions_of_class = [[] for _ in scores[0]]
    for item_scores, item_labels in zip(scores, is_positive, strict=True):
        ranked_classes = sorted(
            range(len(item_scores)), key=lambda c: -item_scores[c]
        )
        num_hits = 0
        for rank, class_index in enumerate(ranked_classes, start=1):
            if item_labels[class_index]:
                num_hits += 1
                precisions_of_class[class_index].append(num_hits / rank)
    num_labels = sum(len(p) for p in precisions_of_class)
    per_class = [sum(p) / len(p) if p else None for p in precisions_of_class]
    weights = [len(p) / num_labels for p in precisions_of_class]
    return per_class, weights


def tied_lwlrap_reference(scores, is_positive):
    """Returns lwlrap with our rule for ties: all of a tie at its worst rank.

    The DCASE definition on every order of each item's classes that puts the
    class in question last among its equals: no order of the file matters.
    """
    precisions = []
    for item_scores, item_labels in zip(scores, is_positive, strict=True):
        for own, is_label in enumerate(item_labels):
            if not is_label:
                continue
            order = sorted(
                range(len(item_scores)),
                key=lambda c: (-item_scores[c], c == own),
            )
            at_or_above = order[: order.index(own) + 1]
            num_hits = sum(bool(item_labels[c]) for c in at_or_above)
            precisions.append(num_hits / len(at_or_above))
    return sum(precisions) / len(precisions)
