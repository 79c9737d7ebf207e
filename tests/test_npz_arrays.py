import zipfile

import numpy as np
import pytest

from audioset_strong.evaluation.scores import read_npz

# Over a megabyte: mapped where it can be.
LARGE = np.linspace(0, 1, 600_000, dtype=np.float32).reshape(100, 6000)


def is_mapped(array):
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


def test_large_arrays_are_mapped(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        names=np.array(["x", "yy"]),
        large=LARGE,
        fortran=np.asfortranarray(LARGE),
        half=LARGE.astype(np.float16),
    )
    arrays = read_npz(tmp_path / "a.npz")
    assert list(arrays) == ["names", "large", "fortran", "half"]
    assert arrays["names"].tolist() == ["x", "yy"]
    for name in ("large", "fortran", "half"):
        assert is_mapped(arrays[name])
        assert type(arrays[name]) is np.ndarray
        assert not arrays[name].flags.writeable
    np.testing.assert_array_equal(arrays["large"], LARGE)
    np.testing.assert_array_equal(arrays["fortran"], LARGE)
    np.testing.assert_array_equal(arrays["half"], LARGE.astype(np.float16))
    assert not is_mapped(arrays["names"])


def test_compressed_arrays_are_read(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", large=LARGE)
    large = read_npz(tmp_path / "a.npz")["large"]
    assert not is_mapped(large)
    np.testing.assert_array_equal(large, LARGE)


def test_another_version_of_the_format_is_read(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w") as archive,
        archive.open("large.npy", "w") as file,
    ):
        np.lib.format.write_array(file, LARGE, version=(2, 0))
    large = read_npz(tmp_path / "a.npz")["large"]
    assert not is_mapped(large)
    np.testing.assert_array_equal(large, LARGE)


def test_a_changed_byte_is_found(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, large=LARGE)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Exception, match="Bad CRC-32"):
        read_npz(path)


def test_pickles_are_refused(tmp_path):
    objects = np.array([{"a": 1}] * 200_000, dtype=object)
    np.savez(tmp_path / "a.npz", objects=objects)
    with pytest.raises(ValueError, match="allow_pickle"):
        read_npz(tmp_path / "a.npz")


def test_a_single_array(tmp_path):
    np.save(tmp_path / "a.npy", LARGE)
    with pytest.raises(ValueError, match="a single array"):
        read_npz(tmp_path / "a.npy")
