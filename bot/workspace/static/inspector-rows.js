// The inspector's entries as values: how answers are put together, what is shown of them, in which words (pure).
export const KEPT = 2000;

export const KINDS = {
  call: { title: 'Web API calls', one: 'Web API call', sign: '→' },
  envelope: { title: 'Envelopes over a socket', one: 'Envelope over a socket', sign: '←' },
  http: { title: 'Deliveries over HTTP', one: 'Delivery over HTTP', sign: '←' },
  webhook: { title: 'Incoming webhooks', one: 'Incoming webhook', sign: '→' },
  response_url: { title: 'Uses of a response_url', one: 'Use of a response_url', sign: '→' },
  upload: { title: 'Uploads', one: 'Upload', sign: '→' },
  socket: { title: 'Sockets', one: 'Socket', sign: '⇄' },
};

const isWaiting = entry => entry.ms === null;

/** The `since` to ask with next: what still waited for its end is read again. */
export function sinceOf(entries) {
  const waiting = entries.find(isWaiting);
  return waiting ? waiting.n - 1 : entries.at(-1)?.n ?? 0;
}

/**
 * What was known and what has just been read, by number. `isWhole` says that everything was asked for: then a server
 * that counts from 1 again shows, and what was known is forgotten.
 */
export function merged(known, read, isWhole) {
  const byN = new Map(known.map(entry => [entry.n, entry]));
  const isAnother = entry => byN.has(entry.n) && byN.get(entry.n).at !== entry.at;
  if (isWhole && (read.some(isAnother) || (read.at(-1)?.n ?? 0) < (known.at(-1)?.n ?? 0))) byN.clear();
  for (const entry of read) byN.set(entry.n, entry);
  return [...byN.values()].sort((a, b) => a.n - b.n).slice(-KEPT);
}

/** {words, level}: level is "good", "bad", "slow" (Slack asks to wait) or "pending". */
export function outcomeOf(entry) {
  if (isWaiting(entry)) return { words: 'waiting', level: 'pending' };
  if (entry.error === 'ratelimited' || entry.status === 429) return { words: 'ratelimited', level: 'slow' };
  if (!entry.ok) return { words: entry.error || `status ${entry.status}`, level: 'bad' };
  return { words: entry.kind === 'http' && entry.status ? `ok, ${entry.status}` : 'ok', level: 'good' };
}

const texts = new WeakMap();
function textOf(entry) {
  if (!texts.has(entry)) {
    const { name, error, complaints, request, answer } = entry;
    texts.set(entry, JSON.stringify([name, error, complaints, request, answer]).toLowerCase());
  }
  return texts.get(entry);
}

/** The entries that a filter {kind, app, text, onlyFailures} lets through; "" lets everything through. */
export function chosen(entries, { kind, app, text, onlyFailures }) {
  const wanted = text.trim().toLowerCase();
  return entries.filter(entry => (!kind || entry.kind === kind) && (!app || entry.app === app) &&
    (!onlyFailures || !['good', 'pending'].includes(outcomeOf(entry).level)) &&
    (!wanted || textOf(entry).includes(wanted)));
}

const pad = (n, digits = 2) => String(n).padStart(digits, '0');
/** "09:58:03.042" in the reader's own time zone. */
export function clockOf(at) {
  const date = new Date(at * 1000);
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map(n => pad(n));
  return `${hours}:${minutes}:${seconds}.${pad(date.getMilliseconds(), 3)}`;
}

export function duration(ms) {
  if (ms === null) return '…';
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  return ms < 10000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** "5 h 30 min": the two largest units of a number of seconds. */
export function span(seconds) {
  const units = [[3600, 'h'], [60, 'min'], [1, 's']];
  let left = Math.round(seconds);
  const parts = units.map(([size, unit]) => {
    const n = Math.floor(left / size);
    left -= n * size;
    return n ? `${n} ${unit}` : '';
  });
  return parts.filter(Boolean).slice(0, 2).join(' ') || '0 s';
}

export const counted = (n, one, many = `${one}s`) => `${n.toLocaleString()} ${n === 1 ? one : many}`;

/** Complaints as {words, pointer}: Slack writes "words [json-pointer:/blocks/0]"; pointer is null without it. */
export function complaintsOf(entry) {
  return entry.complaints.map(text => {
    const found = text.match(/^(?:\[ERROR\] )?(.*?) \[json-pointer:([^\]]*)\]$/s);
    return found ? { words: found[1], pointer: found[2] } : { words: text, pointer: null };
  });
}

const steps = pointer =>
  pointer.split('/').slice(1).map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'));
export const under = (pointer, key) => `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** The pointer itself where it leads to something, else its nearest ancestor that exists ("" is the whole). */
export function nearest(value, pointer) {
  let here = value;
  let path = '';
  for (const step of steps(pointer)) {
    if (here === null || typeof here !== 'object' || !Object.hasOwn(here, step)) return path;
    here = here[step];
    path = under(path, step);
  }
  return path;
}

/** Map of pointer -> sentences, for the places of `value` that the complaints are about. */
export function marksOf(value, complaints) {
  const marks = new Map();
  for (const { words, pointer } of complaints.filter(c => c.pointer !== null)) {
    const place = nearest(value, pointer);
    const told = place === pointer ? words : `${words} (${pointer.slice(place.length)})`;
    marks.set(place, [...(marks.get(place) ?? []), told]);
  }
  return marks;
}

/** An object whose texts that are JSON themselves (as in form-encoded calls) are read. */
export function unpacked(value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, readJson(item)]));
}
function readJson(item) {
  if (typeof item !== 'string' || !/^\s*[[{]/.test(item)) return item;
  try {
    return JSON.parse(item);
  } catch {
    return item;
  }
}
