// The inspector: what apps and workspace say to each other, how near the limits are, and trouble on demand.
import { html, useEffect, useMemo, useRef, useState } from './ui.js';
import { useStore } from './context.js';
import { Faults } from './inspector-faults.js';
import { useFeed } from './inspector-feed.js';
import { Limits } from './inspector-limits.js';
import { KINDS, chosen, counted } from './inspector-rows.js';
import { Table } from './inspector-table.js';

const ALL = { kind: '', app: '', text: '', onlyFailures: false };

function Filters({ filter, setFilter, apps, shown, all, skipped }) {
  const pick = name => event => setFilter({ ...filter, [name]: event.target.value });
  return html`<div class="filters" role="search" aria-label="Filter">
    <label class="sr" for="filter-text">Text</label>
    <input id="filter-text" class="text" type="search" placeholder="Filter by text" value=${filter.text}
      spellcheck=${false} autocomplete="off" onInput=${pick('text')} />
    <label class="sr" for="filter-kind">Kind</label>
    <select id="filter-kind" class="select" value=${filter.kind} onChange=${pick('kind')}>
      <option value="">All kinds</option>
      ${Object.entries(KINDS).map(([kind, { title }]) => html`<option value=${kind}>${title}</option>`)}</select>
    <label class="sr" for="filter-app">App</label>
    <select id="filter-app" class="select" value=${filter.app} onChange=${pick('app')}>
      <option value="">All apps</option>
      ${apps.map(app => html`<option value=${app.id}>${app.name}</option>`)}</select>
    <label class="choice"><input type="checkbox" checked=${filter.onlyFailures}
      onChange=${event => setFilter({ ...filter, onlyFailures: event.target.checked })} />
      <span>Only failures</span></label>
    <span class="counts">${shown === all ? '' : `${shown} of `}${counted(all, 'entry', 'entries')}${
      skipped > 0 && html`<span title="They came faster than the page reads.">,
        ${' '}${skipped.toLocaleString()} left out</span>`}</span>
  </div>`;
}

function emptyWords(known, filtered) {
  if (!known.isRead) return html`<p><span class="spinner"></span></p>`;
  if (filtered) return html`<h2>Nothing passes the filter</h2><p>Change it, or wait for more.</p>`;
  return html`<h2>Nothing has been seen yet</h2><p>Every call, delivery and connection of an app will stand here as it
    happens. Start an app, or type a command in a channel.</p>`;
}

const TABS = { limits: 'Limits and apps', faults: 'Faults' };

const namesOfCalls = entries => [...new Set(entries.filter(e => e.kind === 'call').map(e => e.name))].sort();

const FaultCount = ({ faults }) => faults.length > 0 &&
  html` <span class="count">${faults.length}<span class="sr"> on</span></span>`;

/** The right side: tabs. On a phone it covers the table until it is closed. */
function Side({ known, nameOf, learn, open, onClose }) {
  const [tab, setTab] = useState('faults');
  const root = useRef();
  const methods = useMemo(() => namesOfCalls(known.entries), [known.entries]);
  useEffect(() => {
    if (open) root.current.querySelector('[aria-selected=true]').focus();
  }, [open]);
  function onKeyDown(event) {
    if (event.key !== 'ArrowRight' && event.key !== 'ArrowLeft') return;
    const other = Object.keys(TABS).find(name => name !== tab);
    setTab(other);
    root.current.querySelector(`#tab-${other}`).focus();
  }
  const tabOf = ([name, words]) => html`<button key=${name} type="button" role="tab" id=${`tab-${name}`}
    aria-controls="side-panel" tabindex=${name === tab ? 0 : -1} aria-selected=${name === tab ? 'true' : 'false'}
    onClick=${() => setTab(name)}>${words}${name === 'faults' && html`<${FaultCount} faults=${known.faults} />`}</button>`;
  return html`<aside ref=${root} class=${`inspector-side${open ? ' open' : ''}`} aria-label="State and faults"
      onKeyDown=${event => event.key === 'Escape' && onClose()}>
    <div class="side-tabs">
      <div role="tablist" aria-label="State and faults" onKeyDown=${onKeyDown}>${Object.entries(TABS).map(tabOf)}</div>
      <button type="button" class="icon close-side" aria-label="Close" onClick=${onClose}>✕</button></div>
    <div class="panels" role="tabpanel" id="side-panel" aria-labelledby=${`tab-${tab}`} tabindex="0">
      ${tab === 'faults' ? html`<${Faults} known=${known} methods=${methods} nameOf=${nameOf} learn=${learn} />`
        : html`<${Limits} known=${known} nameOf=${nameOf} />`}
    </div>
  </aside>`;
}

export function Inspector({ state, onMenu, banner }) {
  const store = useStore();
  const heading = useRef();
  const opener = useRef();
  const [filter, setFilter] = useState(ALL);
  const [side, setSide] = useState(false);
  const { known, skipped, missed, paused, setPaused, clear, learn } = useFeed(store, state.seen, state.online);
  const names = useMemo(() => new Map(known.apps.map(app => [app.id, app.name])), [known.apps]);
  const nameOf = id => names.get(id) ?? id;
  const shown = useMemo(() => chosen(known.entries, filter), [known.entries, filter]);
  useEffect(() => heading.current.focus(), []);
  const closeSide = () => {
    setSide(false);
    opener.current.focus();
  };
  return html`<main class="inspector">
    <header class="topbar">
      <button type="button" class="icon hamburger" aria-label="Channels" aria-controls="sidebar"
        onClick=${onMenu}>☰</button>
      <h1 tabindex="-1" ref=${heading}>Inspector</h1>
      <span class="about" role="status">${paused && 'Paused'}${paused && missed > 0 &&
        `, ${counted(missed, 'new entry', 'new entries')}`}</span>
      <button type="button" class="btn" onClick=${() => setPaused(!paused)}>${paused ? 'Resume' : 'Pause'}</button>
      <button type="button" class="btn" onClick=${clear} disabled=${!known.entries.length}>Clear</button>
      <button type="button" class="btn open-side" ref=${opener} aria-expanded=${side ? 'true' : 'false'}
        onClick=${() => setSide(!side)}>Faults<${FaultCount} faults=${known.faults} /></button>
    </header>
    ${banner}
    <div class="inspector-body">
      <div class="traffic">
        <${Filters} filter=${filter} setFilter=${setFilter} apps=${known.apps} shown=${shown.length}
          all=${known.entries.length} skipped=${skipped} />
        <${Table} entries=${shown} nameOf=${nameOf} empty=${emptyWords(known, known.entries.length > 0)} />
      </div>
      <${Side} known=${known} nameOf=${nameOf} learn=${learn} open=${side} onClose=${closeSide} />
    </div>
  </main>`;
}
