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
    # TensorFlow has no wheels for Python 3.14 yet.
    python_requires=">=3.11,<3.14",
    # Lower bounds are what the code needs; constraints.txt and
    # constraints-io.txt hold every version that the tests run with.
    install_requires=[
        "absl-py>=2.0",
        # Checksums of TFRecords, and the messages in them.
        "google-crc32c>=1.5",
        "jinja2>=3.1",
        "keras>=3.3",
        "matplotlib>=3.8",
        "numpy>=1.26",
        # Runs the small model that comes with the package.
        "onnxruntime>=1.17",
        "pandas>=2.2",
        "pillow>=10.0",
        "protobuf>=4.25",
        "pyarrow>=15.0",
        "scipy>=1.11",
        "soundfile>=0.12",
        "soxr>=0.3.7",
        # TensorFlow 2.21 no longer brings it; training writes its summaries.
        "tensorboard>=2.16",
        "tensorflow>=2.16",
        "threadpoolctl>=3.1",
        "tqdm>=4.66",
    ],
    extras_require={
        # Audio that libsndfile does not read: M4A, AAC, WebM, ...
        "av": ["av>=12.0"],
        # Writes ONNX. TensorFlow itself writes TFLite.
        "export": ["onnx>=1.16", "tf2onnx>=1.17"],
        # Preparation on a cluster; one machine needs no Beam.
        "beam": ["apache-beam>=2.60"],
        "dask": ["apache-beam>=2.60", "dask>=2024.1", "distributed>=2024.1"],
        # Object storage.
        "s3": ["s3fs>=2024.2"],
        "gcs": ["gcsfs>=2024.2"],
        "azure": ["adlfs>=2026.8"],
        # Decoding in the TensorFlow graph. 0.37.1 is tensorflow-io's newest
        # release and loads with TensorFlow 2.16 only, so on Python 3.11 and
        # 3.12 and with NumPy 1.26 only, which pyarrow 19 no longer takes.
        "io": ["tensorflow==2.16.*", "tensorflow-io==0.37.1", "pyarrow<19"],
        # PSDS, collar- and intersection-based F1 of events. dcase_util, which
        # it brings, imports pkg_resources, which setuptools 81 dropped.
        "psds": ["sed_scores_eval>=0.0.4", "setuptools<81"],
        # What the benchmarks compare with.
        "benchmarks": ["librosa>=0.10"],
        "dev": [
            "hypothesis>=6.100",
            # A server of object storage on loopback.
            "moto[server]>=5.0",
            "mypy>=1.10",
            "pandas-stubs>=2.2",
            "pytest>=9.0",
            "pytest-xdist>=3.5",
            "ruff>=0.6",
            # An oracle of the metrics' tests; the metrics are our own.
            "scikit-learn>=1.4",
        ],
    },
)
