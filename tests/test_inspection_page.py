"""The page in a real browser: times, keys, a phone's width, texts."""

import dataclasses
import re
import threading
import time

import numpy as np
import pytest
from browser import needs_browser, open_browser
from inspection_examples import CLICK_SECONDS, CLICKS, IDS, make_inputs
from test_report_page import _ATTACK

from audioset_strong.inspection.page import write_page
from audioset_strong.inspection.reading import read_inspection
from audioset_strong.inspection.server import InspectionServer
from audioset_strong.labels.problems import ProblemLog

pytestmark = needs_browser

_SHIFT = 8


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def inspection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return read_inspection(make_inputs(folder), ProblemLog())


@pytest.fixture(scope="module")
def url(inspection, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "clips.html"
    write_page(inspection, str(path), 10.0)
    return path.as_uri()


@pytest.fixture
def page(browser, url):
    open_page(browser, url)
    yield browser
    assert browser.problems == []


def open_page(browser, url, width=1400, height=900):
    browser.problems.clear()
    # So that the same address is loaded again.
    browser.open("about:blank", width, height)
    browser.open(url, width, height)
    wait_for_clip(browser)


def wait_for_clip(browser):
    browser.wait(
        "clip !== null && (!clip.audio || sound.readyState >= 2) && "
        "[...document.images].every(i => i.complete) && "
        "scoreOf.size === [...byId('classes').children].length"
    )


def box_of(browser, selector):
    """Left, right, top and bottom of an element, in pixels."""
    return browser.run(
        f"(({{left, right, top, bottom}}) => [left, right, top, bottom])"
        f"(document.querySelector({selector!r}).getBoundingClientRect())"
    )


def title_of(browser):
    return browser.run("byId('title').firstChild.textContent")


# --- Times ------------------------------------------------------------------


def check_click_times(browser, tolerance_seconds):
    """Events, spectrogram, sound and play head agree on when clicks are."""
    left, right, top, bottom = box_of(browser, ".spectrogram .track")
    a_second = (right - left) / 10
    events = browser.run(
        "[...document.querySelector('.class').querySelectorAll('.event')]"
        ".map(e => e.getBoundingClientRect().left)"
    )
    assert len(events) == len(CLICKS)
    seconds = (np.array(events) - left) / a_second
    assert np.abs(seconds - CLICKS).max() <= tolerance_seconds

    # The marks of kHz are on the left, before the first click.
    picture = browser.picture()[round(top) + 2 : round(bottom) - 2]
    red = picture[:, :, 0].mean(axis=0)  # [width]
    is_loud = red > 0.5 * red[round(left) : round(right)].max()
    for click in CLICKS:
        middle = left + (click + CLICK_SECONDS / 2) * a_second
        around = np.arange(
            max(round(middle - 0.1 * a_second), 0),
            min(round(middle + 0.1 * a_second), is_loud.size),
        )
        if len(around) < 0.19 * a_second:
            continue  # out of sight
        loud = around[is_loud[around]]
        assert loud.size, click
        centre = (loud[0] + loud[-1] + 1) / 2
        # A pixel is what can be seen, and a column of 10 ms.
        slack = max(0.010, 1 / a_second)
        assert abs(centre - middle) / a_second <= slack, click

    heard = browser.run(
        f"""(async () => {{
          const bytes = await (await new Blob([bytesOf(clip.audio)]))
            .arrayBuffer();
          const context = new OfflineAudioContext(1, 1, 16000);
          const samples = (await context.decodeAudioData(bytes))
            .getChannelData(0);
          return {list(CLICKS)}.map(click => {{
            const first = Math.round((click - 0.1) * 16000);
            return (first + samples.subarray(first).findIndex(
              s => Math.abs(s) > 0.1)) / 16000;
          }});
        }})()"""
    )
    assert np.abs(np.array(heard) - CLICKS).max() <= 0.002

    for click in CLICKS:
        browser.run(f"seek({click})")
        browser.wait("!sound.seeking")
        assert browser.run("sound.currentTime") == pytest.approx(click)
        head = np.mean(box_of(browser, "#head")[:2])
        event = browser.run(
            f"document.querySelectorAll('.event')[{CLICKS.index(click)}]"
            f".getBoundingClientRect().left"
        )
        assert abs(head - event) / a_second <= tolerance_seconds


@pytest.mark.parametrize("width", [1400, 390])
def test_lanes_line_up_with_the_sound(browser, url, width):
    open_page(browser, url, width)
    check_click_times(browser, 0.010)
    assert browser.problems == []


def test_lanes_line_up_when_zoomed(page):
    for _ in range(3):
        page.press("+")
    left, right, _, _ = box_of(page, ".spectrogram .track")
    assert right - left > 7000
    check_click_times(page, 0.002)


def test_a_press_goes_there_and_it_plays(page):
    left, right, top, bottom = box_of(page, ".spectrogram .track")
    wanted = left + 0.3 * (right - left)
    page.click(wanted, (top + bottom) / 2)
    assert page.run("seconds()") == pytest.approx(3.0, abs=0.01)
    page.press(" ")
    page.wait("sound.currentTime > 3.2")
    head = page.run("[parseFloat(byId('head').style.left), sound.currentTime]")
    # The head is drawn once a frame, and a busy machine draws few.
    assert abs(head[0] / 10 - head[1]) < 0.5
    page.press(" ")
    assert page.run("sound.paused")


def test_scores_and_label_frames(page):
    assert page.run(
        "[...document.querySelectorAll('.class .name')].map("
        "n => n.firstChild.textContent)"
    ) == ["Click", "Low", "Absent"]
    track = box_of(page, ".class .track")
    a_second = (track[1] - track[0]) / 10
    runs = page.run(
        "[...document.querySelectorAll('.class')].map(row => "
        "[...row.querySelectorAll('.cell')].map(c => [c.className.at(-1), "
        "c.getBoundingClientRect().left, c.getBoundingClientRect().width]))"
    )
    for letters, own in zip(("PPCPCPCPCP", "", "E" * 10), runs, strict=True):
        expected = [
            (run[1][0], run.start(), len(run[0]))
            for run in re.finditer(r"(.)\1*", letters)
        ]
        found = [
            (
                letter,
                round((left - track[0]) / a_second / 0.96, 2),
                round(width / a_second / 0.96, 2),
            )
            for letter, left, width in own
        ]
        assert found == expected
    grid = box_of(page, "#grid")
    assert grid[0] == pytest.approx(track[0])
    # Eleven label frames, the last of which is cut.
    assert (grid[1] - grid[0]) / a_second == pytest.approx(10.56, abs=0.01)
    left, right, top, bottom = box_of(page, ".class svg")
    path = page.run("document.querySelector('.class path.line').outerHTML")
    # 0.81 in label frame 3 is drawn at its square root.
    assert "V0.1000H4" in path
    threshold = page.run(
        "document.querySelector('.class path.threshold').getAttribute('d')"
    )
    assert threshold == "M0 0.5000H10"
    assert left == pytest.approx(track[0])
    assert right - left == pytest.approx(0.96 * (track[1] - track[0]), abs=0.1)
    page.run("seek(3.0)")
    text = page.run("document.querySelector('.class .number').textContent")
    assert text == "0.810 (peak 0.810, ≥ 0.25)"


# --- Keys -------------------------------------------------------------------


def test_keys(page):
    for key, modifiers, expected in (
        ("ArrowRight", 0, 0.5),
        ("ArrowRight", _SHIFT, 5.5),
        ("ArrowLeft", 0, 5.0),
        ("ArrowLeft", _SHIFT, 0.0),
        ("ArrowLeft", 0, 0.0),
    ):
        page.press(key, modifiers)
        assert page.run("seconds()") == pytest.approx(expected)
    page.press("n")
    wait_for_clip(page)
    assert title_of(page) == IDS[1]
    page.press("n")
    page.press("n")  # there are three
    wait_for_clip(page)
    assert title_of(page) == "gonegonegon_0"
    assert page.run("byId('play').disabled")
    assert "no audio" in page.run("byId('status').textContent")
    page.press("p")
    page.press("p")
    wait_for_clip(page)
    assert title_of(page) == IDS[0]

    page.press("/")
    for letter in "hum?n":
        page.press(letter)
    # Keys are letters there.
    assert page.run("byId('filter').value") == "hum?n"
    assert not page.run("byId('help').open")
    page.press("Escape")
    page.press("?")
    assert page.run("byId('help').open")
    page.press("n")
    assert title_of(page) == IDS[0]
    page.run("byId('help').close()")


def test_search_for_a_class(page):
    page.press("/")
    for letter in "HUM":
        page.press(letter)
    page.press("Escape")
    assert page.run(
        "[...document.querySelectorAll('.class .name')].map("
        "n => n.firstChild.textContent)"
    ) == ["Hum"]
    status = page.run("byId('status').textContent")
    assert status == "1 of 4 classes; labelled in 1 of 3 clips"
    # The next clip is one that has it.
    page.press("n")
    wait_for_clip(page)
    assert title_of(page) == IDS[1]
    page.press("n")
    assert title_of(page) == IDS[1]
    page.run("byId('filter').value = ''; drawClasses()")
    page.press("a")
    assert page.run("byId('classes').children.length") == 4


def test_errors_are_stepped_through(page):
    page.press("j")
    wait_for_clip(page)
    assert page.run("byId('status').textContent").startswith(
        "Error 1: false alarm of Click, score 0.640."
    )
    assert page.run("seconds()") == pytest.approx(4.8)
    left, right, _, _ = box_of(page, ".spectrogram .track")
    marked = box_of(page, ".pointed .error")
    seconds = (np.array(marked[:2]) - left) / (right - left) * 10
    assert seconds == pytest.approx([4.8, 5.76], abs=0.01)
    page.press("j")
    wait_for_clip(page)
    assert title_of(page) == IDS[1]
    assert page.run("seconds()") == pytest.approx(2.88)
    page.press("k")
    wait_for_clip(page)
    assert title_of(page) == IDS[0]
    # An error of a whole clip, from the list.
    page.run(
        "byId('errors').open = true; byId('evaluation').value = 1;"
        "byId('evaluation').dispatchEvent(new Event('change'));"
        "byId('errors').querySelector('td button').click()"
    )
    assert page.run("seconds()") == 0
    assert page.run("document.querySelectorAll('.now').length") == 1


# --- Widths and texts -------------------------------------------------------


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_does_not_scroll_to_the_side(browser, url, width):
    open_page(browser, url, width, 844)
    browser.run("byId('errors').open = true")
    for key in ("", "j", "a", "+", "?"):
        if key:
            browser.press(key)
        wide = browser.run("document.documentElement.scrollWidth")
        assert wide <= width, key
    assert browser.problems == []


def test_texts_do_no_harm(browser, tmp_path):
    inputs = make_inputs(tmp_path, _ATTACK.replace('"', "”"))
    inspection = read_inspection(inputs, ProblemLog())
    ids = [*inspection.segment_ids[:2], IDS[2] + _ATTACK]
    inspection = dataclasses.replace(inspection, segment_ids=ids)
    path = tmp_path / "clips.html"
    write_page(inspection, str(path), 10.0)
    open_page(browser, path.as_uri())
    browser.press("j")
    browser.press("a")
    names = browser.run("byId('classes').textContent")
    assert "<img src=x" in names
    for _ in range(2):
        browser.press("n")
        wait_for_clip(browser)
    assert title_of(browser) == ids[2]
    assert browser.run("window.attacked") is None
    # Nor would it if it became markup.
    browser.run(
        "byId('status').innerHTML = '<img src=x onerror=\"attacked = 1\">'"
    )
    time.sleep(0.2)
    assert browser.run("window.attacked") is None
    assert any("Content Security Policy" in p for p in browser.problems)


def test_a_served_page(browser, inspection):
    with InspectionServer(inspection) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        open_page(browser, server.url)
        browser.run("seek(7.61)")
        browser.wait("!sound.seeking")
        assert browser.run("sound.currentTime") == pytest.approx(7.61)
        assert browser.run("scoreOf.get(0)[3]") == pytest.approx(0.81)
        width = "document.querySelector('.spectrogram img').naturalWidth"
        assert browser.run(width) == 998
        browser.press("n")
        browser.wait("scoreOf.has(1)")
        wait_for_clip(browser)
        assert browser.run("scoreOf.get(1).length") == 10
        assert browser.problems == []
        server.shutdown()
