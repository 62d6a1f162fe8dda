// JSON as a tree that folds, with a copy button, and with what the validator said at its place.
import { html, useState } from './ui.js';
import { counted, under } from './inspector-rows.js';

const OPEN_DEPTH = 2;
const SHOWN = 100; // members of one list or object before "more"
const LONG = 400; // characters of a text before "more"

export function Copy({ text, label = 'Copy' }) {
  const [copied, setCopied] = useState(false);
  async function copy() {
    await navigator.clipboard.writeText(text());
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  }
  return html`<button type="button" class="btn small" onClick=${copy}>${copied ? 'Copied' : label}</button>`;
}

const Marks = ({ words }) => words && html`<span class="mark-words">${words.join(' · ')}</span>`;

function Scalar({ value }) {
  const [whole, setWhole] = useState(false);
  const type = value === null ? 'null' : typeof value;
  if (type !== 'string') return html`<span class=${`v-${type}`}>${String(value)}</span>`;
  const cut = !whole && value.length > LONG;
  return html`<span class="v-string">${JSON.stringify(cut ? value.slice(0, LONG) : value)}</span>${cut && html`
    <button type="button" class="more" onClick=${() => setWhole(true)}>
      … ${counted(value.length - LONG, 'more character')}</button>`}`;
}

/** Whether something below this place is marked. */
const leadsTo = (marks, path) => [...marks.keys()].some(key => key.startsWith(`${path}/`));
const isTouched = (marks, path) => marks.has(path) || leadsTo(marks, path);

function Branch({ name, value, path, depth, marks }) {
  const [open, setOpen] = useState(depth < OPEN_DEPTH || isTouched(marks, path));
  const [all, setAll] = useState(false);
  const entries = Object.entries(value);
  const shown = all ? entries : entries.filter(([key], i) => i < SHOWN || isTouched(marks, under(path, key)));
  const isList = Array.isArray(value);
  const size = isList ? `[ ${counted(entries.length, 'item')} ]` : `{ ${counted(entries.length, 'key')} }`;
  const hint = !isList && typeof value.type === 'string' ? html` <span class="v-type">${value.type}</span>` : '';
  const onToggle = ({ target, currentTarget }) => target === currentTarget && setOpen(target.open);
  return html`<details open=${open} onToggle=${onToggle}>
    <summary>${name}<span class="size">${size}${hint}</span><${Marks} words=${marks.get(path)} /></summary>
    ${open && html`<ul>${shown.map(([key, item]) => html`<${Node} key=${key} label=${key} isIndex=${isList}
      value=${item} path=${under(path, key)} depth=${depth + 1} marks=${marks} />`)}
      ${shown.length < entries.length && html`<li><button type="button" class="more" onClick=${() => setAll(true)}>
        … ${entries.length - shown.length} more</button></li>`}</ul>`}
  </details>`;
}

function Node({ label, isIndex, value, path, depth, marks }) {
  const name = html`<span class=${isIndex ? 'index' : 'key'}>${label}</span><span class="colon">: </span>`;
  const isBranch = value !== null && typeof value === 'object' && Object.keys(value).length > 0;
  return html`<li class=${marks.has(path) ? 'marked' : undefined} data-pointer=${path}>${isBranch
    ? html`<${Branch} name=${name} value=${value} path=${path} depth=${depth} marks=${marks} />`
    : html`<span class="leaf">${name}${value !== null && typeof value === 'object'
      ? html`<span class="size">${Array.isArray(value) ? '[ ]' : '{ }'}</span>` : html`<${Scalar} value=${value} />`}
      <${Marks} words=${marks.get(path)} /></span>`}</li>`;
}

const NONE = new Map();
/** `marks`: Map of JSON pointer -> sentences. */
export function Json({ title, value, marks = NONE }) {
  const isTree = value !== null && typeof value === 'object' && Object.keys(value).length > 0;
  const own = marks.get('');
  return html`<section class="json" aria-label=${title}>
    <header><h2>${title}</h2><${Copy} label="Copy" text=${() => JSON.stringify(value, null, 2)} /></header>
    ${own && html`<p class="mark-words">${own.join(' · ')}</p>`}
    ${isTree ? html`<ul class="tree">${Object.entries(value).map(([key, item]) => html`<${Node} key=${key} label=${key}
      isIndex=${Array.isArray(value)} value=${item} path=${under('', key)} depth=${1} marks=${marks} />`)}</ul>`
      : html`<p class="nothing">${value === null ? 'nothing' : html`<${Scalar} value=${value} />`}</p>`}
  </section>`;
}
