"""Style sheet of `report.html`, kept in the page itself.

The page loads nothing from anywhere, so that it can be mailed, archived and
opened years later.
"""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a;
  --line: #d0d7de; --paper: #fff; --band: #f6f8fa; --dot: #0550ae;
  --theirs: #953800; --warn: #7a4100; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #a3acb6; --line: #3d444d; --paper: #14181d;
    --band: #1d232a; --dot: #79b8ff; --theirs: #f0a36a; --warn: #f0b46a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0;
  overflow-wrap: anywhere; }
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
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line);
  text-align: right; vertical-align: baseline; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
.tall thead th { position: sticky; top: 0; background: var(--band);
  z-index: 1; }
thead th { font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 400; }
/* Collapsed borders stay behind when a cell sticks, and rows of broken pixels
   hide those of the row above. */
.classes { border-collapse: separate; border-spacing: 0; }
.classes th:first-child { position: sticky; left: 0; min-width: 13rem;
  background: var(--paper); }
.classes thead th:first-child { background: var(--band); z-index: 2; }
.headline td { font-size: 1.15rem; }
.headline tbody th { font-weight: 600; }
.headline .small { font-weight: 400; }
.small, small { display: block; font-size: .8rem; color: var(--soft);
  line-height: 1.25rem; }
.range { font-size: .85rem; color: var(--soft); }
.small, small, .range, .changes td { white-space: nowrap; }
.headline th .small { white-space: normal; }
td.text { white-space: nowrap; }
tbody th { min-width: 7rem; }
.pair { display: grid; gap: .5rem 1.5rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.changes { width: 100%; }
details { border-top: 1px solid var(--line); padding: .75rem 0; }
summary { cursor: pointer; }
details details { border: 0; padding: .25rem 0; }
th button { all: unset; cursor: pointer; text-decoration: underline dotted;
  text-underline-offset: .2em; }
input, select { font: inherit; max-width: 100%; padding: .2rem .4rem;
  color: inherit; background: var(--paper); border: 1px solid var(--soft);
  border-radius: .25rem; }
th button:focus-visible, summary:focus-visible, .scroll:focus-visible,
input:focus-visible, select:focus-visible {
  outline: 2px solid var(--dot); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
figure { margin: 0; min-width: 0; }
figcaption { min-height: 1.5em; }
.plot { width: 100%; max-width: 46rem; height: auto; display: block; }
.square { max-width: 26rem; }
.plot path { stroke: var(--line); fill: none; }
.plot path.zero { stroke: var(--soft); }
.plot path.chance { stroke: var(--soft); stroke-dasharray: 1 4; }
.plot path.ours, .plot path.theirs { stroke: var(--dot); stroke-width: 2;
  vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.plot path.theirs { stroke: var(--theirs); stroke-dasharray: 6 4; }
.plot circle, .plot path.infinite { fill: var(--dot); stroke: none;
  fill-opacity: .65; }
.plot circle:focus, .plot path.infinite:focus { outline: none;
  stroke: var(--ink); stroke-width: 3; fill-opacity: 1; }
.plot text { fill: var(--soft); font-size: 13px; text-anchor: middle; }
.plot text.y { text-anchor: end; }
.plot text.name { fill: var(--ink); }
.plot text.start { text-anchor: start; }
@media (max-width: 30rem) {
  th, td { padding: .25rem .35rem; }
  .headline td { font-size: 1rem; }
  .classes th:first-child { min-width: 7rem; max-width: 9rem; }
  .classes small { overflow-wrap: anywhere; white-space: normal; }
  figcaption { min-height: 4.5em; }
  .points text { font-size: 20px; }
  .points circle { r: 4.5px; } }
"""
