"""Runs commands of the package one after the other, in one process.

    python tests/run_commands.py commands.json

The file holds lists of words, `["train", "--records_dir=records", ...]`. Only
the first command has to load TensorFlow, which takes longer than all of them.
"""

import json
import os
import sys
import time

from absl import app, flags

from audioset_strong import cli


def forget_flags(kept):
    """Forgets the flags of the command before; several have the same names."""
    for name in set(flags.FLAGS) - kept:
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()


def main():
    """Runs the commands; stops at the first that fails."""
    with open(sys.argv[1], encoding="utf-8") as file:
        commands = json.load(file)
    start = time.monotonic()
    app.define_help_flags()
    kept = set(flags.FLAGS)  # of absl itself
    for command in commands:
        seconds = time.monotonic() - start
        print(f"--- {' '.join(command)} # after {seconds:.0f} s", flush=True)
        forget_flags(kept)
        sys.argv = ["audioset-strong", *command]
        try:
            cli.main()
        except SystemExit as done:
            if done.code:
                print(f"--- failed: {command[0]}", flush=True)
                # As a process that one command has to itself.
                os._exit(int(done.code))


if __name__ == "__main__":
    main()
