'use strict';

// Texts come from other people's files: they are only ever set as text.
const byId = id => document.getElementById(id);
const parse = id => JSON.parse(byId(id).textContent);
const page = parse('page');
const sound = byId('sound');
const timeline = document.querySelector('.timeline');
const lanes = document.querySelector('.lanes');
const tracks = {
  ruler: document.querySelector('.ruler .track'),
  spectrogram: document.querySelector('.spectrogram .track'),
};
const isServed = !byId('clip-0');
// Scored classes to show where there are no thresholds, and explicit negatives.
const NUM_HIGHEST = 5;
const NUM_EXPLICIT = 8;
const MOST_PIXELS_A_SECOND = 800;
// Below, the overview of long audio has columns enough, and a line for each
// label frame would hide what it divides.
const FINE_PIXELS_A_SECOND = 8;

let number = -1;       // of the clip
let clip = null;       // what is known of it, as clips.py describes
let zoom = 1;          // width of all of it, in widths of the window
let error = null;      // [kind, clip, class, onset, offset, score]
let errorIndex = -1;
let wantedSeconds = 0; // where to begin in a clip that is being read
let scoreOf = new Map();

const element = (name, classes, text = '') => {
  const made = document.createElement(name);
  made.className = classes;
  made.textContent = text;
  return made;
};
const svgElement = (name, attributes) => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes))
    made.setAttribute(key, value);
  return made;
};
const nameOf = c => page.classes[c][1];
const isMeant = (c, wanted) =>
  page.classes[c].some(text => String(text).toLowerCase().includes(wanted));
const wantedText = () => byId('filter').value.trim().toLowerCase();
const clock = seconds => {
  const whole = Math.floor(seconds / 60);
  const rest = (seconds - 60 * whole).toFixed(2);
  return clip.seconds < 60 ? seconds.toFixed(2)
    : whole + ':' + rest.padStart(5, '0');
};
const percent = seconds => 100 * seconds / clip.seconds + '%';
const place = (made, start, end) => {
  made.style.left = percent(start);
  made.style.width = percent(end - start);
  return made;
};
const say = text => { byId('status').textContent = text; };

// --- Files of a clip: from the server, or in the page ------------------------

const urlOf = name => `clips/${number}/${name}`;
const bytesOf = data => {
  const text = atob(data.slice(data.indexOf(',') + 1));
  return Uint8Array.from(text, letter => letter.charCodeAt(0));
};

async function readClip(wanted) {
  if (!isServed) return parse('clip-' + wanted);
  const answer = await fetch(`clips/${wanted}/known`);
  if (!answer.ok) throw new Error('the server answers ' + answer.status);
  return answer.json();
}

function setSound() {
  sound.pause();
  if (sound.src.startsWith('blob:')) URL.revokeObjectURL(sound.src);
  byId('play').disabled = !clip.audio;
  if (!clip.audio) return sound.removeAttribute('src');
  sound.src = isServed ? urlOf(clip.audio)
    : URL.createObjectURL(new Blob([bytesOf(clip.audio)],
      { type: 'audio/flac' }));
  sound.playbackRate = Number(byId('rate').value);
}

// Scores of a class over time; a server sends those that are asked for.
async function readScores(c) {
  const { name, num_frames: count } = clip.scores;
  if (!isServed) {
    clip.bytes ??= bytesOf(name);
    return new Float32Array(clip.bytes.buffer, 4 * count * c, count);
  }
  const last = 4 * count * (c + 1) - 1;
  const answer = await fetch(urlOf(name),
    { headers: { Range: `bytes=${4 * count * c}-${last}` } });
  return new Float32Array(await answer.arrayBuffer());
}

// --- Drawing -----------------------------------------------------------------

