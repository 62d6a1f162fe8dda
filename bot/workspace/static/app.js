// The page: sidebar, channel, thread, dialogs and toasts, drawn from the store's state.
import { html, render, useEffect, useLayoutEffect, useRef, useState } from './ui.js';
import { Composer } from './composer.js';
import { Store, useStore, useStoreState } from './context.js';
import { AppHome, AppTabs } from './home.js';
import { Inspector } from './inspector.js';
import { MessageList } from './list.js';
import { Locked } from './locked.js';
import { Confirm, Modal } from './modal.js';
import { followLinks } from './route.js';
import { ChannelSign, Sidebar } from './sidebar.js';
import { createStore } from './store.js';

const NOTHING = [];
const SLACKBOT = 'USLACKBOT'; // always there, never "with" anybody

/** What an empty channel says: what the apps here can do. */
function Beginning({ channel, commands, empty }) {
  return html`<div class="beginning">
    <h2>${!channel.is_im && html`<${ChannelSign} channel=${channel} /> `}${channel.name}</h2>
    <p>This is the very beginning of ${channel.is_im ? 'this conversation' : html`<b>#${channel.name}</b>`}.</p>
    ${empty && !channel.is_archived && commands.length > 0 && html`
      <p>Type <kbd>/</kbd> to see what the apps here can do:</p>
      <ul class="offers">${commands.map(c => html`<li key=${c.command}>
        <code>${c.command}</code><span>${c.description}</span></li>`)}</ul>`}
  </div>`;
}

const Banner = ({ online }) => !online &&
  html`<div class="offline" role="status">Connection lost. Reconnecting…</div>`;

/** The composer, or why there is none. */
const Writing = ({ channel, ...rest }) => (channel.is_archived
  ? html`<p class="read-only"><b>#${channel.name}</b> is archived: it can be read, but nobody can write in it.</p>`
  : html`<${Composer} channel=${channel.id} ...${rest} />`);

/** A guest whom nobody has invited yet. */
const NoChannel = ({ onMenu, banner }) => html`<main class="channel">
  <header class="topbar"><button type="button" class="icon hamburger" aria-label="Channels" aria-controls="sidebar"
    onClick=${onMenu}>☰</button><h1>No channel</h1></header>
  ${banner}
  <div class="beginning"><h2>You are in no channel yet</h2><p>A guest sees only the channels they are invited to.</p></div>
</main>`;

function ChannelView({ state, onMenu, banner }) {
  const store = useStore();
  const channel = state.directory.channel(state.channel);
  const list = state.lists[state.channel];
  const label = channel.is_im ? channel.name : `#${channel.name}`;
  return html`<main class="channel">
    <header class="topbar">
      <button type="button" class="icon hamburger" aria-label="Channels" aria-controls="sidebar"
        onClick=${onMenu}>☰</button>
      <h1>${channel.is_im ? '' : html`<${ChannelSign} channel=${channel} /> `}${channel.name}</h1>
      <span class="about">${channel.is_archived && html`<span class="tag">Archived</span>`}
        ${state.people.filter(p => p.is_bot && p.id !== SLACKBOT && channel.bot_is_member).map(p =>
        html`<span class="with">with <b>${p.real_name || p.name}</b></span>`)}</span>
    </header>
    <${AppTabs} app=${state.apps.find(app => app.id === channel.app_id)} channels=${state.channels} current="messages" />
    ${banner}
    <${MessageList} label=${`Messages in ${label}`} channel=${state.channel} messages=${list?.messages ?? NOTHING}
      directory=${state.directory} target=${state.thread ? null : state.target} newSince=${state.newSince}
      hasMore=${list ? list.hasMore : true} onOlder=${store.loadOlder}>
      <${Beginning} channel=${channel} commands=${state.commands} empty=${!list?.messages.length} />
    <//>
    <${Writing} key=${state.channel} label=${`Message ${label}`} commands=${state.commands} user=${state.me.id}
      channel=${channel} thread=${null} />
  </main>`;
}

