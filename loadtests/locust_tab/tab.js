// The tab "First token" of Locust's web UI: an element that Locust's page mounts and unmounts. It asks for the figures
// every other second while it is mounted, and draws them with the page's own ink, so that it follows light and dark.

const POLL_MS = 2000;
const SVG = 'http://www.w3.org/2000/svg';
// Okabe & Ito: told apart with any colour vision, and on white as well as on black.
const BLUE = '#0072B2', ORANGE = '#D55E00', GREEN = '#009E73', PURPLE = '#CC79A7';
const CHARTS = [
  { title: 'Time to first token', unit: 'ms',
    lines: [['p50', 'ttft_p50_ms', BLUE], ['p95', 'ttft_p95_ms', ORANGE]] },
  { title: 'Output', unit: 'tokens/s', lines: [['', 'tokens_per_s', GREEN]] },
  { title: 'In flight', unit: 'requests', lines: [['', 'in_flight', PURPLE]] },
];
const STATES = {
  waiting: () => 'No test has been started yet.',
  refused: told => `The test could not start: ${told.why}`,
  running: told => `Run ${told.run} is on.`,
  finishing: told => `Run ${told.run} has stopped; its report is being made.`,
  finished: told => `Run ${told.run} is over.`,
};
const LOOK = `
  :host { display: block; }
  p { margin: 0 0 12px; }
  a { color: inherit; font-weight: 600; }
  .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 24px; }
  figure { margin: 0; min-width: 0; }
  figcaption { display: flex; flex-wrap: wrap; column-gap: 12px; font-weight: 600; }
  figcaption span { font-weight: 400; font-variant-numeric: tabular-nums; }
  svg { display: block; width: 100%; height: 220px; font-size: 12px; fill: currentColor; touch-action: pan-y; }
  .grid { stroke: currentColor; opacity: .18; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
  .name { font-weight: 600; }
  .at { stroke: currentColor; opacity: .6; stroke-dasharray: 3 3; }
  small { display: block; margin: 8px 0 24px; opacity: .8; }
  .table { overflow-x: auto; }
  table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
  th, td { padding: 10px 16px; text-align: right; border-bottom: 1px solid rgb(128 128 128 / .35); }
  th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; min-width: 6em; }
`;

const element = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);
const drawn = (tag, attributes = {}, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// A number as people read it: three digits that say something.
function shown(value) {
  if (value === null || value === undefined) return '–';
  return value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}

// Round and whole steps from 0 to at least `most`, about `count` of them.
function ticks(most, count) {
  const rough = Math.max(most / count, 1);
  const decade = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(by => by * decade).find(by => by >= rough);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, i) => i * step);
}

// One chart: values over the seconds since the run's start.
class Chart {
  constructor({ title, unit, lines }) {
    Object.assign(this, { title, unit, lines, pointed: null });
    this.told = element('span');
    this.picture = drawn('svg', { role: 'img' });
    this.node = element('figure', {}, element('figcaption', {}, `${title} (${unit})`, this.told), this.picture);
    this.picture.addEventListener('pointermove', event => this.point(event));
    this.picture.addEventListener('pointerdown', event => this.point(event));
    this.picture.addEventListener('pointerleave', () => this.point(null));
  }

  draw(seconds) {
    this.seconds = seconds;
    const width = this.picture.clientWidth || 400, height = this.picture.clientHeight || 220;
    const values = this.lines.flatMap(([, field]) => seconds[field]).filter(value => value !== null);
    const t = seconds.t_s, from = t[0] > 10 ? t[0] : 0, to = Math.max(t.at(-1) ?? 0, from + 10);
    const rungs = ticks(Math.max(1, ...values), 4), top = rungs.at(-1);
    const left = 14 + 7 * Math.max(...rungs.map(rung => shown(rung).length)), right = this.lines.length > 1 ? 34 : 12;
    this.x = at => left + (at - from) / (to - from) * (width - left - right);
    this.y = value => height - 40 - value / top * (height - 52);
    const place = { left, right: width - right, bottom: height - 40, middle: (left + width - right) / 2 };
    this.picture.replaceChildren(...this.rungs(rungs, place), ...this.times(from, to, place), ...this.curves(place));
    this.picture.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.tell();
  }

  rungs(rungs, { left, right }) {
    return rungs.flatMap(rung => [
      drawn('line', { class: 'grid', x1: left, x2: right, y1: this.y(rung), y2: this.y(rung) }),
      drawn('text', { x: left - 6, y: this.y(rung) + 4, 'text-anchor': 'end' }, shown(rung)),
    ]);
  }

  times(from, to, { bottom, middle }) {
    const marks = ticks(to, 5 * to / (to - from)).filter(mark => mark >= from && mark <= to);
    return [
      ...marks.map(mark => drawn('text', { x: this.x(mark), y: bottom + 17, 'text-anchor': 'middle' }, shown(mark))),
      drawn('text', { x: middle, y: bottom + 34, 'text-anchor': 'middle' }, 'seconds since the run’s start'),
    ];
  }

