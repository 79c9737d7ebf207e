"""The figure of Table 1."""

from experiments.table1_plot import TITLES, table1_figure


def _row(name, ours, paper):
    return {
        "training_set": name,
        "paper": {} if paper is None else dict.fromkeys(TITLES, paper),
        "values": {
            metric: {"mean": ours, "clips": [0.1, 0.9], "seeds": None}
            for metric in TITLES
        },
    }


def _names(axis):
    """Returns the rows that an axis names, from above."""
    return [label.get_text() for label in axis.get_yticklabels()]


def test_rows_stand_in_our_order_and_in_the_papers():
    rows = [
        _row("Weak-large", 0.5, 1.1),
        _row("+ Diffuse", 0.4, 1.3),
        _row("+ Strong", 0.3, 1.2),
        _row("+ Weak", 0.6, None),
    ]
    rows[1]["paper"]["weak_lwlrap"] = None
    rows[2]["values"]["weak_d_prime"]["mean"] = None
    figure = table1_figure(rows, "Thin: over clips.")
    assert "Thin: over clips. Red lines" in figure.get_suptitle()
    panels = dict(zip(TITLES, figure.subfigs, strict=True))
    ours, _, paper = panels["strong_d_prime"].axes
    assert _names(ours) == ["+ Weak", "Weak-large", "+ Diffuse", "+ Strong"]
    assert _names(paper) == ["+ Diffuse", "+ Strong", "Weak-large"]
    # Those of the paper stand beside ours, of which + Weak is none.
    assert list(paper.get_yticks()) == [1, 2, 3]
    (line,) = [
        artist
        for artist in panels["strong_d_prime"].get_children()
        if getattr(artist, "get_edgecolor", None)
        and artist.get_label() == ""
        and artist.get_edgecolor()[:3] == (192 / 255, 0, 0)
    ]
    assert line.xy1[1] == 1  # Weak-large fell by two places
    # What either lacks is left out.
    ours, _, paper = panels["weak_lwlrap"].axes
    assert _names(paper) == ["+ Strong", "Weak-large"]
    ours, _, paper = panels["weak_d_prime"].axes
    assert _names(ours) == ["+ Weak", "Weak-large", "+ Diffuse"]
    assert _names(paper) == ["+ Diffuse", "Weak-large"]
