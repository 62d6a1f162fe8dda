// data_visualization blocks as SVG of our own: line, bar, area and pie, with axes, legend and a text alternative.
import { html, useEffect, useRef, useState } from './ui.js';

const HEIGHT = 230;
const LETTER_PX = 6.5;
const PAD = { top: 12, right: 14, bottom: 26, left: 48 };

/** Round numbers that cover lo..hi: steps of 1, 2 or 5 times a power of ten. */
export function ticks(lo, hi, wanted = 5) {
  const span = hi - lo || Math.abs(hi) || 1;
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough);
  const first = Math.floor(lo / step);
  const count = Math.max(1, Math.ceil(hi / step - 1e-9) - first);
  return Array.from({ length: count + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

const short = n =>
  Math.abs(n) >= 1e5 || (n && Math.abs(n) < 1e-3) ? n.toExponential(1) : String(Number(n.toPrecision(4)));

/** Values by category; a series may list its points in any order. */
const valuesOf = (series, categories) => {
  const byLabel = new Map(series.data.map(point => [point.label, point.value]));
  return categories.map(category => byLabel.get(category));
};

function layout(chart, width) {
  const categories = chart.axis_config?.categories ?? chart.series[0].data.map(point => point.label);
  const series = chart.series.map(s => ({ name: s.name, values: valuesOf(s, categories) }));
  const all = series.flatMap(s => s.values).filter(v => v != null);
  const fromZero = chart.type !== 'line'; // bars and areas lie when they do not start at zero
  const [lo, hi] = [Math.min(...all, ...(fromZero ? [0] : [])), Math.max(...all, ...(fromZero ? [0] : []))];
  const marks = ticks(lo, hi);
  const config = chart.axis_config ?? {};
  const pad = { ...PAD, bottom: PAD.bottom + (config.x_label ? 18 : 0), left: PAD.left + (config.y_label ? 18 : 0) };
  const [inner, tall] = [width - pad.left - pad.right, HEIGHT - pad.top - pad.bottom];
  const bands = chart.type === 'bar';
  const slot = inner / (bands ? categories.length : Math.max(1, categories.length - 1));
  const single = !bands && categories.length === 1;
  return {
    ...config, categories, series, marks, pad, inner, tall, slot, bands, width,
    x: i => pad.left + (bands ? (i + 0.5) * slot : single ? inner / 2 : i * slot),
    y: v => pad.top + tall * (1 - (v - marks[0]) / (marks.at(-1) - marks[0])),
  };
}

function Axes({ plot }) {
  const { pad, inner, tall, categories, slot, bands, x, y, marks, width } = plot;
  const fits = Math.floor((slot - 6) / LETTER_PX);
  const widest = Math.max(...categories.map(c => c.length));
  const cut = bands && fits >= 4; // a bar's name is shortened; along a line, names are left out
  const every = cut ? 1 : Math.max(1, Math.ceil((widest * LETTER_PX + 10) / slot));
  const name = c => (cut && c.length > fits ? `${c.slice(0, fits - 1)}…` : c);
  return html`<g class="axes">
    ${marks.map(m => html`<g>
      <line x1=${pad.left} x2=${width - pad.right} y1=${y(m)} y2=${y(m)} class=${m === 0 ? 'zero' : ''} />
      <text x=${pad.left - 8} y=${y(m) + 4} text-anchor="end">${short(m)}</text></g>`)}
    ${categories.map((c, i) => i % every === 0 && html`<text x=${x(i)} y=${pad.top + tall + 17}
      text-anchor="middle">${name(c)}</text>`)}
    ${plot.x_label && html`<text x=${pad.left + inner / 2} y=${HEIGHT - 4}
      text-anchor="middle">${plot.x_label}</text>`}
    ${plot.y_label && html`<text transform=${`translate(12 ${pad.top + tall / 2}) rotate(-90)`}
      text-anchor="middle">${plot.y_label}</text>`}
  </g>`;
}

const known = values => values.map((value, i) => ({ value, i })).filter(point => point.value != null);
const tip = (plot, series, { value, i }) => html`<title>${`${series.name}, ${plot.categories[i]}: ${value}`}</title>`;

function Lines({ plot, area }) {
  return plot.series.map((series, n) => {
    const points = known(series.values);
    const path = points.map(p => `${plot.x(p.i)},${plot.y(p.value)}`).join(' L');
    const base = plot.y(Math.max(0, plot.marks[0]));
    const fill = area && `M${plot.x(points[0].i)},${base} L${path} L${plot.x(points.at(-1).i)},${base} Z`;
    return html`<g class=${`series c${n % 6}`}>
      ${fill && html`<path class="fill" d=${fill} />`}
      <path class="stroke" d=${`M${path}`} />
      ${points.map(p => html`<circle cx=${plot.x(p.i)} cy=${plot.y(p.value)} r="3">${tip(plot, series, p)}</circle>`)}
    </g>`;
  });
}

function Bars({ plot }) {
  const wide = Math.min(36, (plot.slot * 0.75) / plot.series.length);
  const zero = plot.y(0);
  return plot.series.map((series, n) => html`<g class=${`series c${n % 6}`}>${known(series.values).map(p => {
    const left = plot.x(p.i) + (n - plot.series.length / 2) * wide;
    const top = Math.min(zero, plot.y(p.value));
    return html`<rect x=${left} y=${top} width=${Math.max(1, wide - 1)} rx="2"
      height=${Math.max(1, Math.abs(plot.y(p.value) - zero))}>${tip(plot, series, p)}</rect>`;
  })}</g>`);
}

function Pie({ segments }) {
  const total = segments.reduce((sum, s) => sum + s.value, 0);
  const at = part => [100 + 90 * Math.sin(2 * Math.PI * part), 100 - 90 * Math.cos(2 * Math.PI * part)].join(',');
  let done = 0;
  return segments.map((s, n) => {
    const [from, to] = [done / total, (done += s.value) / total];
    const all = segments.length === 1;
    const d = `M100,100 L${at(from)} A90,90 0 ${to - from > 0.5 ? 1 : 0} 1 ${at(to)} Z`;
    const title = html`<title>${`${s.label}: ${s.value} (${Math.round((100 * s.value) / total)} %)`}</title>`;
    return html`<g class=${`series c${n % 6}`}>${all ? html`<circle cx="100" cy="100" r="90">${title}</circle>`
      : html`<path class="slice" d=${d}>${title}</path>`}</g>`;
  });
}

/** One sentence for those who do not see the picture. */
export function alternative({ title, chart }) {
  if (chart.type === 'pie') {
    return `Pie chart: ${title}. ${chart.segments.map(s => `${s.label} ${s.value}`).join(', ')}.`;
  }
  const told = chart.series.map(s => {
    const values = s.data.map(p => p.value);
    const range = `lowest ${Math.min(...values)}, highest ${Math.max(...values)}`;
    return `${s.name}: ${values.length} points from ${values[0]} to ${values.at(-1)}, ${range}`;
  });
  return `${chart.type[0].toUpperCase()}${chart.type.slice(1)} chart: ${title}. ${told.join('. ')}.`;
}

const legendOf = chart => (chart.type === 'pie'
  ? chart.segments.map(s => `${s.label} (${short(s.value)})`)
  : chart.series.map(s => s.name));

/** The width the chart may use, measured, so that its letters keep their size on a phone. */
function useWidth() {
  const ref = useRef();
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

export function Chart({ block }) {
  const [ref, width] = useWidth();
  const { chart } = block;
  const pie = chart.type === 'pie';
  const plot = !pie && width > 0 && layout(chart, width);
  const box = pie ? '0 0 200 200' : `0 0 ${width} ${HEIGHT}`;
  return html`<figure class=${`chart chart-${chart.type}`}>
    <figcaption>${block.title}</figcaption>
    <div class="plot" ref=${ref}>${(pie || plot) && html`<svg role="img" aria-label=${alternative(block)}
      viewBox=${box} width=${pie ? 200 : width} height=${pie ? 200 : HEIGHT}>
      ${plot && html`<${Axes} plot=${plot} />`}
      ${pie ? html`<${Pie} segments=${chart.segments} />` : chart.type === 'bar' ? html`<${Bars} plot=${plot} />`
        : html`<${Lines} plot=${plot} area=${chart.type === 'area'} />`}
    </svg>`}</div>
    <ul class="legend">${legendOf(chart).map((name, n) => html`<li class=${`series c${n % 6}`}>
      <svg class="swatch" viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10" rx="2" /></svg>
      ${name}</li>`)}</ul>
  </figure>`;
}
