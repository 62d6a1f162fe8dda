// Lists of messages, as values: what an event does to them, who wrote what, and how they are grouped.
import { dateOf, dayKey } from './time.js';

const GROUP_S = 300;

/** Whether a message stands in the channel itself (a thread's replies do not, unless they are broadcast). */
export const isRoot = m => !m.thread_ts || m.thread_ts === m.ts || m.subtype === 'thread_broadcast';
export const inThread = (m, ts) => m.ts === ts || m.thread_ts === ts;

function insert(list, message) {
  let at = list.length;
  while (at > 0 && list[at - 1].ts > message.ts) at -= 1;
  return list.toSpliced(at, 0, message);
}

/** The list after one event; events of other lists, and repeated ones, change nothing. */
export function applyEvent(list, name, data, belongs) {
  if (name === 'message_deleted') return list.filter(m => m.ts !== data.ts);
  const { message } = data;
  const at = list.findIndex(m => m.ts === message.ts);
  if (at >= 0) return list.with(at, message);
  return name !== 'message_changed' && belongs(message) ? insert(list, message) : list;
}

/** A list read from the server, with the events that came while it was on its way. */
export const replay = (list, events, belongs) =>
  events.reduce((now, [name, data]) => applyEvent(now, name, data, belongs), list);

export const ROLES = { owner: 'Owner', member: 'Member', guest: 'Guest' };

export function authorOf(message, directory) {
  const known = directory.person(message.user);
  const isBot = Boolean(message.bot_id || known?.is_bot);
  const name = message.username || known?.real_name || known?.name || message.user || message.bot_id || 'unknown';
  const color = known?.color ? `#${known.color.replace(/^#/, '')}` : '#5b5f66';
  return { key: `${message.user ?? message.bot_id}/${name}`, name, isBot, color, role: known?.role };
}

function continues(before, message, directory) {
  return before && !before.is_ephemeral && !message.is_ephemeral &&
    authorOf(before, directory).key === authorOf(message, directory).key &&
    message.ts - before.ts < GROUP_S && isRoot(before) === isRoot(message);
}

/** [{message, compact, day}]: `day` is set on the first message of each day, `compact` on one of the same hand. */
export function grouped(list, directory) {
  return list.map((message, i) => {
    const before = list[i - 1];
    const date = dateOf(message.ts);
    const newDay = !before || dayKey(dateOf(before.ts)) !== dayKey(date);
    return { message, day: newDay ? date : null, compact: !newDay && Boolean(continues(before, message, directory)) };
  });
}

export const permalink = (channel, message) => {
  const path = `/archives/${channel}/p${message.ts.replace('.', '')}`;
  const reply = message.thread_ts && message.thread_ts !== message.ts;
  return reply ? `${path}?thread_ts=${message.thread_ts}&cid=${channel}` : path;
};