function Thread({ state }) {
  const store = useStore();
  // Before the composer inside takes the focus (that is an effect, this a layout effect).
  useLayoutEffect(() => {
    const opener = document.activeElement;
    return () => (opener?.isConnected ? opener : document.getElementById('composer'))?.focus();
  }, [state.thread]);
  const messages = state.replies ?? NOTHING;
  const count = messages.length - 1;
  const channel = state.directory.channel(state.channel);
  const after = count > 0 && html`<div class="divider count" key="count">
    <span>${count} ${count === 1 ? 'reply' : 'replies'}</span></div>`;
  const onKeyDown = event => event.key === 'Escape' && store.closeThread();
  return html`<aside class="thread" aria-label="Thread" onKeyDown=${onKeyDown}>
    <header class="topbar"><h2>Thread</h2><span class="about">#${channel.name}</span>
      <button type="button" class="icon" aria-label="Close thread" onClick=${store.closeThread}>✕</button></header>
    <${MessageList} label="Messages in thread" channel=${state.channel} messages=${messages}
      directory=${state.directory} target=${state.target} inThread=${state.thread} hasMore=${false} after=${after} />
    <${Writing} key=${state.thread} label="Reply…" commands=${state.commands} user=${state.me.id}
      channel=${channel} thread=${state.thread} />
  </aside>`;
}

/** In the top layer, and the last to get there, so that a form does not hide them. */
function Toasts({ toasts }) {
  const store = useStore();
  const ref = useRef();
  useLayoutEffect(() => {
    if (ref.current.matches(':popover-open')) ref.current.hidePopover();
    ref.current.showPopover();
  }, [toasts]);
  return html`<div class="toasts" role="status" popover="manual" ref=${ref}>${toasts.map(t => html`<div key=${t.id} class=${`toast ${t.level}`}>
    <span>${t.text}</span>
    <button type="button" class="icon" aria-label="Dismiss" onClick=${() => store.dropToast(t.id)}>✕</button>
  </div>`)}</div>`;
}

const Waiting = ({ phase }) => html`<main class="waiting"><h1>${phase === 'failed'
  ? 'The workspace does not answer' : 'Opening the workspace…'}</h1>
  <p>${phase === 'failed' ? 'Is it still running? This page tries again by itself.'
    : html`<span class="spinner"></span>`}</p></main>`;

/** Whether there is something to draw; at the start no channel is chosen yet. */
const isThere = ({ phase, view, channel, channels }) =>
  phase === 'ready' && (view !== 'channel' || Boolean(channel) || channels.length === 0);

/** What the middle shows, in a word or two: the page's title. */
function titleOf({ view, app, channel, apps, directory }) {
  if (view === 'inspector') return 'Inspector';
  if (view === 'home') return apps.find(known => known.id === app).name;
  return channel ? `#${directory.channel(channel)?.name ?? ''}` : 'No channel';
}

const VIEWS = { channel: ChannelView, home: AppHome, inspector: Inspector };

function App({ store }) {
  const state = useStoreState(store);
  const [drawer, setDrawer] = useState(false);
  const title = isThere(state) && titleOf(state);
  const unread = Object.values(state.unread).some(Boolean);
  useEffect(() => {
    if (title) document.title = `${unread ? '• ' : ''}${title} · ${state.team.name}`;
  }, [title, unread]);
  if (state.phase === 'locked') return html`<${Locked} />`;
  if (!title) return html`<${Waiting} phase=${state.phase} />`;
  const close = () => setDrawer(false);
  const View = state.view === 'channel' && !state.channel ? NoChannel : VIEWS[state.view];
  return html`<${Store.Provider} value=${store}>
    <div class=${`layout${state.thread ? ' with-thread' : ''}`} onKeyDown=${event => event.key === 'Escape' && close()}>
      <${Sidebar} state=${state} open=${drawer} onPick=${close} />
      ${drawer && html`<div class="backdrop" onClick=${close}></div>`}
      <${View} state=${state} onMenu=${() => setDrawer(!drawer)} banner=${html`<${Banner} online=${state.online} />`} />
      ${state.thread && html`<${Thread} key=${state.thread} state=${state} />`}
    </div>
    <${Toasts} toasts=${state.toasts} />
    ${state.views.length > 0 && html`<${Modal} views=${state.views} directory=${state.directory} />`}
    ${state.confirm && html`<${Confirm} ...${state.confirm} directory=${state.directory} />`}
  <//>`;
}

const store = createStore();
followLinks(url => store.follow(url));
document.addEventListener('visibilitychange', () => store.state().phase === 'ready' && store.seen());
store.start();
render(html`<${App} store=${store} />`, document.getElementById('app'));
