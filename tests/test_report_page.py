"""`report.html`, as text and in a real browser.

In the browser a copy of the page gets a script that does what a reader does and
writes what it then sees into an element; the browser prints the page as it is
afterwards.
"""

import dataclasses
import html
import json
import re
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from browser import BROWSER, QUIET_FLAGS, needs_browser
from report_examples import random_report

from audioset_strong.evaluation import report_page
from audioset_strong.evaluation.items import STRONG_NEGATIVES, WEAK_NEGATIVES
from audioset_strong.evaluation.report_page import curve_path, render_page
from audioset_strong.evaluation.results import EvalReport
from audioset_strong.labels.problems import ProblemLog

# Ends every element and quote that it may stand in, and does harm in a page, a
# script or a template that takes it for its own.
_ATTACK = (
    '</script></title></style>"\'><img src=x onerror="window.attacked = 1">'
    "{{ 7 * 7 }}{% raw %}<!--\u2028`${alert(1)}"
)


class PageReader(HTMLParser):
    """Collects the elements and attributes of a page, and its texts."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts, self.open_tags = [], [], []
        self.feed(page)
        assert self.open_tags == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, *(name for name, _ in attrs)))
        if tag not in ("meta", "br", "input", "link"):
            self.open_tags.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


@pytest.fixture(scope="module")
def report():
    return random_report(num_clips=40, num_classes=60)


@pytest.fixture(scope="module")
def page(report):
    return render_page(report)


def attacked_page(attack):
    """A page whose every name and note from outside ends in the attack."""
    report = random_report(num_clips=20, num_classes=12, suffix=attack)
    problems = ProblemLog()
    problems.add(f"F.tsv{attack}", 7, f"expected a mid, found x{attack}")
    details = dataclasses.replace(
        report.details[0], not_paired_reason=f"Other clips{attack}."
    )
    inputs = {**report.inputs, "truth": f"framed here{attack}"}
    alignment = dataclasses.replace(
        report.results[0].alignment,
        clips_not_scored=(f"d_0{attack}",),
        mids_without_labels=(f"/m/w{attack}",) * 11,
    )
    result = dataclasses.replace(report.results[0], alignment=alignment)
    return render_page(
        dataclasses.replace(
            report,
            inputs=inputs,
            problems=problems,
            results=(result, *report.results[1:]),
            details=(details, *report.details[1:]),
        )
    )


# --- The page as text -------------------------------------------------------


def test_page_is_whole_and_loads_nothing(report, page):
    plain = render_page(
        random_report(
            num_clips=30, num_classes=8, has_baseline=False, num_resamples=0
        )
    )
    for text in (page, plain):
        assert text.startswith("<!DOCTYPE html>")
        elements = PageReader(text).elements
        attributes = {name for _, *names in elements for name in names}
        assert attributes.isdisjoint({"src", "href", "srcset", "style"})
        assert not re.search(r"http|@import|url\(", text)
    assert '<html lang="en">' in page
    assert 'name="viewport"' in page
    assert page.index('class="headline wide"') < page.index("<details")
    shown, shown_plain = (PageReader(text).texts for text in (page, plain))
    curves = "ROC and precision-recall curves"
    for text in ("baseline", "d′ change", "baseline AUC", "p-value", curves):
        assert text in shown
        assert (text in shown_plain) == (text == curves)
    details = report.details[0]
    for metric in ("d_prime", "mean_average_precision"):
        for intervals in (details.intervals, details.baseline_intervals):
            own = intervals.overall[metric]
            assert f"[{own.low:.3f}, {own.high:.3f}]" in shown
    assert f"p = {details.paired.overall['d_prime'].p_value:.2g}" in shown
    assert "60 random halves of the clips, seed 0" in page


def test_no_markup_comes_from_names_and_notes():
    # The same elements with the same attributes as with a harmless word.
    harmless, attacked = (
        # Of the same length, so that as many names have a place in a plot.
        PageReader(attacked_page(suffix))
        for suffix in ("w" * len(_ATTACK), _ATTACK)
    )
    assert attacked.elements == harmless.elements
    texts = "\n".join(attacked.texts)
    assert f"Evaluation of ours{_ATTACK}" in texts
    for name in (
        "Sound 007 & <co>",
        "/m/3",
        "clip0_0",
        "baseline scores: theirs.npz",
        "framed here",
        "F.tsv",
        "found x",
        "Other clips",
        "d_0",
        "/m/w",
    ):
        assert f"{name}{_ATTACK}" in texts, name


def test_reasons_of_what_is_infinite_or_missing(report, page):
    without_script = re.sub("<script>.*</script>", "", page, flags=re.DOTALL)
    texts = "\n".join(PageReader(without_script).texts)
    assert not re.search(r"\b(?:inf|nan|None|NaN)\b", texts)
    assert "Sound 000 & <co>: d′ infinite (AUC 1), 124 positives" in texts
    assert "Sound 001 & <co>: d′ infinite (AUC 0), " in texts
    assert "The mean d′ over classes is infinite or undefined: " in texts
    # The perfect and the inverted class are so in both systems.
    assert "Not listed: 2 classes with an infinite d′ in either system" in texts
    nothing = dataclasses.replace(
        report.results[0],
        per_class=report.results[0].per_class.assign(
            auc=np.nan,
            d_prime=np.nan,
            average_precision=np.nan,
            undefined_reason="no positive",
        ),
    )
    empty = render_page(EvalReport({}, "all", (nothing,)))
    assert "<circle" not in empty
    assert "60: no positive" in empty


def test_scatter_plots_mark_every_defined_class(report, page):
    num_defined = sum(2 * result.num_classes for result in report.results)
    num_infinite = sum(r.num_classes_infinite_d_prime for r in report.results)
    assert num_infinite > 0
    assert page.count('class="infinite"') == num_infinite
    points = re.findall(r'<circle cx="([^"]+)" cy="([^"]+)" r="3">', page)
    assert len(points) == num_defined - num_infinite
    x, y = np.array(points, dtype=float).T
    assert 0 <= min(x) < max(x) <= 552
    assert 0 <= min(y) < max(y) <= 284


def test_names_lie_in_the_plot_and_on_nothing(report):
    rng = np.random.default_rng(0)
    points = [
        {"x": x, "y": y, "name": "n" * int(length)}
        for x, y, length in zip(
            rng.uniform(0, 552, 200),
            rng.uniform(0, 284, 200),
            rng.integers(1, 30, 200),
            strict=True,
        )
    ]
    placed = report_page._place_names(points, 12, 12)
    assert 0 < len(placed) <= 12
    boxes = []
    for name in placed:
        width = 0.6 * 12 * len(name["text"])
        left = {"start": 0, "end": width, "middle": width / 2}[name["anchor"]]
        x, y = name["x"] - left, name["y"]
        assert x >= -1e-6
        assert x + width <= 552 + 1e-6
        boxes.append((x, y - 12, x + width, y))
    for i, (left, top, right, bottom) in enumerate(boxes):
        for point in points:
            is_beside = not left < point["x"] < right
            assert is_beside or not top < point["y"] < bottom
        for other in boxes[:i]:
            is_apart = right <= other[0] or other[2] <= left
            assert is_apart or bottom <= other[1] or other[3] <= top


def test_errors_lead_to_the_clip(report):
    url = "https://www.youtube.com/watch?v=--BfvyPmVMo&t=33s"
    worst = report.details[0].worst.head(2)
    worst = worst.assign(url=[url, ""])
    details = dataclasses.replace(report.details[0], worst=worst)
    page = render_page(
        dataclasses.replace(report, details=(details,)), "my report"
    )
    assert page.count("href=") == 1
    assert f'href="{url.replace("&", "&amp;")}" target="_blank"' in page
    # Files that are not there have no place in the command.
    assert (
        "audioset-strong inspect_clips \\\n  --audio_dir=AUDIO \\\n  "
        "&#39;--report_dir=my report&#39; \\\n  --output=clips.html"
    ) in page


def test_changes_are_ordered(page):
    tables = re.findall(r'<table class="changes">.*?</table>', page, re.DOTALL)
    assert len(tables) == 8
    for table in tables:
        sign = -1 if "Gained most" in table else 1
        shown = [
            float(n.replace("−", "-"))
            for n in re.findall(r"<td><b>([^<]+)</b>", table)
        ]
        assert 0 < len(shown) <= 10
        assert shown == sorted(shown, key=lambda n: sign * n)
        assert all(sign * n <= 0 for n in shown)


def test_worst_errors_are_shown_as_counts(report):
    worst = (
        report.details[0]
        .worst.head(2)
        .assign(
            kind=["false alarm", "miss"],
            # 1 of 1, and 1,234.5 of 2,000, a tie being half.
            error=[1 / 2, 1234.5 / 2001],
            num_others=[1, 2000],
            onset_seconds=8.64,
            offset_seconds=9.6,
        )
    )

    def page_with(worst):
        details = dataclasses.replace(report.details[0], worst=worst)
        return render_page(dataclasses.replace(report, details=(details,)))

    page = page_with(worst)
    assert "<td>1 of 1</td>" in page
    assert "<td>1,234.5 of 2,000</td>" in page
    assert "8.64–9.60" in page
    assert page_with(worst.iloc[:0]).count(": none.</p>") == 2


@pytest.mark.parametrize(
    ("evaluation", "negatives"),
    [
        *(("strong", negatives) for negatives in STRONG_NEGATIVES),
        *(("weak", negatives) for negatives in WEAK_NEGATIVES),
    ],
)
def test_no_evaluation_lacks_words(report, evaluation, negatives):
    result = dataclasses.replace(
        report.results[0], evaluation=evaluation, negatives=negatives
    )
    page = render_page(EvalReport({}, "all", (result,)))
    assert f"{evaluation.title()} eval, " in page


def test_curve_path():
    points = np.array([[0, 0], [0, 0.25], [0.5, 0.25], [1, 1]])
    # Down the page is down in SVG: from the lower left to the upper right.
    assert curve_path(points) == "M0 1000v-250h500l500-750"
    falling = np.array([[0, 1], [0.2, 0.5], [0.4, 0.5], [0.5, 0.5], [0.5, 0]])
    assert curve_path(falling) == "M0 0l200 500h200 100v500"


@pytest.mark.slow
def test_page_of_all_classes_is_small():
    # 527 classes, a baseline, and intervals: what a page has at most. It has up
    # to six evaluations, of at most 3 MB together.
    report = random_report(num_clips=150, num_classes=527, num_resamples=39)
    page = render_page(report)
    assert len(page.encode()) / len(report.results) < 500_000
    # The long curves of classes with many positives are thinned.
    paths = re.findall(r'"(M0 1000[^"]*)"', page)
    assert 10 < max(path.count("-") for path in paths) <= 50


# --- The page in a browser --------------------------------------------------


_BROWSER_FLAGS = (
    *QUIET_FLAGS,
    "--virtual-time-budget=5000",
    "--dump-dom",
)

# Runs before the page's own script, to see its errors.
_WATCH = """<script>
window.problems = [];
addEventListener('error', e => problems.push(String(e.message)));
console.error = console.warn = (...args) => problems.push(args.join(' '));
addEventListener('securitypolicyviolation', e =>
  problems.push('refused: ' + e.blockedURI));