// Which classes to show: what is labelled by its first onset, then what scores
// high, then explicit negatives that score highest.
function shownClasses() {
  const peaks = clip.scores ? clip.scores.peaks : [];
  const peak = c => peaks[c] ?? -1;
  const byPeak = (a, b) => peak(b) - peak(a);
  const framed = Object.keys(clip.framed ?? {}).map(Number);
  const events = [...clip.strong ?? []].sort((a, b) => a[1] - b[1]);
  const labelled = [...events.map(e => e[0]), ...clip.weak ?? [],
    ...framed.filter(c => clip.framed[c].includes('P'))];
  const pointed = error ? [error[2]] : [];
  const scored = [...peaks.keys()].sort(byPeak);
  const high = scored.filter((c, i) => {
    const threshold = page.classes[c][2];
    return threshold === null ? i < NUM_HIGHEST : peaks[c] >= threshold;
  });
  const absent = framed.sort(byPeak);
  const everything = [...new Set([...pointed, ...labelled, ...high, ...absent,
    ...scored])];
  const wanted = wantedText();
  if (wanted) return everything.filter(c => isMeant(c, wanted));
  if (byId('all').checked) return everything;
  return [...new Set([...pointed, ...labelled, ...high,
    ...absent.slice(0, NUM_EXPLICIT)])];
}

// A line with a step for each frame: a score holds for its frame. Heights are
// in [0, 1], and y points down.
function steps(values, height) {
  let path = '';
  values.forEach((value, i) => {
    const y = (1 - height(value)).toFixed(4);
    path += `${i ? 'V' : 'M0 '}${y}H${i + 1}`;
  });
  return path;
}

async function drawScores(c, track, top, height) {
  const { num_frames: count, frame_seconds: hop, peaks } = clip.scores;
  const [drawn, values] = [clip, await readScores(c)];
  if (clip !== drawn) return;
  scoreOf.set(c, values);
  const lowest = values.reduce((a, b) => Math.min(a, b), 0);
  const highest = Math.max(1, peaks[c]);
  // Rare classes have low probabilities and low thresholds: their square roots
  // are seen. Other scores, such as logits, are drawn as they are.
  const isProbability = lowest === 0 && highest === 1;
  const heightOf = value => isProbability ? Math.sqrt(value)
    : (value - lowest) / (highest - lowest);
  const svg = svgElement('svg', { viewBox: `0 0 ${count} 1`,
    preserveAspectRatio: 'none', 'aria-hidden': true });
  place(svg, 0, count * hop).style.top = top + 'px';
  svg.style.height = height + 'px';
  const threshold = page.classes[c][2];
  if (threshold !== null) {
    const y = (1 - heightOf(threshold)).toFixed(4);
    let high = '';
    values.forEach((value, i) => {
      if (value >= threshold)
        high += `M${i} 1V${(1 - heightOf(value)).toFixed(4)}H${i + 1}V1Z`;
    });
    svg.append(svgElement('path', { class: 'high', d: high }),
      svgElement('path', { class: 'threshold', d: `M0 ${y}H${count}` }));
  }
  svg.append(svgElement('path', { class: 'line', d: steps(values, heightOf) }));
  track.append(svg);
  sayScores();
}

function drawClass(c) {
  const row = element('div', 'row class');
  const name = element('div', 'name', nameOf(c));
  const track = element('div', 'track');
  const number = element('small', 'number');
  name.title = page.classes[c][0];
  row.dataset.number = c;
  name.append(number);
  row.append(name, track);
  let top = 2;
  const add = (kind, start, end, height, title) => {
    const made = place(element('div', kind), start, end);
    made.style.top = top + 'px';
    made.style.height = height + 'px';
    made.title = title;
    track.append(made);
  };
  const cells = clip.framed?.[c];
  const isWeak = clip.weak?.includes(c);
  const events = clip.strong?.filter(([of]) => of === c) ?? [];
  // A class with any label has room for every kind, so that rows compare.
  const isLabelled = isWeak || events.length || cells;
  if (clip.weak && isLabelled) {
    if (isWeak) add('weak', 0, clip.seconds, 4, 'weak label');
    top += 6;
  }
  if (clip.strong && isLabelled) {
    for (const [, onset, offset] of events)
      add('event', onset, offset, 10,
        `strong label, ${clock(onset)} to ${clock(offset)} s`);
    top += 12;
  }
  if (cells) {
    const meanings = { P: 'present', C: 'complementary negative',
      E: 'explicit negative' };
    const hop = page.frame_seconds;
    // A run of equal letters is one cell: hours have thousands of frames.
    for (const { 0: run, index } of cells.matchAll(/(.)\1*/g)) {
      const frames = run.length === 1 ? `label frame ${index}`
        : `label frames ${index} to ${index + run.length - 1}`;
      if (run[0] !== ' ')
        add('cell ' + run[0], index * hop, (index + run.length) * hop, 10,
          `${frames}: ${meanings[run[0]]}`);
    }
    top += 12;
  }
  if (error && error[2] === c) {
    row.classList.add('pointed');
    track.append(place(element('div', 'error'), error[3] ?? 0,
      error[4] ?? clip.seconds));
  }
  if (clip.scores && c < clip.scores.peaks.length) {
    const height = 34;
    drawScores(c, track, top + 1, height);
    top += height + 3;
  }
  track.style.height = Math.max(top, 24) + 'px';
  return row;
}

