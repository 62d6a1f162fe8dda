// The left side: the workspace's name, its channels with unread marks, its apps, the inspector, and who "you" are.
import { html } from './ui.js';
import { useStore } from './context.js';
import { Menu } from './menu.js';
import { Avatar } from './message.js';
import { ROLES, authorOf } from './messages.js';
import { INSPECTOR, homeOf } from './route.js';

const Lock = () => html`<svg class="lock" viewBox="0 0 16 16" role="img" aria-label="Private"><path
  d="M5 7V5a3 3 0 0 1 6 0v2a2 2 0 0 1 2 2v3a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V9a2 2 0 0 1 2-2zm1.5 0h3V5a1.5 1.5 0 0 0-3 0z"
  /></svg>`;

/** "#", or a lock for a private channel. */
export const ChannelSign = ({ channel }) => (channel.is_private ? html`<span class="sign"><${Lock} /></span>`
  : html`<span class="sign" aria-hidden="true">#</span>`);

const Role = ({ person }) => ROLES[person.role] && html`<span class="tag">${ROLES[person.role]}</span>`;

const Badge = ({ unread }) => unread && html`<span class=${`badge${unread.mention ? ' mention' : ''}`}><span class="sr">
  ${unread.mention ? 'You are mentioned' : 'Unread messages'}</span>${unread.mention ? '@' : ''}</span>`;

function Entry({ channel, current, unread, onPick }) {
  const names = [current && 'on', unread && 'unread', channel.is_archived && 'archived'].filter(Boolean).join(' ');
  return html`<li class=${names}><a href=${`/#${channel.id}`} aria-current=${current ? 'page' : undefined}
      onClick=${onPick}>
    <${ChannelSign} channel=${channel} /><span class="name">${channel.name}</span>
    ${channel.is_archived && html`<span class="tag">Archived</span>`}
    <${Badge} unread=${unread} />
  </a></li>`;
}

/** An app, and the messages with its bot: unread ones are where its entry leads to. */
function App({ app, state, onPick }) {
  const messages = state.channels.find(channel => channel.app_id === app.id);
  const unread = messages && state.unread[messages.id];
  const current = state.app === app.id || (messages && messages.id === state.channel);
  const address = messages && (unread || !app.has_home) ? `/#${messages.id}` : homeOf(app.id);
  const words = app.is_connected ? 'connected' : 'not connected';
  const names = [current && 'on', unread && 'unread'].filter(Boolean).join(' ');
  return html`<li class=${names}><a href=${address} aria-current=${current ? 'page' : undefined}
      title=${`${app.name} is ${words}`} onClick=${onPick}>
    <span class=${`dot${app.is_connected ? ' on' : ''}`} aria-hidden="true"></span><span class="name">${app.name}</span>
    <${Badge} unread=${unread} /><span class="sr">${words}</span></a></li>`;
}

const Group = ({ title, children }) => children.length > 0 &&
  html`<section><h2>${title}</h2><ul>${children}</ul></section>`;

function Person({ state }) {
  const store = useStore();
  const { me, people, directory } = state;
  const humans = people.filter(p => !p.is_bot);
  const items = humans.map(p => ({
    key: p.id,
    checked: p.id === me.id ? 'true' : 'false',
    label: html`<${Avatar} small author=${authorOf({ user: p.id }, directory)} />
      <span>${p.real_name || p.name}</span><${Role} person=${p} />`,
    onPick: () => p.id !== me.id && store.become(p.id),
  }));
  return html`<${Menu} menuLabel="Be somebody else" buttonClass="person" items=${items}>
    <${Avatar} small author=${authorOf({ user: me.id }, directory)} />
    <span class="who"><small>You are </small><b>${me.real_name || me.name}</b>
      <${Role} person=${directory.person(me.id)} /></span>
    <span aria-hidden="true">⌃</span>
  <//>`;
}

export function Sidebar({ state, open, onPick }) {
  const channels = state.channels.filter(c => !c.is_im); // direct messages are those with apps
  return html`<nav id="sidebar" class=${`sidebar${open ? ' open' : ''}`} aria-label="Channels">
    <div class="team"><span class="logo" aria-hidden="true">${state.team.name[0]}</span><b>${state.team.name}</b></div>
    <div class="channels">
      <${Group} title="Channels">${channels.map(channel => html`<${Entry} key=${channel.id} channel=${channel}
        current=${channel.id === state.channel} unread=${state.unread[channel.id]} onPick=${onPick} />`)}<//>
      <${Group} title="Apps">${state.apps.map(app => html`<${App} key=${app.id} app=${app} state=${state}
        onPick=${onPick} />`)}<//>
    </div>
    <a class=${`tool${state.view === 'inspector' ? ' on' : ''}`} href=${INSPECTOR}
      aria-current=${state.view === 'inspector' ? 'page' : undefined} onClick=${onPick}>
      <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M1.5 8.7h3l1.8-5 3 9 1.9-5.5.6 1.5h2.7" /></svg>
      Inspector</a>
    <${Person} state=${state} />
  </nav>`;
}
