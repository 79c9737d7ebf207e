"""Style sheet and script of `report.html`, kept in the page itself.

The page loads nothing from anywhere, so that it can be mailed, archived and
opened years later.
"""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a;
  --line: #d0d7de; --paper: #fff; --band: #f6f8fa; --dot: #0550ae;
  --warn: #7a4100; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #a3acb6; --line: #3d444d; --paper: #14181d;
    --band: #1d232a; --dot: #79b8ff; --warn: #f0b46a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.2rem; margin: 0; display: inline; }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { max-width: 46rem; margin: .5rem 0; }
.soft, caption { color: var(--soft); }
.note { color: var(--warn); }
.path { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
.tall { max-height: 32rem; overflow-y: auto; border: 1px solid var(--line); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { width: 100%; }
caption { text-align: left; padding: .25rem 0; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  text-align: right; vertical-align: baseline; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
.tall thead th { position: sticky; top: 0; background: var(--band); }
thead th { font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 400; }
.headline td { font-size: 1.15rem; }
.headline tbody th { font-weight: 600; }
.headline .small { font-weight: 400; }
.small { display: block; font-size: .8rem; color: var(--soft); }
details { border-top: 1px solid var(--line); padding: .75rem 0; }
summary { cursor: pointer; }
details details { border: 0; padding: .25rem 0; }
th button { all: unset; cursor: pointer; }
th button:focus-visible, summary:focus-visible, .scroll:focus-visible {
  outline: 2px solid var(--dot); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
.plot { width: 100%; max-width: 46rem; height: auto; display: block; }
.plot path { stroke: var(--line); fill: none; }
.plot path.zero { stroke: var(--soft); }
.plot circle, .plot path.infinite { fill: var(--dot); stroke: none;
  fill-opacity: .65; }
.plot text { fill: var(--soft); font-size: 13px; text-anchor: middle; }
.plot text.y { text-anchor: end; }
.plot text.name { fill: var(--ink); }
.plot text.start { text-anchor: start; }
@media (max-width: 30rem) {
  th, td { padding: .3rem .35rem; }
  .plot text { font-size: 20px; }
  .plot circle { r: 4.5; } }
"""

# Sorts by the number in data-value, or by text; cells without a value last.
SCRIPT = """
for (const button of document.querySelectorAll('th button')) {
  button.addEventListener('click', () => {
    const header = button.parentElement;
    const table = header.closest('table');
    const body = table.tBodies[0];
    const column = header.cellIndex;
    const wasDown = header.getAttribute('aria-sort') === 'descending';
    const isText = header.classList.contains('text');
    const sign = (isText ? wasDown || !header.hasAttribute('aria-sort')
                         : wasDown) ? 1 : -1;
    for (const other of table.querySelectorAll('th[aria-sort]'))
      other.removeAttribute('aria-sort');
    header.setAttribute('aria-sort', sign > 0 ? 'ascending' : 'descending');
    const key = row => row.cells[column].dataset.value;
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (isText) return sign * x.localeCompare(y);
      if (x === '' || y === '') return (x === '') - (y === '');
      return sign * (Number(x) - Number(y)) || 0;
    });
    body.append(...rows);
  });
}
"""
