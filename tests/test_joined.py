"""Results that were run apart: joined once, and only if they agree."""

import pytest

from audioset_strong.errors import InputError
from experiments.joined import read_results, write_result


def _write(folder, row, value, width=0.25, weights="a1"):
    result = {
        "point": {"row": row},
        "must_agree": {"network": {"width": width, "stride": 2}},
        "must_agree_here": {"start": weights},
        "values": {"d_prime": value},
    }
    write_result(result, str(folder / "rows"), row)
    return result


def _read(*folders, like=()):
    found = read_results([str(f) for f in folders], "rows", like)
    return {r["point"]["row"]: r["values"]["d_prime"] for r in found}


def test_results_of_several_folders_are_joined(tmp_path):
    _write(tmp_path / "a", "weak", 0.5)
    _write(tmp_path / "a", "strong", 1.5)
    # The same result again, and weights of another machine.
    _write(tmp_path / "b", "weak", 0.5, weights="b2")
    _write(tmp_path / "b", "diffuse", 0.75, weights="b2")
    assert _read(tmp_path / "a", tmp_path / "b") == {
        "strong": 1.5,
        "weak": 0.5,
        "diffuse": 0.75,
    }


def test_two_results_of_one_point_are_an_error(tmp_path):
    _write(tmp_path / "a", "weak", 0.5)
    _write(tmp_path / "b", "weak", 0.625)
    with pytest.raises(InputError, match="one result of .*weak.*a/.* and .*b/"):
        _read(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0.5}, "network in .*weak.json .*: width 0.5 and 0.25"),
        ({"weights": "b2"}, "weights of start of .*: 'b2' and 'a1'"),
    ],
)
def test_what_does_not_agree_is_refused_or_left_out(tmp_path, change, message):
    kept = _write(tmp_path, "strong", 1.5)
    _write(tmp_path, "weak", 0.5, **change)
    with pytest.raises(InputError, match=message):
        _read(tmp_path)
    assert _read(tmp_path, like=[kept]) == {"strong": 1.5}


def test_folder_without_results_is_an_error(tmp_path):
    with pytest.raises(InputError, match="Expected results in .*rows, found"):
        _read(tmp_path)
