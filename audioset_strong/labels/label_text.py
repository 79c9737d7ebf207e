"""Text of a label file: decoded, its header checked, its lines numbered."""

import functools
import os
from collections.abc import Iterator

from audioset_strong.errors import InputError

Path = str | os.PathLike[str]

# About 30,000 lines: long enough to be parsed at full speed, short enough that
# a release-sized file is never in memory as millions of small strings.
_BLOCK_CHARS = 1 << 20


class LabelText:
    r"""Lines of a label file.

    Lines end in "\n" or "\r\n" and nothing else; Python's `splitlines` would
    also split at characters that display names may hold. Bytes that are not
    UTF-8 become lone surrogates, which no line format allows, so that the lines
    that hold them can be named.

    Attributes:
      path: The file, for messages.
      header: Its first lines, without line ends.
      body: The rest, with "\n" as line end.
      first_line: Number of the first line of `body`, from 1.
    """

    def __init__(self, path: Path, num_header_lines: int) -> None:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8", errors="surrogateescape")
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        self.path = path
        self.header: list[str] = []
        position = 0
        while len(self.header) < num_header_lines and position < len(text):
            end = text.find("\n", position)
            end = len(text) if end < 0 else end
            self.header.append(text[position:end])
            position = end + 1
        self.body = text[position:]
        self.first_line = num_header_lines + 1

    def check_header(self, header: str, example: str) -> None:
        """Checks the last line of the header.

        Raises:
          InputError: It is not `header`; suggests a file like `example`.
        """
        number = self.first_line - 1
        found = f"{len(self.header)} lines"
        if len(self.header) == number:
            found = repr(self.header[-1][:200])
        if found != repr(header):
            raise InputError(
                f"{self.path}:{number}: expected the header {header!r}, found "
                f"{found}. Give a label file such as {example}."
            )

    def blocks(self) -> Iterator[tuple[int, str]]:
        """Yields the body in parts of whole lines, each with its first line."""
        number, position = self.first_line, 0
        while position < len(self.body):
            end = self.body.find("\n", position + _BLOCK_CHARS) + 1
            block = self.body[position : end or len(self.body)]
            yield number, block
            number += block.count("\n")
            position += len(block)

    @property
    def num_lines(self) -> int:
        """Number of lines of the body."""
        is_open = bool(self.body) and not self.body.endswith("\n")
        return self.body.count("\n") + is_open

    @functools.cached_property
    def _lines(self) -> list[str]:
        return self.body.split("\n")

    def line(self, number: int) -> str:
        """Returns a line of the body by its number in the file."""
        return self._lines[number - self.first_line]
