"""Files of which only a part is there yet.

While `<path>` is fetched it lies in `<path>.part`, and `<path>.part.json` says
which version of it this is, so that the rest of another version is never put
behind it.
"""

import contextlib
import dataclasses
import json
import os
from typing import IO


@dataclasses.dataclass(frozen=True)
class Version:
    """What a server said of a file.

    Attributes:
      url: Where it is.
      validator: Its ETag or Last-Modified; None if the server gave neither.
      num_bytes: Size of all of it, if known.
    """

    url: str
    validator: str | None = None
    num_bytes: int | None = None

    def is_all(self, num_bytes: int) -> bool:
        """Whether this many bytes of a known version are all of it."""
        return self.validator is not None and self.num_bytes == num_bytes


class PartFile:
    """The part of a file that is there.

    Attributes:
      path: Where the part lies.
      name: Name of the file that it becomes.
    """

    def __init__(self, final_path: str) -> None:
        self.path = f"{final_path}.part"
        self.name = os.path.basename(final_path)
        self._version_path = f"{self.path}.json"

    @property
    def num_bytes(self) -> int:
        """Size of the part; 0 if there is none."""
        try:
            return os.path.getsize(self.path)
        except FileNotFoundError:
            return 0

    def version_of(self, url: str) -> Version:
        """Reads which version this is a part of; unknown for another URL."""
        try:
            with open(self._version_path, encoding="utf-8") as file:
                version = Version(**json.load(file))
        except (FileNotFoundError, ValueError, TypeError):
            return Version(url)
        return version if version.url == url else Version(url)

    def open(self, begin: int, version: Version) -> IO[bytes]:
        """Opens the part for writing.

        Args:
          begin: 0 to begin anew, or `num_bytes` to go on.
          version: What is written; noted for `version_of`.
        """
        # Emptied first: an old part with a new version would be taken for it.
        file = open(self.path, "ab" if begin else "wb")  # noqa: SIM115
        try:
            with open(self._version_path, "w", encoding="utf-8") as note:
                json.dump(dataclasses.asdict(version), note)
        except BaseException:
            file.close()
            raise
        return file

    def move_to(self, path: str) -> None:
        """Gives the part, which is whole, a name."""
        os.replace(self.path, path)
        self.discard()

    def discard(self) -> None:
        """Removes the part, if there is one, and what is known of it."""
        for path in (self.path, self._version_path):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
