"""What tells one report from another: system, date, version and input files.

A file is known by its SHA-256 and size, a folder by the names and contents of
all files in it, so that a report says which scores and labels its numbers are
of, wherever the files go. Hashing takes about 1 s a GB (measured 2026-11-27,
one core: 1.1 GB/s), which is little beside reading scores.
"""

import concurrent.futures
import dataclasses
import datetime
import hashlib
import os
import pathlib
import re
from collections.abc import Mapping, Sequence

import audioset_strong

# The first digits tell files apart as well as all 64 do.
_HASH_DIGITS = 16

# Words that name any system's scores as well as another's.
_WORD_OF_ANY = re.compile(
    r"scores?|eval(uations?)?|test|valid(ation)?|val|predict(ions?|ed)?|"
    r"outputs?|results?|models?|runs?|reports?|systems?|best|last|final|"
    r"tables?|checkpoints?|data|tmp|[0-9]*",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class InputFile:
    """A file or folder that results were made from.

    Attributes:
      path: Where it was.
      sha256: First 16 hex digits of the SHA-256 of the file; of a folder, of
        the names and hashes of all files in it.
      num_bytes: Size of the file, or of all files of the folder.
    """

    path: str
    sha256: str
    num_bytes: int


@dataclasses.dataclass(frozen=True)
class ReportIdentity:
    """What results are of.

    Attributes:
      system_name: Name of the system; of all of them, in words, if several are
        compared.
      baseline_name: Name of the baseline, "" without one.
      date: When the results were computed, UTC, such as
        "2026-11-27T00:30:00Z"; "" if that is not known.
      version: Version of this package.
      protocols: How scores were evaluated, by name.
      files: The input files, by the argument that they were given as. What was
        no file, such as an array, is missing.
    """

    system_name: str = "scores"
    baseline_name: str = ""
    date: str = ""
    version: str = audioset_strong.__version__
    protocols: tuple[str, ...] = ()
    files: Mapping[str, InputFile] = dataclasses.field(default_factory=dict)

    def describe(self) -> str:
        """Says in a line when, by which version and how results were made."""
        date = f"{self.date.replace('T', ' ').replace('Z', ' UTC')}, "
        protocols = ""
        if self.protocols:
            protocols = f", protocol {', '.join(self.protocols)}"
        return (
            f"{date if self.date else ''}audioset_strong {self.version}"
            f"{protocols}"
        )


def identify(
    system_name: str,
    baseline_name: str,
    inputs: Mapping[str, str | None],
    protocols: Sequence[str],
) -> ReportIdentity:
    """Makes the identity of results that are computed now.

    Args:
      system_name: Name of the system.
      baseline_name: Name of the baseline, "" without one.
      inputs: Where each input is from; those that are paths are hashed.
      protocols: How scores were evaluated.
    """
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return ReportIdentity(
        system_name=system_name,
        baseline_name=baseline_name,
        date=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        protocols=tuple(protocols),
        files={
            name: hash_input(source)
            for name, source in inputs.items()
            if source is not None and os.path.exists(source)
        },
    )


def hash_input(path: str) -> InputFile:
    """Hashes a file, or a folder with all files in it."""
    if os.path.isfile(path):
        return InputFile(path, *_hash_file(path))
    folder = pathlib.Path(path)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    # Hashing leaves Python's lock to the other threads.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        hashed = list(pool.map(_hash_file, files))
    lines = [
        f"{file.relative_to(folder).as_posix()}\n{digest}\n"
        for file, (digest, _) in zip(files, hashed, strict=True)
    ]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    num_bytes = sum(num for _, num in hashed)
    return InputFile(path, digest[:_HASH_DIGITS], num_bytes)


def _hash_file(path: str | os.PathLike[str]) -> tuple[str, int]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest[:_HASH_DIGITS], file.tell()


def name_of_source(source: str) -> str:
    """Makes a system's name of where its scores are from.

    The file's name without its ending, behind the nearest folder with a telling
    name unless the file's is telling itself: "runs/plus_strong/eval_scores.npz"
    is "plus_strong/eval_scores", "yamnet.npz" is "yamnet". Of what is no path,
    such as "an array", the source itself.
    """
    if not os.path.exists(source):
        return source
    path = pathlib.Path(os.path.abspath(source))
    stem = path.name if path.is_dir() else path.stem
    if _is_telling(stem):
        return stem
    for folder in path.parents:
        if _is_telling(folder.name):
            return f"{folder.name}/{stem}"
    return stem


def _is_telling(name: str) -> bool:
    """Whether a name has a word that not just any system has."""
    words = re.split(r"[\W_]+", name)
    return not all(_WORD_OF_ANY.fullmatch(word) for word in words)
