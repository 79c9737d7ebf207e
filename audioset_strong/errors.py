"""The one error type for bad input.

Libraries raise `InputError` when a file, flag or array that the user gave is
wrong; binaries print its message as one line and exit with status 2
(`run_flags.run`). Everything else that is raised is a bug of ours and keeps its
traceback.
"""


class InputError(ValueError):
    """Bad input: says what was expected, what came and what to do."""
