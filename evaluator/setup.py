"""The evaluator alone: what labels and evaluation need, no TensorFlow.

    pip install ./evaluator

installs the same package as `pip install .` with a few small requirements.
Commands that train, export or decode audio then lack theirs.

    pip install './evaluator[onnx]'

adds `predict`, which runs an export's `model.onnx`. Install one of the two
packages in an environment, not both: they are the same files.
"""

import pathlib
import re

import setuptools

_HERE = pathlib.Path(__file__).parent
_ROOT = _HERE.parent
_PACKAGE = "audioset_strong"
_VERSION = re.search(
    r'__version__ = "(.+)"',
    (_ROOT / _PACKAGE / "__init__.py").read_text(encoding="utf-8"),
)[1]

setuptools.setup(
    name="audioset_strong_evaluator",
    version=_VERSION,
    description=(
        "Labels and metrics of Hershey et al., "
        '"The benefit of temporally-strong labels in audio event '
        'classification" (ICASSP 2021), for scores of any model'
    ),
    license="Apache-2.0",
    packages=setuptools.find_packages(_ROOT, include=[f"{_PACKAGE}*"]),
    package_dir={_PACKAGE: f"../{_PACKAGE}"},
    package_data={
        "audioset_strong.evaluation": ["*.jinja", "*.css", "*.js"],
        "audioset_strong.export": ["*.jinja"],
        "audioset_strong.inspection": ["*.jinja", "*.css", "*.js"],
        "audioset_strong.models": ["starter/*"],
        "audioset_strong.simulation": ["*.csv"],
    },
    entry_points={
        "console_scripts": ["audioset-strong = audioset_strong.cli:main"]
    },
    python_requires=">=3.11,<3.14",
    # The same bounds as in ../setup.py; tests/test_small_install.py holds the
    # two together, and holds this list to be enough.
    install_requires=[
        "absl-py>=2.0",
        "jinja2>=3.1",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "pandas>=2.2",
        "pillow>=10.0",
        "pyarrow>=15.0",
        "scipy>=1.11",
        "tqdm>=4.66",
    ],
    extras_require={
        # Runs exported models: `predict` without TensorFlow.
        "onnx": ["onnxruntime>=1.17", "soundfile>=0.12", "soxr>=0.3.7"],
        "psds": ["sed_scores_eval>=0.0.4", "setuptools<81"],
    },
)