</script>
<meta http-equiv="Content-Security-Policy" content="default-src 'none';
  style-src 'unsafe-inline'; script-src 'unsafe-inline'">"""

_REPORT = """
<script>addEventListener('load', () => setTimeout(() => {
  const seen = {};
  try { (%s)(seen); } catch (e) { problems.push('test: ' + e); }
  seen.problems = problems;
  seen.loaded = performance.getEntriesByType('resource').map(e => e.name);
  const pre = document.createElement('pre');
  pre.id = 'seen';
  pre.textContent = JSON.stringify(seen);
  document.body.append(pre);
}, 100));</script>
"""

# What all the actions share.
_HELPERS = """
  const section = document.querySelector('main > details');
  const table = section.querySelector('table.classes');
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const headOf = name => heads.find(h => h.textContent === name);
  const column = name => [...body.rows].map(
    r => r.cells[headOf(name).cellIndex].textContent);
  const press = name => headOf(name).querySelector('button').click();
"""


def see(page, tmp_path, actions):
    """Runs a script on a page in the browser and returns what it saw."""
    page = page.replace("</title>", f"</title>{_WATCH}", 1)
    code = f"seen => {{ {_HELPERS} {actions} }}"
    seen = browse(page.replace("</body>", f"{_REPORT % code}</body>"), tmp_path)
    assert seen.pop("problems") == []
    assert seen.pop("loaded") == []
    return seen


