// rich_text blocks -> vnodes; also the cells of tables.
import { html } from './ui.js';
import { CodeBlock } from './code.js';
import { EMOJI } from './emoji.js';
import { Channel, DateTime, Emoji, Group, Link, Mention } from './mrkdwn.js';

/** "1f468-200d-1f4bb" as what it is; undefined for what is no list of code points. */
function fromUnicode(hex) {
  const points = (hex ?? '').split('-').map(x => (/^[0-9a-f]{2,6}$/i.test(x) ? parseInt(x, 16) : Infinity));
  return points.every(point => point <= 0x10ffff) ? String.fromCodePoint(...points) : undefined;
}

const LEAVES = {
  text: e => e.text,
  link: e => html`<${Link} url=${e.url}>${e.text ?? e.url}<//>`,
  emoji(e) {
    if (EMOJI.has(e.name)) return html`<${Emoji} name=${e.name} />`;
    return fromUnicode(e.unicode) ?? `:${e.name}:`;
  },
  user: (e, directory) => html`<${Mention} id=${e.user_id} directory=${directory} />`,
  channel: (e, directory) => html`<${Channel} id=${e.channel_id} directory=${directory} />`,
  usergroup: (e, directory) => html`<${Group} id=${e.usergroup_id} directory=${directory} />`,
  broadcast: e => html`<span class="mention me">@${e.range}</span>`,
  date: e => html`<${DateTime} seconds=${e.timestamp} format=${e.format} url=${e.url} fallback=${e.fallback ?? e.format} />`,
  color: e => html`<code>${e.value}</code>`,
};

function leaf(e, directory) {
  let node = LEAVES[e.type]?.(e, directory) ?? e.text ?? html`<em class="unknown">${e.type}</em>`;
  for (const [style, tag] of [['code', 'code'], ['bold', 'b'], ['italic', 'i'], ['strike', 's'], ['underline', 'u']]) {
    if (e.style?.[style]) node = html`<${tag}>${node}<//>`;
  }
  return node;
}
const leaves = (elements, directory) => (elements ?? []).map(e => leaf(e, directory));

const PARTS = {
  rich_text_section: (e, directory) => html`<p>${leaves(e.elements, directory)}</p>`,
  rich_text_quote: (e, directory) => html`<blockquote>${leaves(e.elements, directory)}</blockquote>`,
  rich_text_preformatted: e => html`<${CodeBlock} text=${e.elements.map(x => x.text ?? x.url ?? '').join('')} />`,
  rich_text_list: (e, directory) => html`<${e.style === 'ordered' ? 'ol' : 'ul'}
    start=${e.offset ? e.offset + 1 : undefined} class=${`indent${e.indent ?? 0}`}>
    ${e.elements.map(x => html`<li>${leaves(x.elements, directory)}</li>`)}<//>`,
};

export const RichText = ({ block, directory }) => html`<div class="rich">${block.elements.map(e =>
  PARTS[e.type]?.(e, directory) ?? html`<em class="unknown">Unknown element “${e.type}”</em>`)}</div>`;

/** One cell of a table block: raw_text, raw_number or rich_text. */
export function cell(value, directory) {
  if (value.type === 'rich_text') return value.elements.map(e => leaves(e.elements, directory));
  return value.text ?? String(value.value ?? '');
}
