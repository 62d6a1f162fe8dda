// The table of everything the workspace has seen: draws only the rows in sight, and one opens to its details.
import { html, memo, useEffect, useLayoutEffect, useMemo, useRef, useState } from './ui.js';
import { Json } from './inspector-json.js';
import {
  KINDS, clockOf, complaintsOf, counted, duration, marksOf, outcomeOf, unpacked,
} from './inspector-rows.js';
import { full } from './time.js';

const ROW_PX = 36;
const NARROW_ROW_PX = 54;
const NARROW = '(max-width: 700px)';
const SPARE_ROWS = 12;
const NEAR_END_PX = 40;
const GUESS_PX = 300; // an opened row before it is measured
const PAGE_ROWS = 10;

function useMedia(query) {
  const [matches, setMatches] = useState(matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const note = () => setMatches(media.matches);
    media.addEventListener('change', note);
    return () => media.removeEventListener('change', note);
  }, [query]);
  return matches;
}

function Complaints({ complaints }) {
  return html`<section class="complaints" aria-label="What the validator says">
    <h2>${counted(complaints.length, 'complaint')} of the validator</h2>
    <ul>${complaints.map(({ words, pointer }) => html`<li>${words}${' '}${pointer !== null && html`
      <code>${pointer || '/'}</code>`}</li>`)}</ul>
  </section>`;
}

function Details({ entry }) {
  const complaints = complaintsOf(entry);
  const request = unpacked(entry.request);
  const kind = KINDS[entry.kind]?.one ?? entry.kind;
  return html`<div class="details">
    <p class="about">${kind} ${entry.n}, ${full(new Date(entry.at * 1000))}${entry.status
      ? `, status ${entry.status}` : ''}</p>
    ${complaints.length > 0 && html`<${Complaints} complaints=${complaints} />`}
    <${Json} title="Request" value=${request} marks=${marksOf(request, complaints)} />
    <${Json} title="Answer" value=${unpacked(entry.answer)} />
  </div>`;
}

const Row = memo(({ entry, app, index, top, isOpen, isStop, onToggle, onSize }) => {
  const ref = useRef();
  useEffect(() => {
    if (!isOpen) return undefined;
    const observer = new ResizeObserver(() => onSize(entry.n, ref.current.offsetHeight));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [isOpen]);
  const { words, level } = outcomeOf(entry);
  const kind = KINDS[entry.kind] ?? { one: entry.kind, sign: '·' };
  const complaints = entry.complaints.length;
  const toggle = () => onToggle(entry.n);
  return html`<div role="rowgroup" ref=${ref} class=${`entry${isOpen ? ' open' : ''}`} style=${{ top: `${top}px` }}>
    <div role="row" class="line" aria-rowindex=${index + 2} onClick=${toggle}>
      <span role="cell" class="when">${clockOf(entry.at)}</span>
      <span role="cell" class="app-name">${app}</span>
      <span role="cell" class="what"><span class="kind" aria-hidden="true" title=${kind.one}>${kind.sign}</span>
        <button type="button" data-n=${entry.n} tabindex=${isStop ? 0 : -1} aria-expanded=${isOpen ? 'true' : 'false'}
          onClick=${event => { event.stopPropagation(); toggle(); }}>
          <span class="sr">${kind.one}: </span>${entry.name}</button></span>
      <span role="cell" class=${`outcome ${level}`}><i aria-hidden="true"></i><span>${words}</span>
        ${complaints > 0 && html`<span class="count" title=${counted(complaints, 'complaint')}>
          ${complaints}<span class="sr"> ${complaints === 1 ? 'complaint' : 'complaints'}</span></span>`}</span>
      <span role="cell" class="ms">${duration(entry.ms)}</span>
    </div>
    ${isOpen && html`<div role="row"><div role="cell" aria-colspan="5"><${Details} entry=${entry} /></div></div>`}
  </div>`;
});

/** Index of the row at a height: the last one that starts at or above it. */
function rowAt(tops, px) {
  let low = 0;
  let high = tops.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (tops[middle] <= px) low = middle;
    else high = middle - 1;
  }
  return low;
}

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE_ROWS, PageUp: -PAGE_ROWS, Home: -Infinity, End: Infinity };

/** Where each row starts, and how high all are together. */
function layout(entries, open, rowPx) {
  const tops = [];
  let total = 0;
  for (const { n } of entries) {
    tops.push(total);
    total += open.has(n) ? open.get(n) ?? rowPx + GUESS_PX : rowPx;
  }
  return { tops, total };
}

