"""Text of a label file: decoded, its header checked, its lines numbered."""

import functools
import os
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from audioset_strong.errors import InputError

Path = str | os.PathLike[str]

# About 30,000 lines: long enough to be parsed at full speed, short enough that
# a release-sized file is never in memory as millions of small strings.
_BLOCK_CHARS = 1 << 20
_MAX_SHOWN_CHARS = 200


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

    def __init__(
        self, path: Path, num_header_lines: int, text: str | None = None
    ) -> None:
        """Reads a file.

        Args:
          path: The file.
          num_header_lines: How many of its lines are the header.
          text: Its content, if it has been read already.
        """
        if text is None:
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
            found = shown(self.header[-1])
        if self.header[-1:] != [header] or len(self.header) < number:
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
        return self.body.count("\n") + self.is_cut

    @functools.cached_property
    def _line_starts(self) -> npt.NDArray[np.int64]:
        """Where each line of the body starts, and one past its end."""
        ends = np.array(
            [match.start() for match in re.finditer("\n", self.body)],
            dtype=np.int64,
        )
        return np.concatenate([[0], ends + 1, [len(self.body) + 1]])

    def line(self, number: int) -> str:
        """Returns a line of the body by its number in the file."""
        index = number - self.first_line
        start, end = self._line_starts[index : index + 2]
        return self.body[start : end - 1]

    @property
    def is_cut(self) -> bool:
        """Whether the last line has no end, as in half of a file."""
        return bool(self.body) and not self.body.endswith("\n")


def shown(line: str) -> str:
    """Quotes a line for a message, the beginning of it if it is long."""
    if len(line) <= _MAX_SHOWN_CHARS:
        return repr(line)
    return f"{line[:_MAX_SHOWN_CHARS]!r}... ({len(line)} characters)"
