"""Package description; tool settings are in pyproject.toml."""

import pathlib
import re

import setuptools

_HERE = pathlib.Path(__file__).parent
_VERSION = re.search(
    r'__version__ = "(.+)"',
    (_HERE / "audioset_strong" / "__init__.py").read_text(encoding="utf-8"),
)[1]

setuptools.setup(
    name="audioset_strong",
    version=_VERSION,
    description=(
        'Reference implementation of Hershey et al., "The benefit of '
        'temporally-strong labels in audio event classification" (ICASSP 2021)'
    ),
    long_description=(_HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=setuptools.find_packages(include=["audioset_strong*"]),
    python_requires=">=3.11",
    # Lower bounds are what the code needs; constraints.txt holds every version
    # that the tests run with.
    install_requires=[
        "absl-py>=2.0",
        # The engine of prepare_records, also on one machine.
        "apache-beam>=2.60",
        "keras>=3.3",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "pandas>=2.2",
        "scipy>=1.11",
        "soundfile>=0.12",
        "soxr>=0.3.7",
        "tensorflow>=2.16",
        "threadpoolctl>=3.1",
        "tqdm>=4.66",
    ],
    extras_require={
        # File systems of object storage. 0.37.1 is tensorflow-io's newest
        # release and loads with TensorFlow 2.16 only.
        "io": ["tensorflow==2.16.*", "tensorflow-io==0.37.1"],
        # Audio that libsndfile does not read: M4A, AAC, WebM, ...
        "av": ["av>=12.0"],
        # PSDS, collar- and intersection-based F1 of events.
        "psds": ["sed_scores_eval>=0.0.4"],
        # What the benchmarks compare with.
        "benchmarks": ["librosa>=0.10"],
        "dev": [
            "hypothesis>=6.100",
            # A server of object storage on loopback.
            "moto[server]>=5.0",
            "mypy>=1.10",
            "pandas-stubs>=2.2",
            "pytest>=8.0",
            "pytest-xdist>=3.5",
            "ruff>=0.6",
            # An oracle of the metrics' tests; the metrics are our own.
            "scikit-learn>=1.4",
        ],
    },
)
