"""Arrays of an `.npz`, read without a second copy.

NumPy writes an `.npz` without compression, so that an array in it can be mapped
into memory: nothing is read before it is used, and what was read can be dropped
again. Checksums, which mapping passes over, are checked first.
"""

import os
import struct
import zipfile
from typing import IO, Any

import numpy as np
import numpy.typing as npt

_Path = str | os.PathLike[str]

# Of a zip file's member: everything before its name, whose length and that of
# the extra field after it stand last.
_LOCAL_HEADER = struct.Struct("<26xHH")
_BYTES_AT_ONCE = 1 << 20
# Any, because NumPy gives its functions no types.
_NPY_FORMAT: Any = np.lib.format
# Smaller arrays are simply read.
_MIN_MAPPED_BYTES = 1 << 20


def read_npz(path: _Path) -> dict[str, npt.NDArray[Any]]:
    """Reads the arrays of an `.npz`, without running pickles in it.

    Args:
      path: The file. It must not be written to while its arrays are in use.

    Returns:
      Each array by its name. Large ones that are not compressed are mapped and
      cannot be written to.

    Raises:
      ValueError, EOFError, zipfile.BadZipFile, zlib.error: It is not an `.npz`,
        or a broken one.
    """
    archive = np.load(path, allow_pickle=False)
    if isinstance(archive, np.ndarray):
        raise ValueError("a single array")
    with archive:
        mapped = _mapped_arrays(path)
        return {
            name: mapped[name] if name in mapped else archive[name]
            for name in archive.files
        }


def _mapped_arrays(path: _Path) -> dict[str, npt.NDArray[Any]]:
    """Maps the large arrays of an `.npz` that are not compressed."""
    mapped = {}
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for member in archive.infolist():
            name, ending = os.path.splitext(member.filename)
            is_stored = member.compress_type == zipfile.ZIP_STORED
            is_large = member.file_size >= _MIN_MAPPED_BYTES
            if ending == ".npy" and is_stored and is_large:
                _check_sum(archive, member)
                array = _map_array(file, member)
                if array is not None:
                    mapped[name] = array
    return mapped


def _check_sum(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Reads a member once, which raises if its checksum is another."""
    with archive.open(member) as file:
        while file.read(_BYTES_AT_ONCE):
            pass


def _map_array(
    file: IO[bytes], member: zipfile.ZipInfo
) -> npt.NDArray[Any] | None:
    """Maps one array; None where it has to be read."""
    file.seek(member.header_offset)
    lengths = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    file.seek(sum(lengths), os.SEEK_CUR)
    # What NumPy writes unless a dtype is very long.
    if _NPY_FORMAT.read_magic(file) != (1, 0):
        return None
    shape, is_fortran, dtype = _NPY_FORMAT.read_array_header_1_0(file)
    if dtype.hasobject:
        return None
    mapped = np.memmap(
        file,
        dtype=dtype,
        mode="r",
        offset=file.tell(),
        shape=shape,
        order="F" if is_fortran else "C",
    )
    return mapped.view(np.ndarray)
