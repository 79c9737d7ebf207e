"""Killed ten times and asked to end five times, a run ends in the same bits."""

import pytest
from disturbed_training import compare, disturb, finish, signals_in_order, start

_RECIPE = (
    "--ema_decay=0.9",
    "--mixup_share=0.5",
    "--max_masked_stft_frames=20",
    "--max_masked_mel_bands=10",
    "--max_gain_db=6",
    "--balance_classes",
)


@pytest.mark.stress
@pytest.mark.parametrize("flags", [(), _RECIPE], ids=["paper", "recipe"])
def test_a_disturbed_run_ends_in_the_same_bits(
    flags, tiny_records_dir, tmp_path
):
    whole, disturbed = str(tmp_path / "whole"), str(tmp_path / "disturbed")
    finish(start(tiny_records_dir, whole, *flags))
    signals = signals_in_order(len(flags))
    disturb(tiny_records_dir, disturbed, signals, len(flags), *flags)
    compare(whole, disturbed)
