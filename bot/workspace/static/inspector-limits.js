// How near the rate limits are, which apps are connected, and which methods the workspace does not know.
import { html } from './ui.js';
import { useStoreState, useStore } from './context.js';
import { counted, span } from './inspector-rows.js';

function Limit({ limit, place, app }) {
  const { method, tier, used, limit: most, retry_after_s: wait } = limit;
  const words = `${used} of ${most}${tier ? `, ${String(tier).replace('_', ' ')}` : ''}`;
  const level = wait > 0 ? 'full' : used >= most * 0.8 ? 'near' : '';
  const where = [place, app].filter(Boolean).join(', ');
  return html`<li class=${`limit ${level}`}>
    <span class="what"><code>${method}</code>${where && html`<span>${where}</span>`}</span>
    <span class="used">${words}${wait > 0 && html`<b> wait ${span(Math.max(1, wait))}</b>`}</span>
    <span class="bar" aria-hidden="true"><span
      style=${{ width: `${Math.min(100, (100 * used) / most)}%` }}></span></span>
  </li>`;
}

function connectionWords({ transport, connections }) {
  if (transport === 'http') return connections > 0 ? 'over HTTP' : 'over HTTP, not reached';
  return connections > 0 ? counted(connections, 'socket') : 'no socket';
}

function Apps({ apps }) {
  if (!apps.length) return html`<p class="nothing">No app is installed.</p>`;
  return html`<ul class="connections">${apps.map(app => html`<li key=${app.id}>
    <span class=${`dot${app.connections > 0 ? ' on' : ''}`} aria-hidden="true"></span><b>${app.name}</b>
    <span>${connectionWords(app)}</span></li>`)}</ul>`;
}

function Unknown({ methods }) {
  const sorted = Object.entries(methods).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  if (!sorted.length) return html`<p class="nothing">No app has called a method that the workspace does not know.</p>`;
  return html`<ul class="unknown-methods">${sorted.map(([name, count]) => html`<li key=${name}><code>${name}</code>
    <span>${counted(count, 'call')}</span></li>`)}</ul>`;
}

/** `known` as in inspector-feed.js. */
export function Limits({ known, nameOf }) {
  const { directory } = useStoreState(useStore());
  const { apps, limits, unknown_methods: unknown, has_rate_limits: limited } = known;
  const placeOf = key => (key && directory.channel(key)?.name ? `#${directory.channel(key).name}` : key);
  return html`<section class="panel" aria-labelledby="apps-title"><h2 id="apps-title">Connections</h2>
      <${Apps} apps=${apps} /></section>
    <section class="panel" aria-labelledby="limits-title"><h2 id="limits-title">Rate limits</h2>
      ${!limited && html`<p class="nothing">They are switched off: no call is refused.</p>`}
      ${limited && !limits.length && html`<p class="nothing">No call in the last minute.</p>`}
      <ul class="limits">${limits.map(limit => html`<${Limit} limit=${limit}
        key=${`${limit.app} ${limit.method} ${limit.key}`} place=${placeOf(limit.key)}
        app=${apps.length > 1 ? nameOf(limit.app) : ''} />`)}</ul></section>
    <section class="panel" aria-labelledby="unknown-title"><h2 id="unknown-title">Unknown methods</h2>
      <${Unknown} methods=${unknown} /></section>`;
}
