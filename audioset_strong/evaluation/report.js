'use strict';

// "−0.50", "+∞" and "1,234" as numbers; NaN for "–". An interval may follow.
const numberOf = cell => Number(cell.firstChild.textContent.replace(/,/g, '')
  .replace('−', '-').replace('∞', 'Infinity'));
const nameOf = row => row.cells[0].firstChild.textContent;

for (const button of document.querySelectorAll('th button')) {
  button.addEventListener('click', () => {
    const header = button.parentElement;
    const table = header.closest('table');
    const body = table.tBodies[0];
    const column = header.cellIndex;
    const isText = header.classList.contains('text');
    const now = header.getAttribute('aria-sort');
    const isUp = now === null ? isText : now === 'descending';
    const sign = isUp ? 1 : -1;
    for (const other of table.querySelectorAll('th[aria-sort]'))
      other.removeAttribute('aria-sort');
    header.setAttribute('aria-sort', isUp ? 'ascending' : 'descending');
    const keyed = [...body.rows].map(row =>
      [isText ? nameOf(row) : numberOf(row.cells[column]), row]);
    keyed.sort(([x], [y]) => {
      if (isText) return sign * x.localeCompare(y);
      if (x !== x || y !== y) return (x !== x) - (y !== y);
      return x === y ? 0 : sign * (x < y ? -1 : 1);
    });
    body.append(...keyed.map(([, row]) => row));
  });
}

for (const filter of document.querySelectorAll('.filter')) {
  filter.hidden = false;
  const input = filter.querySelector('input');
  const status = filter.querySelector('[role=status]');
  const rows = [...filter.nextElementSibling.querySelector('tbody').rows];
  const texts = rows.map(row => row.cells[0].textContent.toLowerCase());
  input.addEventListener('input', () => {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row, i) => {
      row.hidden = !texts[i].includes(wanted);
      shown += !row.hidden;
    });
    const of = rows.length + (rows.length === 1 ? ' class' : ' classes');
    status.textContent = wanted ? shown + ' of ' + of : of;
  });
}

for (const panel of document.querySelectorAll('.curves')) {
  const select = panel.querySelector('select');
  let curves = null;
  const show = () => {
    curves ??= JSON.parse(panel.querySelector('script').textContent);
    const [roc, rocTheirs, pr, prTheirs, chance, rocText, prText] =
      curves[select.value];
    const name = select.selectedOptions[0].text;
    for (const [kind, title, ours, theirs, text] of [
      ['.roc', 'ROC', roc, rocTheirs, rocText],
      ['.precision-recall', 'Precision-recall', pr, prTheirs, prText],
    ]) {
      const figure = panel.querySelector(kind);
      figure.querySelector('.ours').setAttribute('d', ours);
      figure.querySelector('.theirs').setAttribute('d', theirs);
      figure.querySelector('svg').setAttribute('aria-label',
        title + ' curve of ' + name);
      figure.querySelector('[role=status]').textContent = text;
    }
    panel.querySelector('.precision-recall .chance').setAttribute('d',
      'M0 ' + chance + 'H1000');
  };
  select.addEventListener('change', show);
  // A browser that goes back keeps the choice and not the curve.
  window.addEventListener('pageshow', show);
}

for (const plot of document.querySelectorAll('.points')) {
  const caption = plot.nextElementSibling;
  const points = [...plot.querySelectorAll('circle, .infinite')];
  let places = null;
  let current = null;
  const say = point => {
    current?.classList.remove('here');
    current = point;
    point.classList.add('here');
    caption.textContent = point.querySelector('title').textContent;
  };
  points.forEach((point, i) => {
    point.setAttribute('tabindex', i ? -1 : 0);
    point.setAttribute('role', 'img');
  });
  const pointOf = event => event.target.closest('circle, .infinite');
  plot.addEventListener('focusin', event => say(pointOf(event)));
  // A finger is wider than a point: the nearest one counts.
  const nearest = event => {
    places ??= points.map(point => {
      const box = point.getBBox();
      return [box.x + box.width / 2, box.y + box.height / 2];
    });
    const toPlot = plot.querySelector('g').getScreenCTM();
    const at = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(toPlot.inverse());
    const distances = places.map(([x, y]) => Math.hypot(x - at.x, y - at.y));
    const least = Math.min(...distances);
    // Within 40 pixels of the screen.
    if (least * toPlot.a < 40) return points[distances.indexOf(least)];
  };
  for (const kind of ['pointermove', 'pointerdown'])
    plot.addEventListener(kind, event => {
      const point = nearest(event);
      if (point) say(point);
    });
  plot.addEventListener('keydown', event => {
    const step = { ArrowLeft: 1, ArrowUp: 1, ArrowRight: -1, ArrowDown: -1 };
    const next = points[points.indexOf(pointOf(event)) + step[event.key]];
    if (!next) return;
    event.preventDefault();
    pointOf(event).setAttribute('tabindex', -1);
    next.setAttribute('tabindex', 0);
    next.focus();
  });
}
