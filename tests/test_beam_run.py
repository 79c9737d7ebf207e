"""Options of the run: local by default, Beam's own where they are given."""

import os

import pytest
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PortableOptions,
    StandardOptions,
    WorkerOptions,
)

from audioset_strong.errors import InputError
from audioset_strong.records.beam import BeamRun, unknown_beam_flags


def test_all_cores_by_default():
    run = BeamRun()
    assert run.is_local
    assert run.num_processes == os.cpu_count()
    options = run.pipeline_options().view_as(DirectOptions)
    assert options.direct_num_workers == os.cpu_count()


def test_a_given_number_of_workers():
    options = BeamRun(num_workers=3).pipeline_options()
    assert options.view_as(DirectOptions).direct_num_workers == 3


def test_options_reach_another_runner():
    run = BeamRun("FlinkRunner", 5, ("--job_endpoint=localhost:8099",))
    assert not run.is_local
    options = run.pipeline_options()
    assert options.view_as(StandardOptions).runner == "FlinkRunner"
    assert options.view_as(WorkerOptions).num_workers == 5
    endpoint = options.view_as(PortableOptions).job_endpoint
    assert endpoint == "localhost:8099"


def test_the_runner_chooses_the_number_of_workers_if_none_is_given():
    options = BeamRun("DataflowRunner").pipeline_options()
    assert options.view_as(WorkerOptions).num_workers is None


def test_unknown_options_are_found():
    flags = ["--job_endpoint=a:1", "--weak_lables=x", "--region", "r", "stray"]
    assert unknown_beam_flags(flags) == ["--weak_lables=x", "stray"]
    with pytest.raises(InputError, match=r"no options \['--nope'\]"):
        BeamRun("FlinkRunner", 0, ("--nope",))