function drawClasses() {
  const classes = shownClasses();
  scoreOf = new Map();
  byId('classes').replaceChildren(...classes.map(drawClass));
  const wanted = wantedText();
  const of = page.classes.length === 1 ? ' class' : ' classes';
  const labelled = page.labelled.filter(cs => cs.some(c => isMeant(c, wanted)));
  say([clip.note, wanted
    ? `${classes.length} of ${page.classes.length}${of}; labelled in ` +
      `${labelled.length} of ${page.segment_ids.length} clips`
    : `${classes.length} of ${page.classes.length}${of}`]
    .filter(text => text).join(' '));
  showTime();
}

function drawGrid() {
  const isFine = trackWidth() / clip.seconds >= FINE_PIXELS_A_SECOND;
  const count = isFine ? Math.ceil(clip.seconds / page.frame_seconds) : 0;
  const grid = byId('grid');
  place(grid, 0, count * page.frame_seconds);
  grid.setAttribute('viewBox', `0 0 ${count} 1`);
  let lines = '';
  for (let i = 1; i < count; i++) lines += `M${i} 0V1`;
  grid.firstElementChild.setAttribute('d', lines);
}

function drawSpectrogram() {
  const isFine = trackWidth() / clip.seconds >= FINE_PIXELS_A_SECOND;
  const tiles = clip.overview && !isFine ? [clip.overview] : clip.log_mel;
  const track = tracks.spectrogram;
  if (track.dataset.of === number + ' ' + tiles.length) return;
  track.dataset.of = number + ' ' + tiles.length;
  track.replaceChildren(...tiles.map(([name, start, end]) => {
    const image = place(element('img', ''), start, end);
    image.loading = 'lazy';
    image.alt = '';
    image.src = isServed ? urlOf(name) : name;
    return image;
  }));
  const mel = hertz => 1127 * Math.log(1 + hertz / 700);
  const [low, high] = [page.mel_min_hz, page.mel_max_hz].map(mel);
  for (const khz of [0.5, 1, 2, 4]) {
    const tick = element('span', '', khz + ' kHz');
    tick.style.top = 100 * (high - mel(1000 * khz)) / (high - low) + '%';
    track.append(tick);
  }
}

function drawRuler() {
  const pixels = trackWidth() / clip.seconds;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600]
    .find(s => s * pixels >= 55) ?? 7200;
  // Six hours in tenths of a second would be many: those in sight are enough.
  const start = timeline.scrollLeft / pixels - 20 * step;
  const end = (timeline.scrollLeft + timeline.clientWidth) / pixels + 20 * step;
  const ticks = [];
  for (let i = Math.max(0, Math.ceil(start / step));
    i * step < Math.min(end, clip.seconds); i++) {
    const text = clock(i * step).slice(0, step < 1 ? -1 : -3);
    const tick = element('span', '', text);
    tick.style.left = percent(i * step);
    ticks.push(tick);
  }
  tracks.ruler.replaceChildren(...ticks);
}

const trackWidth = () => tracks.spectrogram.getBoundingClientRect().width;

function setZoom(wanted, atSeconds = seconds()) {
  const whole = timeline.clientWidth;
  const most = Math.max(1, clip.seconds * MOST_PIXELS_A_SECOND / whole);
  zoom = Math.min(Math.max(1, wanted), most);
  lanes.style.width = 100 * zoom + '%';
  byId('out').disabled = zoom === 1;
  byId('in').disabled = zoom === most;
  const x = atSeconds / clip.seconds * trackWidth();
  timeline.scrollLeft = zoom === 1 ? 0 : x - whole / 2;
  drawRuler();
  drawGrid();
  drawSpectrogram();
}

