"""Parses commands of the package without running them.

    python tests/parse_commands.py commands.json

The file is as for run_commands.py. Every flag must be one of its command's.
"""

import json
import runpy
import sys

from absl import flags
from run_commands import forget_flags


def main():
    """Parses the commands; stops at the first that cannot be parsed."""
    with open(sys.argv[1], encoding="utf-8") as file:
        commands = json.load(file)
    kept = set(flags.FLAGS)  # of absl itself
    for verb, *arguments in commands:
        forget_flags(kept)
        runpy.run_module(f"audioset_strong.{verb}", run_name="parsed")
        rest = flags.FLAGS([verb, *arguments])
        assert rest == [verb], rest


if __name__ == "__main__":
    main()
