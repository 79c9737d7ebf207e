"""How a pipeline runs: on the cores of this machine, or on any Beam runner."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from audioset_strong.errors import InputError

LOCAL = "local"


@dataclasses.dataclass(frozen=True)
class BeamRun:
    """Where the shards are written.

    Attributes:
      runner: "local", or a runner of Beam, such as PortableRunner, FlinkRunner,
        SparkRunner or DataflowRunner.
      num_workers: Processes, of this machine or as the runner understands it; 0
        for one a core, or as the runner chooses.
      beam_flags: Further options of Beam, such as `--job_endpoint=...`.
    """

    runner: str = LOCAL
    num_workers: int = 0
    beam_flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
          InputError: Beam does not know one.
        """
        unknown = unknown_beam_flags(self.beam_flags)
        if unknown:
            raise InputError(f"Apache Beam knows no options {unknown}.")

    @property
    def is_local(self) -> bool:
        """Whether all workers are processes of this machine and this run."""
        return self.runner == LOCAL

    @property
    def num_processes(self) -> int:
        """Worker processes of a local run."""
        return self.num_workers or os.cpu_count() or 1

    def pipeline_options(self) -> PipelineOptions:
        """Returns Beam's options."""
        flags = list(self.beam_flags)
        if self.is_local:
            # The runner itself is that of `local_workers.py`. "DirectRunner"
            # fetches and starts another runner where it can, so that two
            # machines would not run the same.
            return PipelineOptions(flags, direct_num_workers=self.num_processes)
        return PipelineOptions(
            flags, runner=self.runner, num_workers=self.num_workers or None
        )


def unknown_beam_flags(beam_flags: Sequence[str]) -> list[str]:
    """Returns the options that Beam does not know, in their order.

    Args:
      beam_flags: As on a command line.
    """
    parsers: list[Any] = []
    PipelineOptions([]).get_all_options(add_extra_args_fn=parsers.append)
    [parser] = parsers
    _, unknown = parser.parse_known_args(list(beam_flags))
    return list(unknown)
