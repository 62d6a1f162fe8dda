// Slack mrkdwn -> vnodes. The text arrives escaped (&amp; &lt; &gt;); every "<...>" left is a link, mention or date.
import { html } from './ui.js';
import { EMOJI } from './emoji.js';
import { dateOf, formatDate, full } from './time.js';
import { CodeBlock } from './code.js';

export const unescaped = s => s.replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&');
const safe = url => /^(https?:|mailto:|tel:)/i.test(url);
const MARK = { '*': 'b', _: 'i', '~': 's' };

// Marks open at a word's start and close at a word's end: a*b*c stays as it is.
const INLINE = new RegExp([
  '`([^`\\n]+)`', // 1 code
  '<([^>\\n]+)>', // 2 link, mention, date
  ':([a-z0-9_+\\-]+):(?::skin-tone-\\d:)?', // 3 emoji
  '(?<![\\w*_~])([*_~])(?=\\S)((?:(?!\\4)[^\\n])*?\\S)\\4(?![\\w*_~])', // 4 mark, 5 inside
  '(https?://[^\\s<>|`]*[^\\s<>|`.,;:!?)\\]\'"*_~])', // 6 bare link
].join('|'), 'g');

/** A link that may leave the workspace; anything but web, mail and phone stays text. */
export function Link({ url, children }) {
  if (!safe(url)) return html`<span>${children}</span>`;
  const path = permalinkPath(url);
  if (path) return html`<a href=${path}>${children}</a>`;
  return html`<a href=${url} target="_blank" rel="noopener noreferrer">${children}</a>`;
}

/** Permalinks of this workspace open inside the page, whatever name of this machine they were written with. */
function permalinkPath(url) {
  const at = URL.canParse(url) ? new URL(url) : null;
  const local = at && ['127.0.0.1', 'localhost', '[::1]', location.hostname].includes(at.hostname);
  return local && at.port === location.port && at.pathname.startsWith('/archives/') ? at.pathname + at.search : null;
}

export const Emoji = ({ name }) =>
  html`<span class="emoji" role="img" aria-label=${name.replaceAll('_', ' ')}
    title=${`:${name}:`}>${EMOJI.get(name)}</span>`;

const nameOf = person => person?.real_name || person?.name;

export function Mention({ id, label, directory }) {
  const mine = id === directory.me;
  return html`<span class=${`mention${mine ? ' me' : ''}`}>@${label || nameOf(directory.person(id)) || id}</span>`;
}

export const Group = ({ id, label, directory }) =>
  html`<span class="mention">${label || `@${directory.group(id)?.handle ?? id}`}</span>`;

export const Channel = ({ id, label, directory }) =>
  html`<a class="mention" href=${`/#${id}`}>#${label || directory.channel(id)?.name || id}</a>`;

/** A moment in the reader's own words; what stands for no moment is its fallback. */
export function DateTime({ seconds, format, url, fallback }) {
  const moment = dateOf(seconds);
  if (Number.isNaN(moment.getTime())) return fallback;
  const time = html`<time datetime=${moment.toISOString()}
    title=${full(moment)}>${formatDate(moment, format ?? '')}</time>`;
  return url ? html`<${Link} url=${url}>${time}<//>` : time;
}

function date(body, fallback) {
  const [, seconds, format, link] = body.split('^');
  return html`<${DateTime} seconds=${seconds} format=${format} url=${link && unescaped(link)} fallback=${fallback} />`;
}

function angle(body, directory) {
  const bar = body.indexOf('|');
  const target = bar < 0 ? body : body.slice(0, bar);
  const label = bar < 0 ? undefined : unescaped(body.slice(bar + 1));
  if (target[0] === '@') return html`<${Mention} id=${target.slice(1)} label=${label} directory=${directory} />`;
  if (target[0] === '#') return html`<${Channel} id=${target.slice(1)} label=${label} directory=${directory} />`;
  if (target.startsWith('!date^')) return date(target, label);
  if (target.startsWith('!subteam^')) return html`<${Group} id=${target.slice(9)} label=${label} directory=${directory} />`;
  if (target[0] === '!') return html`<span class="mention me">${label ?? `@${target.slice(1)}`}</span>`;
  const url = unescaped(target);
  return safe(url) ? html`<${Link} url=${url}>${label ?? url.replace(/^mailto:/, '')}<//>` : unescaped(`<${body}>`);
}

function token(match, directory) {
  const [whole, code, body, emoji, mark, inside, url] = match;
  if (code != null) return html`<code>${unescaped(code)}</code>`;
  if (body != null) return angle(body, directory);
  if (emoji != null) return EMOJI.has(emoji) ? html`<${Emoji} name=${emoji} />` : whole;
  if (mark != null) return html`<${MARK[mark]}>${inline(inside, directory)}<//>`;
  return html`<${Link} url=${unescaped(url)}>${unescaped(url)}<//>`;
}

function inline(text, directory) {
  const out = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    out.push(unescaped(text.slice(at, match.index)), token(match, directory));
    at = match.index + match[0].length;
  }
  out.push(unescaped(text.slice(at)));
  return out.filter(part => part !== '');
}

/** plain_text knows emoji and nothing else. */
export const plain = text =>
  text.split(/:([a-z0-9_+-]+):/).map((part, i) =>
    i % 2 === 0 ? part : EMOJI.has(part) ? html`<${Emoji} name=${part} />` : `:${part}:`);

const QUOTE = /^(?:&gt;|>)\s?/;

function lines(part, directory) {
  const out = [];
  let quote = [];
  part = part.replace(/^&gt;&gt;&gt;\s?([\s\S]*)/m, (_, rest) => rest.replace(/^/gm, '&gt; '));
  const flush = () => {
    if (quote.length) out.push(html`<blockquote>${quote}</blockquote>`);
    quote = [];
  };
  part.split('\n').forEach((line, i, all) => {
    if (QUOTE.test(line)) {
      if (quote.length) quote.push(html`<br />`);
      quote.push(inline(line.replace(QUOTE, ''), directory));
      return;
    }
    const afterQuote = quote.length > 0;
    flush();
    if (afterQuote && line === '' && i === all.length - 1) return;
    out.push(inline(line, directory));
    if (i < all.length - 1 && !QUOTE.test(all[i + 1])) out.push(html`<br />`);
  });
  flush();
  return out;
}

/** The whole language: code blocks first, then quotes line by line, then marks inside a line. */
export function mrkdwn(text, directory) {
  const parts = text.split('```');
  if (parts.length % 2 === 0) parts.splice(-2, 2, parts.slice(-2).join('```')); // an unclosed fence is only text
  return parts.map((part, i) => {
    if (i % 2) return html`<${CodeBlock} text=${unescaped(part.replace(/^\n/, '').replace(/\n$/, ''))} />`;
    return lines(i ? part.replace(/^\n/, '') : part, directory);
  });
}
