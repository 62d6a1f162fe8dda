// One message: who, when, what, and what can be done with it. Contract for browser tests: data-ts, data-ephemeral.
import { html, memo, useMemo, useState } from './ui.js';
import { Blocks } from './blocks.js';
import { Text } from './elements.js';
import { acts, useStore } from './context.js';
import { SharedFile } from './files.js';
import { useForm } from './form.js';
import { Icon } from './icons.js';
import { PictureAt } from './media.js';
import { Menu } from './menu.js';
import { ROLES, authorOf, permalink } from './messages.js';
import { mrkdwn, Link, unescaped } from './mrkdwn.js';
import { Picker, Reactions } from './reactions.js';
import { shortcutItems, shortcutsOf } from './shortcuts.js';
import { clock, dateOf, dayAndClock, full } from './time.js';

export function Avatar({ author, small }) {
  const names = ['avatar', small && 'small', author.isBot && 'bot'].filter(Boolean).join(' ');
  const initial = author.name.match(/[\p{L}\p{N}]/u)?.[0].toUpperCase() ?? '?';
  return html`<div class=${names} aria-hidden="true" style=${{ background: author.color }}>${initial}</div>`;
}

function Stamp({ channel, message, compact }) {
  const date = dateOf(message.ts);
  const text = compact ? clock(date).replace(/\s?[AP]M$/i, '') : clock(date);
  return html`<a class="stamp" href=${permalink(channel, message)} title=${full(date)}>
    <time datetime=${date.toISOString()}>${text}</time></a>`;
}

const COLORS = { good: '#2eb67d', warning: '#daa038', danger: '#d0342c' };

function Attachment({ attachment: a, ctx }) {
  const color = COLORS[a.color] ?? (a.color ? `#${a.color.replace(/^#/, '')}` : undefined);
  const fields = a.fields?.map(f => html`<div><b>${unescaped(f.title ?? '')}</b><br />
    ${mrkdwn(f.value ?? '', ctx.directory)}</div>`);
  return html`<div class="attachment" style=${{ borderColor: color }}>
    ${a.pretext && html`<div>${mrkdwn(a.pretext, ctx.directory)}</div>`}
    ${a.title && html`<div class="card-title">${a.title_link
      ? html`<${Link} url=${a.title_link}>${unescaped(a.title)}<//>` : unescaped(a.title)}</div>`}
    ${a.text && html`<div>${mrkdwn(a.text, ctx.directory)}</div>`}
    ${fields && html`<div class="fields">${fields}</div>`}
    ${a.blocks && html`<${Blocks} blocks=${a.blocks} ctx=${ctx} />`}
    ${a.image_url && html`<${PictureAt} url=${a.image_url} alt=${a.fallback ?? ''} />`}
    ${a.footer && html`<div class="context">${unescaped(a.footer)}</div>`}
  </div>`;
}

function Replies({ message, directory, onOpen }) {
  const faces = (message.reply_users ?? []).slice(0, 4);
  const n = message.reply_count;
  return html`<button type="button" class="replies" onClick=${onOpen}>
    ${faces.map(id => html`<${Avatar} small author=${authorOf({ user: id }, directory)} />`)}
    <span class="count">${n} ${n === 1 ? 'reply' : 'replies'}</span>
    ${message.latest_reply && html`<span class="last">Last reply ${dayAndClock(dateOf(message.latest_reply))}</span>`}
  </button>`;
}

function Body({ message, ctx }) {
  const { blocks, attachments, files, reactions, text, edited } = message;
  const bare = !blocks?.length;
  const alone = bare && !attachments?.length && !files?.length;
  return html`
    ${bare && (text || alone) && html`<div class="text-body">${mrkdwn(text ?? '', ctx.directory)}
      ${edited && html`<span class="edited"> (edited)</span>`}</div>`}
    ${!bare && html`<${Blocks} blocks=${blocks} ctx=${ctx} />`}
    ${attachments?.map(a => html`<${Attachment} attachment=${a} ctx=${ctx} />`)}
    ${files?.map(file => html`<${SharedFile} key=${file.id} file=${file} />`)}
    ${reactions?.length > 0 && html`<${Reactions} reactions=${reactions} directory=${ctx.directory}
      onReact=${ctx.react} />`}`;
}

