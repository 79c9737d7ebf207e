"""What a page shows: clips, labels, scores, errors; and its HTML."""

import base64
import dataclasses
import io
import json
import re
import sys

import forked
import numpy as np
import pytest
import soundfile
from inspection_examples import (
    CLICK_SECONDS,
    CLICKS,
    IDS,
    MIDS,
    NAMES,
    click_track,
    make_inputs,
    write_report,
)
from PIL import Image
from test_report_page import _ATTACK, PageReader

from audioset_strong.errors import InputError
from audioset_strong.inspection import audio as inspection_audio
from audioset_strong.inspection.audio import write_clip_audio
from audioset_strong.inspection.page import render_page, write_page
from audioset_strong.inspection.reading import read_inspection
from audioset_strong.labels.problems import ProblemLog


@pytest.fixture
def inputs(tmp_path):
    return make_inputs(tmp_path)


def read(inputs, **changes):
    return read_inspection(dataclasses.replace(inputs, **changes), ProblemLog())


def known_of(inspection, number, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir(exist_ok=True)
    return inspection.prepare(number, str(folder)), folder


# --- Sound and spectrogram --------------------------------------------------


def columns_of(path):
    """Mean brightness of each column, and the image."""
    image = np.asarray(Image.open(path))
    return image.mean(axis=0), image


def test_spectrogram_has_clicks_where_the_sound_has(tmp_path):
    soundfile.write(tmp_path / "a.wav", click_track(), 44100)
    audio = write_clip_audio(str(tmp_path / "a.wav"), 0.0, None, tmp_path)
    assert audio.seconds == 10.0
    assert audio.overview is None
    [tile] = audio.tiles
    brightness, image = columns_of(tmp_path / tile.name)
    assert image.shape == (64, 998)
    assert tile.start_seconds == pytest.approx(0.0075)
    assert tile.end_seconds == pytest.approx(0.0075 + 9.98)
    heard, rate = soundfile.read(tmp_path / "audio.flac")
    assert rate == 16000
    for click in CLICKS:
        start = round(click * rate)
        length = round(CLICK_SECONDS * rate)
        assert np.abs(heard[start : start + length]).mean() > 0.2
        assert np.abs(heard[start - 320 : start - 32]).max() < 0.02
        middle = click + CLICK_SECONDS / 2
        near = np.arange(998)[brightness > 0.8 * brightness.max()]
        seconds = tile.start_seconds + (near + 0.5) * 0.01
        assert np.abs(seconds - middle).min() <= 0.01


def test_long_audio_is_the_same_in_blocks(tmp_path, monkeypatch):
    path = str(tmp_path / "a.wav")
    soundfile.write(path, click_track(), 16000 * 3)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    [tile] = write_clip_audio(path, 0.0, None, str(whole)).tiles
    monkeypatch.setattr(inspection_audio, "_TILE_COLUMNS", 300)
    audio = write_clip_audio(path, 0.0, None, str(parts))
    joined = np.concatenate(
        [columns_of(parts / t.name)[1] for t in audio.tiles], axis=1
    )
    assert (joined == columns_of(whole / tile.name)[1]).all()
    ends = [t.end_seconds for t in audio.tiles]
    assert [t.start_seconds for t in audio.tiles[1:]] == pytest.approx(
        ends[:-1]
    )
    assert ends[-1] == pytest.approx(tile.end_seconds)
    overview = columns_of(parts / audio.overview.name)[1]
    assert overview.shape[0] == 64
    assert overview.max() == joined.max()


def test_a_part_of_a_file_is_cut_out(tmp_path, monkeypatch):
    monkeypatch.setattr(inspection_audio, "_BLOCK_SECONDS", 1.0)
    path = str(tmp_path / "a.flac")
    soundfile.write(path, click_track(), 44100)
    for start, seconds, expected in ((2.5, 3.0, 3.0), (7.0, 9.0, 3.0)):
        audio = write_clip_audio(path, start, seconds, str(tmp_path))
        assert audio.seconds == expected
        heard, rate = soundfile.read(tmp_path / "audio.flac")
        first = np.flatnonzero(np.abs(heard) > 0.1)[0] / rate
        click = min(c for c in CLICKS if c > start)
        assert first == pytest.approx(click - start, abs=0.002)


# --- Labels, scores, errors -------------------------------------------------


def test_all_kinds_of_labels(inputs, tmp_path):
    inspection = read(inputs, segment_ids=IDS)
    assert [c[0] for c in inspection.classes] == list(MIDS)
    assert inspection.classes[3] == ("/m/low", "Low", 0.75)
    assert inspection.labelled_classes() == [[0, 3], [1], []]
    known, folder = known_of(inspection, 0, tmp_path)
    json.dumps(known)
    assert known["seconds"] == 10.0
    assert known["weak"] == [0, 3]
    assert [onset for _, onset, _ in known["strong"]] == list(CLICKS)
    assert known["framed"] == {0: "PPCPCPCPCP", 2: "EEEEEEEEEE"}
    scores = np.fromfile(folder / known["scores"]["name"], np.float32)
    scores = scores.reshape(4, 10)
    assert scores[0, 3] == np.float32(0.81)
    assert known["scores"]["peaks"] == pytest.approx([0.81, 0.01, 0.01, 0.01])
    assert known["note"] == ""
    quiet, _ = known_of(inspection, 2, tmp_path)
    assert quiet["weak"] is None
    assert quiet["strong"] == []
    assert quiet["audio"] is None
    assert "no audio" in quiet["note"]


def test_strong_labels_are_framed_without_framed_ones(inputs, tmp_path):
    absent = tmp_path / "absent.tsv"
    absent.write_text(f"segment_id\tlabel\n{IDS[1]}\t/m/no\n")
    inspection = read(
        inputs,
        framed_labels=None,
        explicit_negatives=str(absent),
        segment_ids=[IDS[1]],
    )
    known, _ = known_of(inspection, 0, tmp_path)
    letters = {MIDS[c]: text for c, text in known["framed"].items()}
    assert letters == {"/m/hum": "CCPPPCCCCC", "/m/no": "EEEEEEEEEE"}


def test_long_recordings_and_scores_at_their_own_hop(inputs, tmp_path):
    # As predict names and scores them.
    folder = tmp_path / "audio" / "site 3"
    folder.mkdir()
    soundfile.write(folder / "dawn.wav", np.zeros(16000 * 25), 16000)
    scores = np.random.default_rng(1).random((114, 2)).astype(np.float32)
    np.savez(
        tmp_path / "native.npz",
        segment_ids=np.array([IDS[0], "site 3/dawn"]),
        mids=np.array(MIDS[:2]),
        scores=scores,
        num_frames=np.array([10, 104]),
        frame_seconds=0.24,
        audio_seconds=np.array([2.4, 25.0]),
    )
    events = tmp_path / "events.tsv"
    events.write_text(
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        "site 3/dawn\t21.500\t24.900\t/m/hum\n"
    )
    inspection = read(
        inputs,
        segment_ids=["site 3/dawn"],
        scores=f"{tmp_path}/native.npz",
        strong_labels=str(events),
        framed_labels=None,
        weak_labels=None,
        thresholds=None,
    )
    known, folder = known_of(inspection, 0, tmp_path)
    assert known["seconds"] == 25.0
    assert known["weak"] is None
    [letters] = known["framed"].values()
    assert letters == "C" * 22 + "PPPP"
    assert known["scores"]["frame_seconds"] == 0.24
    found = np.fromfile(folder / "scores.f32", np.float32).reshape(2, 104)
    assert (found == scores[10:].T).all()


def test_an_audio_index_and_a_list_of_clips(inputs, tmp_path):
    index = tmp_path / "index.csv"
    index.write_text(
        f"segment_id,path,start_seconds,duration_seconds\n"
        f"morning,{IDS[0]}.flac,2.5,4\n{IDS[1]},{IDS[1]}.wav,,\n"
    )
    clips = tmp_path / "clips.tsv"
    clips.write_text(
        f"segment_id\tduration_seconds\nmorning\t3.5\n{IDS[1]}\t10\n"
    )
    inspection = read(
        inputs,
        audio_index=str(index),
        clips=str(clips),
        report_dir=None,
        scores=None,
        strong_labels=None,
        framed_labels=None,
        weak_labels=None,
        max_clips=1,
    )
    assert inspection.segment_ids == ["morning"]
    known, folder = known_of(inspection, 0, tmp_path)
    assert known["seconds"] == 3.5
    heard, rate = soundfile.read(folder / "audio.flac")
    first = np.flatnonzero(np.abs(heard) > 0.1)[0] / rate
    assert first == pytest.approx(0.5, abs=0.002)


def test_worst_errors_choose_the_clips(inputs, caplog):
    with caplog.at_level("INFO", logger="absl"):
        inspection = read(inputs)
    # The last error's clip has no audio; it is still one to see.
    assert inspection.segment_ids == [*IDS[:2], "gonegonegon_0"]
    assert "1 of 3 clips have no audio: 'gonegonegon_0'" in caplog.text
    strong, weak = inspection.errors
    assert strong["evaluation"] == "Strong eval, explicit negatives"
    assert strong["rows"][0] == ("false alarm", 0, 0, 4.8, 5.76, 0.64)
    assert weak["rows"] == [("false alarm", 0, 0, None, None, 0.64)]
    with caplog.at_level("INFO", logger="absl"):
        assert len(read(inputs, max_clips=1).errors[0]["rows"]) == 1
    assert "2 worst errors are of clips that are not shown" in caplog.text
    assert "The first 1 of 3 clips" in caplog.text


def test_audio_that_cannot_be_used_is_noted(inputs, tmp_path):
    (tmp_path / "audio" / f"{IDS[2]}.wav").write_bytes(b"RIFF nothing" * 9)
    known, _ = known_of(read(inputs, segment_ids=[IDS[2]]), 0, tmp_path)
    assert known["audio"] is None
    assert "The audio cannot be used: unreadable" in known["note"]
    assert known["scores"] is not None


def test_audio_whose_end_is_missing_is_noted(inputs, tmp_path):
    path = tmp_path / "audio" / f"{IDS[1]}.wav"
    path.write_bytes(path.read_bytes()[:200_000])
    known, _ = known_of(read(inputs, segment_ids=[IDS[1]]), 0, tmp_path)
    assert known["audio"] == "audio.flac"
    assert known["note"].startswith("The end of the audio is missing: ")
    # Weak labels, label frames and scores go on.
    assert known["seconds"] == pytest.approx(9.6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio_dir": None}, "Expected audio: the folder of the clips"),
        ({"segment_ids": [IDS[0], "nobody_0"]}, "1 of 2 have none: 'nobody_0"),
        ({"segment_ids": [IDS[2]]}, "found none for all 1: 'quietquiet0_0'"),
    ],
)
def test_bad_inputs(inputs, changes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read(inputs, **changes)


def test_a_report_of_another_version(inputs, tmp_path):
    write_report(tmp_path / "report", schema_version=1)
    with pytest.raises(InputError, match=r"schema version \d.*evaluate again"):
        read(inputs)


# --- The page as text -------------------------------------------------------


def read_data(page, element_id):
    [text] = re.findall(
        rf'<script type="application/json" id="{element_id}">(.*?)</script>',
        page,
        re.DOTALL,
    )
    return json.loads(text)


def test_page_holds_sound_spectrogram_and_scores(inputs, tmp_path):
    path = tmp_path / "clips.html"
    size = write_page(read(inputs, segment_ids=IDS[:2]), str(path), 10.0)
    page = path.read_text(encoding="utf-8")
    assert size == len(page.encode())
    known = read_data(page, "clip-0")
    kinds = [known["audio"], known["log_mel"][0][0], known["scores"]["name"]]
    contents = {}
    for data in kinds:
        kind, _, content = data.partition(";base64,")
        contents[kind] = base64.b64decode(content)
    assert list(contents) == [
        "data:audio/flac",
        "data:image/png",
        "data:application/octet-stream",
    ]
    heard, rate = soundfile.read(io.BytesIO(contents["data:audio/flac"]))
    assert len(heard) == 10 * rate
    assert read_data(page, "page")["segment_ids"] == list(IDS[:2])
    assert {c[1] for c in read_data(page, "page")["classes"]} == set(NAMES)
    elements = PageReader(page).elements
    assert ("link", "rel", "href") in elements
    assert '<link rel="icon" href="data:,">' in page
    attributes = {
        name for tag, *names in elements if tag != "link" for name in names
    }
    assert attributes.isdisjoint({"src", "href", "srcset", "style", "onclick"})
    assert "default-src &#39;none&#39;" in page
    assert "unsafe" not in page.partition("</head>")[0].partition("<style>")[0]


def test_a_page_that_would_be_too_large(inputs, tmp_path):
    path = tmp_path / "clips.html"
    with pytest.raises(InputError, match="than 0.01 MB: clip 1 of 2"):
        write_page(read(inputs, segment_ids=IDS[:2]), str(path), 0.01)
    assert not path.exists()


def test_no_markup_comes_from_names(tmp_path):
    pages = []
    for attack in ("word", _ATTACK):
        folder = tmp_path / str(len(pages))
        folder.mkdir()
        inspection = read(make_inputs(folder, attack.replace('"', "”")))
        errors = [
            {**e, "evaluation": e["evaluation"] + attack}
            for e in inspection.errors
        ]
        ids = [*inspection.segment_ids[:2], IDS[2] + attack]
        inspection = dataclasses.replace(
            inspection, errors=errors, segment_ids=ids
        )
        write_page(inspection, str(folder / "clips.html"), 10.0)
        pages.append((folder / "clips.html").read_text(encoding="utf-8"))
        assert read_data(pages[-1], "page")["segment_ids"] == ids
        pages.append(render_page(inspection))
    elements = [PageReader(page).elements for page in pages]
    assert elements[0] == elements[2]
    assert elements[1] == elements[3]


def test_the_command_says_how_large_the_page_is(inputs, tmp_path):
    command = [
        *(sys.executable, "-m", "audioset_strong.inspect_clips"),
        f"--audio_dir={inputs.audio_dir}",
        f"--weak_labels={inputs.weak_labels}",
        f"--segment_ids={','.join(IDS[:2])}",
        f"--output={tmp_path}/clips.html",
    ]
    done = forked.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    size = (tmp_path / "clips.html").stat().st_size / 1e6
    assert done.stdout == f"2 clips, {size:.1f} MB: {tmp_path}/clips.html\n"
    done = forked.run([*command, "--serve"], capture_output=True, text=True)
    assert done.returncode == 2
    assert (
        "Expected --output=<name>.html, or --serve; found both." in done.stderr
    )
