"""Runs modules of the package in processes that need not import libraries.

Starting Python with pandas, SciPy and Matplotlib takes a second or two, longer
than most commands. So `run` asks one process that has imported them to fork
itself, once for each command, and the copy runs the module as `python -m` does.
Tests of what a command imports start real processes instead.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import pathlib
import pkgutil
import runpy
import subprocess
import sys
import tempfile
import threading
import traceback

_ROOT = str(pathlib.Path(__file__).parents[1])
# Not TensorFlow, which most commands do without, and which starts threads.
_LIBRARIES = (
    "absl.app",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "numpy",
    "pandas",
    "scipy.signal",
    "scipy.stats",
    "soundfile",
    "soxr",
    "tqdm",
    "audioset_strong.records.prepare",
)
# All modules of these.
_PACKAGES = ("audioset_strong.evaluation", "audioset_strong.labels")


@functools.cache
def _server():
    """Starts the process that forks; one for each process with tests."""
    server = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        # Threads do not survive a fork.
        env={**os.environ, "PYTHONPATH": _ROOT, "OPENBLAS_NUM_THREADS": "1"},
        text=True,
    )

    def end():
        server.stdin.close()
        server.wait()

    atexit.register(end)
    return server


def run(command, cwd=None, env=None, check=False, text=True, **_):
    """Stands in for `subprocess.run` of `[sys.executable, "-m", module, ...]`.

    Output is captured.
    """
    command = [os.fspath(word) for word in command]
    assert command[:2] == [sys.executable, "-m"], command
    with tempfile.TemporaryDirectory() as folder:
        outputs = [os.path.join(folder, name) for name in ("out", "err")]
        request = {
            "command": command[2:],
            "cwd": os.fspath(cwd or os.getcwd()),
            "env": dict(os.environ if env is None else env),
            "outputs": outputs,
        }
        if hasattr(os, "fork"):
            server = _server()
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            status = int(server.stdout.readline())
        else:
            with open(outputs[0], "wb") as out, open(outputs[1], "wb") as err:
                status = subprocess.run(
                    command, cwd=cwd, env=env, stdout=out, stderr=err
                ).returncode
        said = [pathlib.Path(path).read_bytes() for path in outputs]
    if text:
        said = [part.decode() for part in said]
    done = subprocess.CompletedProcess(command, status, *said)
    if check:
        done.check_returncode()
    return done


def _become(request):
    """Makes this process the one that was asked for, and runs its module."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, path in enumerate(request["outputs"], start=1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    paths = request["env"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [request["cwd"], *filter(None, paths)]
    module, *arguments = request["command"]
    sys.argv = [module, *arguments]
    status = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    # Python would first take apart all that was imported, in half a second.
    os._exit(status)


def _serve():
    names = list(_LIBRARIES)
    for package in map(importlib.import_module, _PACKAGES):
        modules = pkgutil.iter_modules(package.__path__)
        names += [f"{package.__name__}.{module.name}" for module in modules]
    for name in names:
        importlib.import_module(name)
    assert "tensorflow" not in sys.modules
    assert threading.active_count() == 1
    gc.freeze()
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _become(json.loads(line))
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
