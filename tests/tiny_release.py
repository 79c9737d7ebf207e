"""A tiny release: 16 clips of noise and tones, and their label files.

nukatrain00 .. 09   strong labels, and weak ones but for 09; with a fifth held
                    out, 00, 05, 06 and 07 are
nuka_weak00 .. 03   weak labels only; 03 is 4 s long
nuka_gone00         weak labels, no audio
nuka__bad00         weak labels, text for audio
"""

import numpy as np
import soundfile

from audioset_strong.params import RecordParams

MIDS = ("/m/tone_low", "/m/tone_high", "/m/noise", "/m/never")
NUM_STRONG_CLIPS = 10
HELD_OUT = ("nukatrain00", "nukatrain05", "nukatrain06", "nukatrain07")


def _tiny_waveform(index, seconds, rng):
    """Noise with a tone whose pitch says which class it is."""
    time = np.arange(round(seconds * 16000)) / 16000
    tone = 0.3 * np.sin(2 * np.pi * (300 if index % 2 else 3000) * time)
    is_on = (time > 2) & (time < 6)
    return 0.01 * rng.standard_normal(len(time)) + tone * is_on


def write_tiny_release(folder):
    """Writes the tiny release (module docstring) into an empty folder."""
    rng = np.random.default_rng(0)
    audio = folder / "audio"
    (audio / "more").mkdir(parents=True)
    weak = ["# a", "# b", "# YTID, start_seconds, end_seconds, positive_labels"]
    strong = ["segment_id\tstart_time_seconds\tend_time_seconds\tlabel"]
    for index in range(NUM_STRONG_CLIPS):
        ytid = f"nukatrain{index:02d}"
        path = audio / f"{ytid}_30000.wav"
        soundfile.write(path, _tiny_waveform(index, 10, rng), 16000)
        mid = MIDS[0] if index % 2 else MIDS[1]
        # The last has strong labels only.
        if index < NUM_STRONG_CLIPS - 1:
            weak.append(f'{ytid}, 30.000, 40.000, "{mid},/m/unmapped"')
        strong.append(f"{ytid}_30000\t2.000\t6.000\t{mid}")
        strong.append(f"{ytid}_30000\t0.000\t10.000\t{MIDS[2]}")
        strong.append(f"{ytid}_30000\t1.000\t1.100\t/m/unmapped")
    for index in range(4):
        ytid = f"nuka_weak{index:02d}"
        # Only the ytid, in a subfolder, as others name their files.
        path = audio / "more" / f"Y{ytid}.flac"
        seconds = 4 if index == 3 else 10
        soundfile.write(path, _tiny_waveform(index, seconds, rng), 16000)
        weak.append(f'{ytid}, 0.000, 10.000, "{MIDS[index % 2]},{MIDS[2]}"')
    weak.append(f'nuka_gone00, 0.000, 10.000, "{MIDS[0]}"')
    weak.append(f'nuka__bad00, 0.000, 10.000, "{MIDS[0]}"')
    (audio / "nuka__bad00.flac").write_text("404: not found")
    (folder / "weak.csv").write_text("\n".join(weak) + "\n")
    (folder / "strong.tsv").write_text("\n".join(strong) + "\n")
    classes = [f'{i},{mid},"{mid[3:]}"' for i, mid in enumerate(MIDS)]
    (folder / "classes.csv").write_text(
        "\n".join(["index,mid,display_name", *classes]) + "\n"
    )


def prepare_tiny(release, output_dir, **settings):
    """Prepares records of a tiny release; a fifth of Strong is held out."""
    from audioset_strong.records.prepare import WorkerParams, prepare_records

    defaults = {
        "params": RecordParams(held_out_fraction=0.2, clips_per_shard=4),
        "workers": WorkerParams(num_workers=1),
    }
    return prepare_records(
        str(release / "audio"),
        [str(release / "weak.csv")],
        [str(release / "strong.tsv")],
        str(release / "classes.csv"),
        str(output_dir),
        **{**defaults, **settings},
    )