def browse(page, tmp_path):
    """Opens a page and returns what its script wrote into #seen."""
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    done = subprocess.run(
        [
            BROWSER,
            *_BROWSER_FLAGS,
            f"--user-data-dir={tmp_path}/profile",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found.group(1)))


def number(text):
    """Reads a number of the page; None for an undefined one."""
    if text == "–":
        return None
    text = text.replace("−", "-").replace("∞", "inf").replace(",", "")
    return float(text)


@needs_browser
def test_sorting(page, tmp_path):
    seen = see(
        page,
        tmp_path,
        """
        for (const name of heads.slice(1).map(h => h.textContent)) {
          press(name);
          const first = [headOf(name).ariaSort, column(name)];
          press(name);
          seen[name] = [first, [headOf(name).ariaSort, column(name)]];
        }
        press('Class');
        seen.names = [...body.rows].map(r => r.cells[0].firstChild.textContent);
        seen.marked = heads.filter(h => h.ariaSort).map(h => h.textContent);
        """,
    )
    names, marked = seen.pop("names"), seen.pop("marked")
    assert names[0] == "/m/3"  # Has no name, so its mid is its name.
    # A browser puts the accented letter with U, after S.
    assert names[-1] == "Ünusual, “quoted”"
    assert names[1:-1] == sorted(names[1:-1])
    assert marked == ["Class"]
    assert {"d′", "AP", "AUC change", "baseline AUC", "negatives"} <= set(seen)
    assert len(seen) == 11
    num_undefined = 0
    for name, orders in seen.items():
        # Pressed first the numbers fall, then they rise.
        assert [o for o, _ in orders] == ["descending", "ascending"], name
        for order, texts in orders:
            # Without the interval that follows.
            values = [number(text.split("[")[0]) for text in texts]
            defined = [v for v in values if v is not None]
            assert values[: len(defined)] == defined, "undefined ones last"
            assert defined == sorted(defined, reverse=order == "descending")
            num_undefined += len(values) - len(defined)
    assert num_undefined > 0  # or nothing was shown of their place
    assert number(seen["d′"][1][1][0]) == float("-inf")


