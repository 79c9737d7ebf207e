import pytest

from audioset_strong.errors import InputError
from audioset_strong.evaluation.scores import (
    KnownClasses,
    find_classes,
    read_known_classes,
)
from audioset_strong.labels.class_map import (
    ClassMap,
    read_class_map,
    write_class_map,
)
from audioset_strong.labels.label_files import (
    read_display_names,
    write_display_names,
)

CLASS_MAP = ClassMap(
    ("/m/a", "/m/b", "/m/c"), ("Speech", "Bark", "Chirp, tweet")
)
KNOWN = KnownClasses(CLASS_MAP, {"/m/b": "Bark (dog)", "/t/d": "Noise"})


def test_every_kind():
    # 2 is /m/c; Bark and Bark (dog) are names of one class.
    found = find_classes(["Noise", "2", "/m/zz", "Bark (dog)"], KNOWN)
    assert found.mids == ("/t/d", "/m/c", "/m/zz", "/m/b")
    assert found.columns == (0, 1, 2, 3)
    assert found.num_by_kind == {
        "display name": 2,
        "class index": 1,
        "mid": 1,
    }
    assert found.missing == ("/m/a",)
    assert found.describe() == (
        "4 of 4 columns (2 by display name, 1 by class index, 1 by mid); "
        "1 classes of the class map without a column: '/m/a'"
    )


def test_unknown_columns_are_left_out_and_listed(caplog):
    columns = ["Speech", "other", "speech", "3", "Chirp, tweet", "x", "y"]
    found = find_classes(columns, KNOWN)
    # Names are taken as they are written; there is no class 3.
    assert found.mids == ("/m/a", "/m/c")
    assert found.columns == (0, 4)
    assert found.unknown == ("other", "speech", "3", "x", "y")
    assert "5 unknown and left out: 'other', 'speech', '3'," in caplog.text
    # The log names five of them, the report all.
    many = find_classes(["Speech", *(f"u{i}" for i in range(9))], KNOWN)
    assert "'u4' and 4 more" in caplog.text
    assert "'u8'" in many.describe()


def test_mids_need_no_files(caplog):
    found = find_classes(["/m/a", "/t/dd00134", "/g/122z_qxw"])
    assert found.mids == ("/m/a", "/t/dd00134", "/g/122z_qxw")
    assert found.missing == ()
    assert not caplog.text


@pytest.mark.parametrize(
    ("columns", "known", "message"),
    [
        (["Speech", "Bark"], KnownClasses(), "2 columns .*give --class_map"),
        (["0", "1"], KnownClasses(), "give --class_map for class indices"),
        (["dog", "9"], KNOWN, "'dog', '9'.*Give those of the model"),
        (["Speech", "/m/a"], KNOWN, "'Speech' and '/m/a', which are both /m/a"),
        (["Bark", "Bark (dog)"], KNOWN, "both /m/b"),
        (
            ["Hum"],
            KnownClasses(ClassMap(("/m/x", "/m/y"), ("Hum", "Hum"))),
            "'Hum', which is both /m/x and /m/y",
        ),
        (
            # One name, another class in either file.
            ["Speech"],
            KnownClasses(CLASS_MAP, {"/m/new": "Speech"}),
            "'Speech', which is both /m/a and /m/new",
        ),
    ],
)
def test_bad_columns(columns, known, message):
    with pytest.raises(InputError, match=message) as error:
        find_classes(columns, known)
    assert "\n" not in str(error.value)


def test_files_or_what_they_hold(tmp_path):
    write_class_map(CLASS_MAP, tmp_path / "C.csv")
    write_display_names([("/m/b", "Bark (dog)")], tmp_path / "N.tsv")
    read = read_known_classes(tmp_path / "C.csv", str(tmp_path / "N.tsv"))
    given = read_known_classes(CLASS_MAP, {"/m/b": "Bark (dog)"})
    assert (
        read.name_of_mid
        == given.name_of_mid
        == {
            "/m/a": "Speech",
            "/m/b": "Bark (dog)",
            "/m/c": "Chirp, tweet",
        }
    )
    assert read_known_classes(None, None).name_of_mid == {}


def test_real_names_are_of_one_class_each(audioset_labels):
    class_map = read_class_map(audioset_labels / "class_labels_indices.csv")
    names = read_display_names(audioset_labels / "mid_to_display_name.tsv")
    known = KnownClasses(class_map, names)
    by_name = find_classes(list(names.values()), known)
    assert by_name.mids == tuple(names)
    by_index = find_classes([str(i) for i in range(527)], known)
    assert by_index.mids == class_map.mids
    # 74 strong classes are outside the 527.
    assert len(set(by_name.mids) - set(by_index.mids)) == 74