  // Lines with holes where nothing is known, their names at their ends.
  curves({ right }) {
    const t = this.seconds.t_s, named = [];
    const nodes = this.lines.flatMap(([name, field, colour]) => {
      let path = '', open = false, last = null;
      this.seconds[field].forEach((value, i) => {
        if (value === null) { open = false; return; }
        path += `${open ? 'L' : 'M'}${this.x(t[i]).toFixed(1)} ${this.y(value).toFixed(1)}${open ? '' : 'h.01'}`;
        open = true;
        last = [this.x(t[i]), this.y(value)];
      });
      if (name && last) named.push({ name, x: last[0] + 6, y: last[1] + 4 });
      return [drawn('path', { class: 'line', stroke: colour, d: path })];
    });
    named.sort((a, b) => b.y - a.y).forEach((one, i) => { if (i) one.y = Math.min(one.y, named[i - 1].y - 13); });
    return [...nodes, ...named.map(({ name, x, y }) => drawn('text', { class: 'name', x, y }, name))];
  }

  // The pointer's second; none where it has left.
  point(event) {
    const t = this.seconds?.t_s ?? [];
    const at = event && event.clientX - this.picture.getBoundingClientRect().left;
    this.pointed = event && t.length
      ? t.reduce((best, second, i) => Math.abs(this.x(second) - at) < Math.abs(this.x(t[best]) - at) ? i : best, 0)
      : null;
    this.tell();
  }

  // The latest values in words, or those under the pointer.
  tell() {
    const t = this.seconds.t_s, i = this.pointed === null ? t.length - 1 : Math.min(this.pointed, t.length - 1);
    this.picture.querySelector('.at')?.remove();
    const words = i < 0 ? 'nothing yet' : this.lines
      .map(([name, field]) => `${name} ${shown(this.seconds[field][i])}`.trim()).join(', ');
    this.told.textContent = this.pointed === null || i < 0 ? words : `at ${Math.round(t[i])} s: ${words}`;
    this.picture.setAttribute('aria-label', `${this.title} in ${this.unit}, at the end: ${words}`);
    if (this.pointed !== null && i >= 0) {
      const x = this.x(t[i]);
      this.picture.append(drawn('line', { class: 'at', x1: x, x2: x, y1: this.y(0), y2: 8 }));
    }
  }
}

class Tab extends HTMLElement {
  connectedCallback() {
    this.charts = CHARTS.map(chart => new Chart(chart));
    this.state = element('p', { role: 'status' });
    this.reports = element('p');
    this.small = element('small');
    this.table = element('div', { class: 'table' });
    const charts = element('div', { class: 'charts' }, ...this.charts.map(chart => chart.node));
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    root.replaceChildren(element('style', {}, LOOK), this.state, this.reports, charts, this.small, this.table);
    this.sized = new ResizeObserver(() => this.told && this.draw());
    this.sized.observe(this);
    this.timer = setInterval(() => document.hidden || this.ask(), POLL_MS);
    this.ask();
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    this.sized.disconnect();
  }

  async ask() {
    try {
      const answer = await fetch(new URL('figures', import.meta.url));
      if (!answer.ok) throw new Error(answer.statusText);
      this.told = await answer.json();
      this.draw();
    } catch {
      this.state.textContent = 'Locust does not answer; what is shown here is what it said last.';
    }
  }

  draw() {
    const { state, reports, seconds, window_s, columns, rows } = this.told;
    this.say(STATES[state](this.told));
    this.charts.forEach(chart => chart.draw(seconds));
    this.link(reports);
    this.small.textContent = `Each point: the answers that ended in the ${window_s} s before it; in flight: at that`
      + ' moment. Times count from the scheduled moment. Live figures, for a look; the report has the judged ones.';
    const head = columns.map(([, title]) => element('th', { scope: 'col' }, title));
    const body = rows.map(row => element('tr', {}, ...columns.map(([key]) => element('td', {}, String(row[key])))));
    this.table.replaceChildren(
      element('table', {}, element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...body)));
  }

  say(words) {
    if (this.state.textContent !== words) this.state.textContent = words;
  }

  // Links to the reports of this Locust's tests, the newest first; left alone where nothing is new.
  link(runs) {
    if (this.reports.dataset.runs === runs.join()) return;
    this.reports.dataset.runs = runs.join();
    this.reports.replaceChildren(...runs.flatMap((run, i) => {
      const href = new URL(`reports/${encodeURIComponent(run)}/report.html`, import.meta.url);
      return [i ? ' · ' : '', element('a', { href, target: '_blank' }, `Report of ${run}`)];
    }));
  }
}

customElements.define('firsttoken-tab', Tab);