function Toolbar({ message, channel, apps, inThread, store, onReact }) {
  const copyLink = async () => {
    await navigator.clipboard.writeText(location.origin + permalink(channel, message));
    store.toast('Link copied.', 'info');
  };
  const place = { channel, message_ts: message.ts };
  const more = [
    { key: 'copy-link', label: 'Copy link to message', onPick: copyLink },
    ...shortcutItems(shortcutsOf(apps, 'message'), store, place),
  ];
  return html`<div class="toolbar">
    <${Picker} onPick=${name => onReact(name, true)} />
    ${!inThread && html`<button type="button" aria-label="Reply in thread" title="Reply in thread"
      onClick=${() => store.openThread(message.thread_ts ?? message.ts)}><${Icon} name="thread" /></button>`}
    <${Menu} label="More message actions" title="More actions" items=${more}><${Icon} name="dots" /><//>
  </div>`;
}

const { member: _, ...MARKED } = ROLES; // most people are members: only the others are marked
const NO_BLOCKS = [];
const allBlocks = message =>
  [...(message.blocks ?? NO_BLOCKS), ...(message.attachments ?? NO_BLOCKS).flatMap(a => a.blocks ?? NO_BLOCKS)];

export const Message = memo(({ message, channel, directory, compact, inThread, isTarget }) => {
  const store = useStore();
  const author = authorOf(message, directory);
  const form = useForm(useMemo(() => allBlocks(message), [message]));
  const react = (name, on) => store.react({ channel, message_ts: message.ts }, name, on);
  const ctx = {
    react,
    prefix: `${inThread ? 't' : 'm'}${message.ts}`,
    heading: 'h2',
    directory,
    ...acts(store, { channel, message_ts: message.ts }, form),
  };
  // Few messages are ever pointed at: the toolbar is made for those that are.
  const [isNear, setNear] = useState(false);
  const near = () => setNear(true);
  const names = ['msg', compact && 'compact', message.is_ephemeral && 'ephemeral', isTarget && 'target'];
  return html`<article class=${names.filter(Boolean).join(' ')} data-ts=${message.ts}
      onMouseEnter=${near} onFocusIn=${near}
      data-ephemeral=${message.is_ephemeral ? 'true' : undefined}
      aria-label=${`${author.name}, ${clock(dateOf(message.ts))}`}>
    <div class="gutter">${compact ? html`<${Stamp} channel=${channel} message=${message} compact />`
      : html`<${Avatar} author=${author} />`}</div>
    <div class="content">
      ${!compact && html`<div class="head"><b class="author">${author.name}</b>
        ${author.isBot && html`<span class="app">APP</span>`}${author.role in MARKED && html`
          <span class="role">${MARKED[author.role]}</span>`}<${Stamp} channel=${channel} message=${message} /></div>`}
      ${message.subtype === 'thread_broadcast' && !inThread && html`<div class="note">replied to a thread</div>`}
      <${Body} message=${message} ctx=${ctx} />
      ${message.is_ephemeral && html`<div class="only"><span aria-hidden="true">👁</span> Only visible to you
        <span aria-hidden="true"> • </span><button type="button" class="linkish"
        onClick=${() => store.dismiss(message.ts)}>Dismiss message</button></div>`}
      ${message.reply_count > 0 && !inThread && html`<${Replies} message=${message} directory=${directory}
        onOpen=${() => store.openThread(message.ts)} />`}
    </div>
    ${isNear && !message.is_ephemeral && html`<${Toolbar} message=${message} channel=${channel} apps=${directory.apps}
      inThread=${inThread} store=${store} onReact=${react} />`}
  </article>`;
});