@needs_browser
def test_filtering_choosing_and_pointing(page, tmp_path):
    seen = see(
        page,
        tmp_path,
        """
        const filter = section.querySelector('.filter');
        const input = filter.querySelector('input');
        const type = text => {
          input.value = text;
          input.dispatchEvent(new Event('input', { bubbles: true }));
          const shown = [...body.rows].filter(r => r.offsetHeight > 0);
          return [shown.map(r => r.cells[0].textContent),
                  filter.querySelector('[aria-live]').textContent];
        };
        seen.all = type('');
        seen.name = type(' SOUND 01');
        seen.mid = type('/m/7');
        seen.none = type('no such');

        const panel = section.querySelector('.curves');
        const select = panel.querySelector('select');
        const choose = name => {
          select.value = [...select.options].find(o => o.text === name).value;
          select.dispatchEvent(new Event('change'));
          return [...panel.querySelectorAll('figure')].flatMap(figure => [
            figure.querySelector('.ours').getAttribute('d'),
            figure.querySelector('.theirs').getAttribute('d'),
            figure.querySelector('svg').getAttribute('aria-label'),
            figure.querySelector('[role=status]').textContent]);
        };
        seen.mean = choose('Mean over classes');
        seen.perfect = choose('Sound 000 & <co>');
        seen.other = choose('Sound 007 & <co>');
        seen.names = [...select.options].map(o => o.text);

        const plot = section.querySelector('.points');
        const points = [...plot.querySelectorAll('circle, .infinite')];
        const say = () => [plot.nextElementSibling.textContent,
                           points.filter(p => p.tabIndex === 0).length];
        const press_key = name => document.activeElement.dispatchEvent(
          new KeyboardEvent('keydown', { key: name, bubbles: true }));
        points[0].focus();
        seen.said = [say()];
        for (const key of ['ArrowLeft', 'ArrowRight', 'ArrowRight']) {
          press_key(key);
          seen.said.push(say());
        }
        // A finger beside a point means the point.
        const { x, y } = points[0].getBoundingClientRect();
        plot.dispatchEvent(new PointerEvent('pointerdown',
          { clientX: x + 8, clientY: y - 4, bubbles: true }));
        seen.touched = [plot.nextElementSibling.textContent,
                        plot.querySelectorAll('.here').length];
        seen.placed = plot.querySelectorAll('.names.wide text').length;
        seen.titles = points.slice(0, 2).map(
          p => p.querySelector('title').textContent);
        seen.labels = [input, select].map(e => e.labels[0].textContent);
        seen.isHidden = filter.hidden;
        """,
    )
    assert seen["isHidden"] is False
    assert seen["labels"] == ["Show classes with", "Class"]
    num_classes = len(seen["all"][0])
    assert seen["all"][1] == f"{num_classes} classes"
    shown, text = seen["name"]
    assert 1 < len(shown) <= 10
    assert all("Sound 01" in name for name in shown)
    assert text == f"{len(shown)} of {num_classes} classes"
    assert seen["mid"][0] == ["Sound 007 & <co>/m/7"]
    assert seen["none"] == [[], f"0 of {num_classes} classes"]

    mean, *names = seen["names"]
    assert mean == "Mean over classes"
    assert names == sorted(names, key=str.casefold)
    texts = seen["mean"][3], seen["mean"][7]
    for text, name in zip(texts, ("mean AUC", "mAP"), strict=True):
        assert re.fullmatch(
            rf"{name} 0\.\d+ \[0\.\d+, 0\.\d+\], baseline 0\.\d+ "
            rf"\[0\.\d+, 0\.\d+\]; \d+ classes",
            text,
        )
    roc, baseline, label, text, precision, _, other_label, ap = seen["perfect"]
    # Up along the left edge and then to the right: AUC 1. Precision is 1.
    assert roc == baseline == "M0 1000v-1000h1000"
    assert re.fullmatch("M0 0h[0-9 ]+", precision)
    assert label == "ROC curve of Sound 000 & <co>"
    assert other_label == "Precision-recall curve of Sound 000 & <co>"
    assert text.startswith("AUC 1.0000 [")
    assert ap.startswith("AP 1.000, baseline 1.000; chance 0.")
    roc, baseline, label, text, precision, theirs, _, _ = seen["other"]
    assert label == "ROC curve of Sound 007 & <co>"
    assert len({roc, baseline, seen["perfect"][0]}) == 3
    assert precision != theirs
    assert re.match(r"AUC 0\.\d{4} \[0\.\d{4}, [01]\.\d{4}\], baseline 0", text)

    first, second = seen["titles"]
    assert first != second
    assert seen["touched"] == [first, 1]
    assert seen["placed"] > 3
    # One stop of the Tab key; nothing lies before the first point.
    assert seen["said"] == [[n, 1] for n in (first, second, first, first)]


