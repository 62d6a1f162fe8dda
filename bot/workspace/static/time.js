// How moments are written: Slack's timestamps ("1700000000.000100"), in the reader's own time zone.
const pad = n => String(n).padStart(2, '0');

export const dateOf = ts => new Date(Number(ts) * 1000);
export const clock = date => date.toLocaleTimeString([], { hour: 'numeric', minute: '2-digit' });
export const full = date => date.toLocaleString([], { dateStyle: 'full', timeStyle: 'medium' });
export const dayKey = date => `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;

function daysAgo(date) {
  const midnight = d => new Date(d.getFullYear(), d.getMonth(), d.getDate());
  return Math.round((midnight(new Date()) - midnight(date)) / 86400000);
}

/** "Today", "Yesterday", or the weekday with its date. */
export function day(date) {
  const ago = daysAgo(date);
  if (ago === 0) return 'Today';
  if (ago === 1) return 'Yesterday';
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : 'numeric';
  return date.toLocaleDateString([], { weekday: 'long', month: 'long', day: 'numeric', year });
}

/** "today at 9:58", as under a thread's root. */
export const dayAndClock = date => `${day(date).replace(/^[TY]/, c => c.toLowerCase())} at ${clock(date)}`;

export function ago(date) {
  const s = Math.max(0, (Date.now() - date) / 1000);
  if (s < 60) return 'just now';
  const [n, unit] = s < 3600 ? [s / 60, 'minute'] : s < 86400 ? [s / 3600, 'hour'] : [s / 86400, 'day'];
  const whole = Math.floor(n);
  return `${whole} ${unit}${whole === 1 ? '' : 's'} ago`;
}

const TOKENS = {
  date_num: date => dayKey(date),
  date_slash: date => dayKey(date).replaceAll('-', '/'),
  date_long: date => date.toLocaleDateString([], { weekday: 'long', month: 'long', day: 'numeric', year: 'numeric' }),
  date: date => date.toLocaleDateString([], { month: 'long', day: 'numeric', year: 'numeric' }),
  date_short: date => date.toLocaleDateString([], { month: 'short', day: 'numeric', year: 'numeric' }),
  time: clock,
  time_secs: date => date.toLocaleTimeString([], { hour: 'numeric', minute: '2-digit', second: '2-digit' }),
  ago,
};
for (const kind of ['date', 'date_long', 'date_short']) {
  TOKENS[`${kind}_pretty`] = date => (daysAgo(date) in [0, 1] ? day(date).toLowerCase() : TOKENS[kind](date));
}

/** Slack's `<!date^1700000000^{date_short} at {time}|…>` format. */
export const formatDate = (date, format) =>
  format.replace(/\{(\w+)\}/g, (whole, token) => TOKENS[token]?.(date) ?? whole);
