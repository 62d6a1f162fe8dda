// Standard Markdown -> vnodes, for the `markdown` block: the part of CommonMark and GitHub's tables that bots write.
import { html } from './ui.js';
import { CodeBlock } from './code.js';
import { EMOJI } from './emoji.js';
import { Emoji, Link } from './mrkdwn.js';

const INLINE = new RegExp([
  '(`+)(.+?)\\1', // 1 2 code
  '!?\\[([^\\]]*)\\]\\(([^)\\s]+)[^)]*\\)', // 3 4 link; an image is shown as its link
  '(\\*\\*|__)(?=\\S)(.+?)\\5', // 5 6 bold
  '(?<![\\w*])(\\*|_)(?=\\S)(.+?)\\7(?![\\w*])', // 7 8 italic
  '~~(.+?)~~', // 9 strike
  ':([a-z0-9_+-]+):', // 10 emoji
  '(https?://[^\\s<>]*[^\\s<>.,;:!?)\\]])', // 11 bare link
].join('|'), 'g');

function token(m) {
  if (m[2] != null) return html`<code>${m[2].trim()}</code>`;
  if (m[4] != null) return html`<${Link} url=${m[4]}>${m[3] || m[4]}<//>`;
  if (m[6] != null) return html`<b>${inline(m[6])}</b>`;
  if (m[8] != null) return html`<i>${inline(m[8])}</i>`;
  if (m[9] != null) return html`<s>${inline(m[9])}</s>`;
  if (m[10] != null) return EMOJI.has(m[10]) ? html`<${Emoji} name=${m[10]} />` : m[0];
  return html`<${Link} url=${m[11]}>${m[11]}<//>`;
}

function inline(text) {
  const out = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    out.push(text.slice(at, match.index), token(match));
    at = match.index + match[0].length;
  }
  out.push(text.slice(at));
  return out;
}

const cells = line => line.trim().replace(/^\||\|$/g, '').split('|').map(c => c.trim());
const ITEM = /^(\s*)([-*+]|\d+[.)])\s+(?:\[([ xX])\]\s+)?(.*)$/;

/** Takes the lines of a list from the front of `lines`; deeper ones become lists inside. */
function list(lines) {
  const [, indent, bullet] = lines[0].match(ITEM);
  const items = [];
  while (lines.length) {
    const m = lines[0].match(ITEM);
    if (!m || m[1].length < indent.length) break;
    if (m[1].length > indent.length) {
      items.at(-1).push(list(lines));
      continue;
    }
    lines.shift();
    items.push([m[3] == null ? '' : m[3] === ' ' ? '☐ ' : '☑ ', inline(m[4])]);
  }
  const ordered = /\d/.test(bullet);
  return html`<${ordered ? 'ol' : 'ul'} start=${ordered ? parseInt(bullet, 10) : undefined}>${items.map(item =>
    html`<li>${item}</li>`)}<//>`;
}

function table(lines) {
  const head = cells(lines.shift());
  const align = cells(lines.shift()).map(c => (/^:.*:$/.test(c) ? 'center' : /:$/.test(c) ? 'right' : 'left'));
  const rows = [];
  while (lines[0]?.includes('|')) rows.push(cells(lines.shift()));
  const at = (tag, row) => row.map((c, i) => html`<${tag} style=${{ textAlign: align[i] }}>${inline(c)}<//>`);
  return html`<div class="tablewrap" role="group" aria-label="Table" tabindex="0"><table>
    <thead><tr>${at('th', head)}</tr></thead>
    <tbody>${rows.map(row => html`<tr>${at('td', row)}</tr>`)}</tbody></table></div>`;
}

function takeWhile(lines, test) {
  const taken = [];
  while (lines.length && test(lines[0])) taken.push(lines.shift());
  return taken;
}

function fence(lines) {
  const [, mark] = lines.shift().match(/^\s*(```+|~~~+)/);
  const taken = takeWhile(lines, line => !line.trim().startsWith(mark));
  lines.shift();
  return html`<${CodeBlock} text=${taken.join('\n')} />`;
}

function paragraph(lines) {
  const taken = [lines.shift(), ...takeWhile(lines, line => line.trim() && !STARTS.some(([test]) => test(line, '')))];
  return html`<p>${taken.map((line, i) => [i ? html`<br />` : '', inline(line.trim())])}</p>`;
}

// [does a block of this kind start at this line (and the next)?, take it]
const STARTS = [
  [line => /^\s*(```|~~~)/.test(line), fence],
  [line => /^#{1,6}\s/.test(line), lines => {
    const [, marks, text] = lines.shift().match(/^(#+)\s+(.*?)\s*#*$/);
    return html`<p class=${`heading level${marks.length}`}>${inline(text)}</p>`;
  }],
  [line => /^\s*([-*_])(\s*\1){2,}\s*$/.test(line), lines => (lines.shift(), html`<hr />`)],
  [line => /^\s*>/.test(line), lines => {
    const quoted = takeWhile(lines, line => /^\s*>/.test(line)).map(line => line.replace(/^\s*>\s?/, ''));
    return html`<blockquote>${blocks(quoted)}</blockquote>`;
  }],
  [line => ITEM.test(line), list],
  [(line, next) => line.includes('|') && /^\s*\|?\s*:?-+/.test(next ?? '') && next.includes('|'), table],
];

function blocks(lines) {
  const out = [];
  while (lines.length) {
    if (!lines[0].trim()) lines.shift();
    else out.push((STARTS.find(([test]) => test(lines[0], lines[1]))?.[1] ?? paragraph)(lines));
  }
  return out;
}

export const Markdown = ({ text }) => html`<div class="rich markdown">${blocks(text.split('\n'))}</div>`;