@needs_browser
def test_fits_a_phone(page, tmp_path):
    # A frame as wide as a phone, as a window cannot be made so narrow.
    framed = html.escape(page, quote=True)
    seen = browse(
        f"""<!DOCTYPE html><title>Phone</title>
        <iframe width="390" height="800" srcdoc="{framed}"></iframe>
        <pre id="seen"></pre>
        <script>addEventListener('load', () => {{
          const inner = document.querySelector('iframe').contentDocument;
          for (const d of inner.querySelectorAll('details')) d.open = true;
          const root = inner.documentElement;
          document.querySelector('#seen').textContent =
            JSON.stringify([root.scrollWidth, root.clientWidth]);
        }});</script>""",
        tmp_path,
    )
    scroll_width, width = seen
    assert 350 < width <= 390
    assert scroll_width <= width, "the page itself scrolls sideways"


@needs_browser
def test_names_and_notes_stay_text(tmp_path):
    seen = see(
        attacked_page(_ATTACK),
        tmp_path,
        """
        seen.images = document.images.length;
        seen.isUntouched = window.attacked === undefined;
        seen.title = document.title;
        seen.heading = document.querySelector('h1').textContent;
        const input = section.querySelector('.filter input');
        input.value = 'sound 007';
        input.dispatchEvent(new Event('input'));
        seen.row = [...body.rows].find(r => !r.hidden).cells[0].textContent;
        press('Class');
        const panel = section.querySelector('.curves');
        const select = panel.querySelector('select');
        select.value = select.options[5].value;
        select.dispatchEvent(new Event('change'));
        seen.option = select.options[5].text;
        seen.curve = panel.querySelector('svg').getAttribute('aria-label');
        const plot = section.querySelector('.points');
        plot.querySelector('[tabindex="0"]').focus();
        seen.point = plot.nextElementSibling.textContent;
        seen.images += document.images.length;
        """,
    )
    assert seen["images"] == 0
    assert seen["isUntouched"]
    name = f"ours{_ATTACK}"
    assert seen["title"] == seen["heading"] == f"Evaluation of {name}"
    name = f"Sound 007 & <co>{_ATTACK}"
    assert seen["row"] == f"{name}/m/7{_ATTACK}"
    assert seen["curve"] == f"ROC curve of {seen['option']}"
    assert seen["option"].endswith(_ATTACK)
    assert f"{_ATTACK}: d′ " in seen["point"]