/** `nameOf(app id)`; `empty` is said when there is no entry. */
export function Table({ entries, nameOf, empty }) {
  const box = useRef();
  const pinned = useRef(true);
  const anchor = useRef({}); // the first row in sight, and how far it is scrolled past
  const wantsFocus = useRef(false);
  const opened = useRef(null); // n of a row that is to be brought into sight
  const rowPx = useMedia(NARROW) ? NARROW_ROW_PX : ROW_PX;
  const [open, setOpen] = useState(new Map()); // n -> its measured height, or undefined
  const [stop, setStop] = useState(null); // n of the row that Tab reaches; null is the newest
  const [view, setView] = useState({ top: 0, height: 800 });
  const [away, setAway] = useState(false);
  const handlers = useRef({}); // always the same functions for the rows, always today's for the observer
  const { tops, total } = useMemo(() => layout(entries, open, rowPx), [entries, open, rowPx]);
  const lastN = entries.at(-1)?.n;
  const found = entries.findIndex(entry => entry.n === stop);
  const stopIndex = found >= 0 ? found : entries.length - 1;

  const look = () => {
    if (!box.current) return; // the table has just gone
    const { scrollTop, clientHeight, scrollHeight } = box.current;
    const first = rowAt(tops, scrollTop);
    pinned.current = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    anchor.current = { n: entries[first]?.n, offset: scrollTop - tops[first] };
    if (pinned.current) setAway(false);
    setView({ top: scrollTop, height: clientHeight });
  };
  const toEnd = () => {
    box.current.scrollTop = box.current.scrollHeight;
    look();
  };
  Object.assign(handlers.current, { look, toEnd });
  useLayoutEffect(() => {
    if (!pinned.current) setAway(true);
  }, [lastN]);
  // What is read stays where it is, whatever comes below or goes above.
  useLayoutEffect(() => {
    const at = entries.findIndex(entry => entry.n === anchor.current.n);
    if (pinned.current) toEnd();
    else if (at >= 0) box.current.scrollTop = tops[at] + anchor.current.offset;
  }, [entries]);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => (pinned.current ? handlers.current.toEnd() : handlers.current.look()));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    box.current.querySelector(`[data-n="${entries[stopIndex]?.n}"]`)?.focus({ preventScroll: true });
  });

  handlers.current.toggle ??= n => {
    pinned.current = false; // whoever reads does not want to be carried away
    setStop(n);
    setOpen(now => {
      const next = new Map(now);
      opened.current = next.has(n) ? null : n;
      if (!next.delete(n)) next.set(n, undefined);
      return next;
    });
  };
  handlers.current.size ??= (n, px) =>
    setOpen(now => (now.has(n) && now.get(n) !== px ? new Map(now).set(n, px) : now));
  // What has just been opened is brought into sight, as far as its first line stays there.
  useLayoutEffect(() => {
    const at = entries.findIndex(entry => entry.n === opened.current);
    if (at < 0 || !open.get(opened.current)) return;
    const { scrollTop, clientHeight } = box.current;
    const end = tops[at] + open.get(opened.current) + box.current.querySelector('.heads').offsetHeight;
    opened.current = null;
    if (end > scrollTop + clientHeight) box.current.scrollTop = Math.min(tops[at], end - clientHeight);
  }, [open]);

  function onKeyDown(event) {
    const step = STEPS[event.key];
    if (!step || !event.target.dataset.n || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const next = Math.min(entries.length - 1, Math.max(0, stopIndex + step));
    const { scrollTop, clientHeight } = box.current;
    const lowest = clientHeight - box.current.querySelector('.heads').offsetHeight - rowPx;
    if (tops[next] < scrollTop) box.current.scrollTop = tops[next];
    else if (tops[next] > scrollTop + lowest) box.current.scrollTop = tops[next] - lowest;
    wantsFocus.current = true;
    setStop(entries[next].n);
    look();
  }

  const from = Math.max(0, rowAt(tops, view.top) - SPARE_ROWS);
  const to = Math.min(entries.length, rowAt(tops, view.top + view.height) + 1 + SPARE_ROWS);
  const indexes = Array.from({ length: to - from }, (_, i) => from + i);
  if (stopIndex >= 0 && stopIndex < from) indexes.unshift(stopIndex);
  if (stopIndex >= to) indexes.push(stopIndex);
  return html`<div class="seen">
    <div class="seen-box" ref=${box} onScroll=${look} onKeyDown=${onKeyDown}>
      <div role="table" aria-label="What the workspace has seen" aria-rowcount=${entries.length + 1} aria-colcount="5">
        <div role="rowgroup" class="heads"><div role="row" class="line" aria-rowindex="1">
          <span role="columnheader" class="when">Time</span><span role="columnheader" class="app-name">App</span>
          <span role="columnheader" class="what">Name</span><span role="columnheader" class="outcome">Outcome</span>
          <span role="columnheader" class="ms">Took</span></div></div>
        <div role="none" class="entries" style=${{ height: `${total}px` }}>${indexes.map(index => html`<${Row}
          key=${entries[index].n} entry=${entries[index]} index=${index} top=${tops[index]}
          app=${nameOf(entries[index].app)} isOpen=${open.has(entries[index].n)} isStop=${index === stopIndex}
          onToggle=${handlers.current.toggle} onSize=${handlers.current.size} />`)}</div>
      </div>
      ${entries.length === 0 && html`<div class="empty">${empty}</div>`}
    </div>
    ${away && html`<button type="button" class="jump" onClick=${toEnd}>Newer ↓</button>`}
  </div>`;
}