// --- Time --------------------------------------------------------------------

const seconds = () => sound.src ? sound.currentTime : wantedSeconds;

function sayScores() {
  for (const row of byId('classes').children) {
    const c = Number(row.dataset.number);
    const values = scoreOf.get(c);
    if (!values) continue;
    const frame = Math.floor(seconds() / clip.scores.frame_seconds + 1e-6);
    const now = values[Math.min(frame, values.length - 1)] ?? NaN;
    const threshold = page.classes[c][2];
    row.querySelector('.number').textContent = `${now.toFixed(3)} ` +
      `(peak ${clip.scores.peaks[c].toFixed(3)}` +
      (threshold === null ? ')' : `, ≥ ${threshold.toPrecision(2)})`);
  }
}

function showTime() {
  if (!clip) return;
  const now = seconds();
  byId('head').style.left = percent(now);
  byId('time').textContent = `${clock(now)} / ${clock(clip.seconds)}` +
    (clip.seconds < 60 ? ' s' : '');
  sayScores();
}

function follow() {
  if (zoom === 1) return;
  const x = seconds() / clip.seconds * trackWidth() - timeline.scrollLeft;
  // Names hide a part on the left.
  if (x < 0 || x > 0.8 * timeline.clientWidth)
    timeline.scrollLeft += x - 0.1 * timeline.clientWidth;
}

function seek(wanted) {
  wantedSeconds = Math.min(Math.max(0, wanted), clip.seconds);
  if (sound.src) sound.currentTime = wantedSeconds;
  showTime();
  follow();
}

function play() {
  if (!clip.audio) return;
  if (sound.paused) sound.play().catch(e => say(String(e.message)));
  else sound.pause();
}

function tick() {
  showTime();
  follow();
  if (!sound.paused) requestAnimationFrame(tick);
}

sound.addEventListener('play', () => {
  byId('play').firstChild.textContent = '⏸';
  tick();
});
sound.addEventListener('pause', () => {
  byId('play').firstChild.textContent = '▶';
});
sound.addEventListener('seeked', showTime);
sound.addEventListener('error', () => {
  if (sound.src) say('The sound does not play: ' + sound.error.message);
});

// --- Clips, errors -----------------------------------------------------------

async function showClip(wanted, atSeconds = 0, ofError = null) {
  if (wanted < 0 || wanted >= page.segment_ids.length) return;
  error = ofError;
  wantedSeconds = atSeconds;
  byId('clip').value = wanted;
  if (wanted !== number) {
    number = wanted;
    sound.pause();
    byId('title').firstChild.textContent = page.segment_ids[number];
    byId('title').lastChild.textContent =
      `clip ${number + 1} of ${page.segment_ids.length}`;
    history.replaceState(null, '', '#' + (number + 1));
    if (isServed) say('Reading the clip …');
    let read;
    try {
      read = await readClip(wanted);
    } catch (e) {
      return say('The clip cannot be read: ' + e.message);
    }
    if (number !== wanted) return; // another was asked for meanwhile
    clip = read;
    delete tracks.spectrogram.dataset.of;
    setSound();
    setZoom(1);
  }
  drawClasses();
  seek(wantedSeconds);
  for (const [i, row] of document.querySelectorAll('#errors tbody tr').entries())
    row.classList.toggle('now', Boolean(error) && i === errorIndex);
  if (!error) return;
  say(`Error ${errorIndex + 1}: ${error[0]} of ${nameOf(error[2])}, score ` +
    `${error[5].toPrecision(3)}. ${clip.note}`);
  if (error[3] !== null) setZoom(zoom, error[3]);
  document.querySelector('.pointed').scrollIntoView({ block: 'nearest' });
}

const isListed = n => {
  const wanted = wantedText();
  return !wanted || page.labelled[n].some(c => isMeant(c, wanted));
};

function step(by) {
  let next = number + by;
  while (next >= 0 && next < page.segment_ids.length && !isListed(next))
    next += by;
  showClip(next);
}

