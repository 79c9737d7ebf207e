"""`report.html` in a real browser: sorting, filtering, choosing a class.

A copy of the page gets a script that does what a reader does and writes what it
then sees into an element; the browser prints the page as it is afterwards.
"""

import html
import json
import re
import shutil
import subprocess

import pytest
from report_examples import random_report

from audioset_strong.evaluation.report_page import render_page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_BROWSER = next((path for n in _NAMES if (path := shutil.which(n))), None)

pytestmark = pytest.mark.skipif(
    _BROWSER is None, reason=f"none of the browsers {_NAMES} is installed"
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
            _BROWSER,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            f"--user-data-dir={tmp_path}/profile",
            "--virtual-time-budget=5000",
            "--dump-dom",
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


@pytest.fixture(scope="module")
def page():
    return render_page(random_report(num_clips=40, num_classes=60))


@pytest.fixture(scope="module")
def plain_page():
    return render_page(
        random_report(
            num_clips=30, num_classes=8, has_baseline=False, num_resamples=0
        )
    )


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
    assert {"d′", "AP", "AUC low", "change high", "negatives"} <= set(seen)
    assert len(seen) == 14
    num_undefined = 0
    for name, orders in seen.items():
        # Pressed first the numbers fall, then they rise.
        assert [o for o, _ in orders] == ["descending", "ascending"], name
        for order, texts in orders:
            values = [number(text) for text in texts]
            defined = [v for v in values if v is not None]
            assert values[: len(defined)] == defined, "undefined ones last"
            assert defined == sorted(defined, reverse=order == "descending")
            num_undefined += len(values) - len(defined)
    assert num_undefined > 0  # or nothing was shown of their place
    assert number(seen["d′"][1][1][0]) == float("-inf")


def test_filtering(page, tmp_path):
    seen = see(
        page,
        tmp_path,
        """
        const filter = section.querySelector('.filter');
        const input = filter.querySelector('input');
        const shown = () => [...body.rows].filter(r => r.offsetHeight > 0)
          .map(r => r.cells[0].textContent);
        const type = text => {
          input.value = text;
          input.dispatchEvent(new Event('input', { bubbles: true }));
          return [shown(), filter.querySelector('[aria-live]').textContent];
        };
        seen.isHidden = filter.hidden;
        seen.label = input.labels[0].textContent;
        seen.all = type('').map(s => s.length ?? s);
        seen.name = type(' SOUND 01');
        seen.mid = type('/m/7');
        seen.none = type('no such');
        press('AUC');
        seen.sorted = type('sound 01')[0].length;
        """,
    )
    assert seen["isHidden"] is False
    assert seen["label"] == "Show classes with"
    num_classes = seen["all"][0]
    shown, text = seen["name"]
    assert 1 < len(shown) <= 10
    assert all("Sound 01" in name for name in shown)
    assert text == f"{len(shown)} of {num_classes} classes"
    assert seen["mid"][0] == ["Sound 007 & <co>/m/7"]
    assert seen["none"] == [[], f"0 of {num_classes} classes"]
    assert seen["sorted"] == len(shown)


def test_choosing_a_class(page, tmp_path):
    seen = see(
        page,
        tmp_path,
        """
        const panel = section.querySelector('.roc');
        const select = panel.querySelector('select');
        const look = () => [
          panel.querySelector('.ours').getAttribute('d'),
          panel.querySelector('.theirs').getAttribute('d'),
          panel.querySelector('svg').getAttribute('aria-label'),
          panel.querySelector('[role=status]').textContent,
          panel.querySelector('.ours').getTotalLength(),
        ];
        const choose = name => {
          select.value = [...select.options].find(o => o.text === name).value;
          select.dispatchEvent(new Event('change'));
          return look();
        };
        seen.first = look();
        seen.perfect = choose('Sound 000 & <co>');
        seen.other = choose('Sound 007 & <co>');
        seen.names = [...select.options].map(o => o.text);
        seen.label = select.labels[0].textContent;
        """,
    )
    assert seen["label"] == "Class"
    assert seen["names"] == sorted(seen["names"], key=str.casefold)
    path, baseline, label, text, _ = seen["perfect"]
    # Up along the left edge and then to the right: AUC 1.
    assert path == baseline == "M0 1000l0-1000 1000 0"
    assert label == "ROC curve of Sound 000 & <co>"
    assert text.startswith("AUC 1.0000 [")
    path, baseline, label, text, length = seen["other"]
    assert label == "ROC curve of Sound 007 & <co>"
    assert len({path, baseline, seen["first"][0], seen["perfect"][0]}) == 4
    assert 1414 <= length <= 2000  # at least the diagonal, at most two sides
    assert re.match(r"AUC 0\.\d{4} \[0\.\d{4}, [01]\.\d{4}\], baseline 0", text)


def test_points_by_keyboard(page, tmp_path):
    seen = see(
        page,
        tmp_path,
        """
        const plot = section.querySelector('.points');
        const points = [...plot.querySelectorAll('circle, .infinite')];
        const stops = () => points.filter(p => p.tabIndex === 0).length;
        points[0].focus();
        const say = () => [plot.nextElementSibling.textContent, stops()];
        const key = name => document.activeElement.dispatchEvent(
          new KeyboardEvent('keydown', { key: name, bubbles: true }));
        seen.first = say();
        key('ArrowLeft');
        seen.second = say();
        key('ArrowRight');
        key('ArrowRight');
        seen.back = say();
        seen.titles = points.slice(0, 2).map(
          p => p.querySelector('title').textContent);
        """,
    )
    first, second = seen["titles"]
    assert first != second
    assert seen["first"] == seen["back"] == [first, 1]
    assert seen["second"] == [second, 1]


def test_without_baseline_and_intervals(plain_page, tmp_path):
    seen = see(
        plain_page,
        tmp_path,
        """
        press('AP');
        seen.heads = heads.map(h => h.textContent);
        seen.values = column('AP');
        const panel = section.querySelector('.roc');
        const select = panel.querySelector('select');
        select.value = select.options[3].value;
        select.dispatchEvent(new Event('change'));
        seen.theirs = panel.querySelector('.theirs').getAttribute('d');
        seen.label = panel.querySelector('svg').getAttribute('aria-label');
        seen.name = select.options[3].text;
        """,
    )
    assert seen["heads"] == [
        "Class",
        "d′",
        "AP",
        "lwlrap",
        "positives",
        "negatives",
        "AUC",
    ]
    values = [number(text) for text in seen["values"]]
    assert values == sorted(values, reverse=True)
    assert seen["theirs"] == ""
    assert seen["label"] == f"ROC curve of {seen['name']}"


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


def test_nothing_is_loaded(page):
    assert not re.search(r'(?:src|href)="', page)
    assert "http" not in page
    assert "url(" not in page