function listClips() {
  const options = page.segment_ids.map((segmentId, n) => {
    const option = element('option', '', `${n + 1}. ${segmentId}`);
    option.value = n;
    return option;
  }).filter((_, n) => n === number || isListed(n));
  byId('clip').replaceChildren(...options);
  byId('clip').value = number;
}

const errorRows = () =>
  page.errors.length ? page.errors[byId('evaluation').value].rows : [];

function showError(index) {
  const rows = errorRows();
  if (index < 0 || index >= rows.length) return;
  errorIndex = index;
  byId('filter').value = '';
  listClips();
  const [, of, , onset] = rows[index];
  showClip(of, onset === null ? 0 : onset, rows[index]);
}

function listErrors() {
  errorIndex = -1;
  const body = byId('errors').querySelector('tbody');
  body.replaceChildren(...errorRows().map((row, i) => {
    const [kind, of, c, onset, offset, score] = row;
    const line = element('tr', '');
    const button = element('button', '', `${i + 1}. ${kind}`);
    button.type = 'button';
    button.addEventListener('click', () => showError(i));
    const first = element('td', 'text');
    first.append(button);
    line.append(first, element('td', 'text', nameOf(c)),
      element('td', 'text', page.segment_ids[of]),
      element('td', '', onset === null ? 'all'
        : `${onset.toFixed(2)}–${offset.toFixed(2)}`),
      element('td', '', score.toPrecision(3)));
    return line;
  }));
}

// --- What a person does ------------------------------------------------------

lanes.addEventListener('click', event => {
  const box = tracks.spectrogram.getBoundingClientRect();
  const at = (event.clientX - box.left) / box.width;
  if (clip && event.target.closest('.track')) seek(at * clip.seconds);
});
const onClick = (id, does) => byId(id)?.addEventListener('click', event => {
  // So that the next key is the page's, unless the keyboard pressed it.
  if (event.detail) event.currentTarget.blur();
  does();
});
onClick('play', play);
onClick('previous', () => step(-1));
onClick('next', () => step(1));
onClick('next-error', () => showError(errorIndex + 1));
onClick('in', () => setZoom(zoom * 2));
onClick('out', () => setZoom(zoom / 2));
onClick('help-button', () => byId('help').showModal());
byId('clip').addEventListener('change', event => {
  event.target.blur();
  showClip(Number(event.target.value));
});
byId('rate').addEventListener('change', event => {
  event.target.blur();
  sound.playbackRate = Number(event.target.value);
});
byId('all').addEventListener('change', drawClasses);
byId('filter').addEventListener('input', () => {
  listClips();
  drawClasses();
});
byId('evaluation')?.addEventListener('change', listErrors);
timeline.addEventListener('scroll', () => { if (clip) drawRuler(); });
new ResizeObserver(() => {
  if (!clip) return;
  drawRuler();
  drawGrid();
  drawSpectrogram();
}).observe(timeline);

const keys = {
  ' ': play,
  n: () => step(1),
  p: () => step(-1),
  j: () => showError(errorIndex + 1),
  k: () => showError(errorIndex - 1),
  '+': () => setZoom(zoom * 2),
  '=': () => setZoom(zoom * 2),
  '-': () => setZoom(zoom / 2),
  '/': () => byId('filter').focus(),
  a: () => byId('all').click(),
  '?': () => byId('help').showModal(),
  Home: () => seek(0),
};
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || !clip) return;
  const { target, key } = event;
  if (target === byId('filter') && key === 'Escape') {
    event.preventDefault(); // or some browsers would clear it
    return target.blur();
  }
  if (byId('help').open || target.closest('input[type=search], select')) return;
  if (key === ' ' && target.closest('button, summary, input')) return;
  const arrow = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (arrow) seek(seconds() + arrow * (event.shiftKey ? 5 : 0.5));
  else if (Object.hasOwn(keys, key)) keys[key]();
  else return;
  event.preventDefault();
});

const asked = Number(location.hash.slice(1)) - 1;
if (page.errors.length) listErrors();
number = -1;
listClips();
showClip(page.segment_ids[asked] === undefined ? 0 : asked);
