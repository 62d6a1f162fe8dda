// The left side: the workspace's name, its channels with unread marks, and who "you" are.
import { html } from './ui.js';
import { useStore } from './context.js';
import { Menu } from './menu.js';
import { Avatar } from './message.js';
import { authorOf } from './messages.js';

function Entry({ channel, current, unread, onPick }) {
  const names = [current && 'on', unread && 'unread'].filter(Boolean).join(' ');
  return html`<li class=${names}><a href=${`/#${channel.id}`} aria-current=${current ? 'page' : undefined}
      onClick=${onPick}>
    <span class="sign" aria-hidden="true">${channel.is_im ? '●' : '#'}</span><span class="name">${channel.name}</span>
    ${unread && html`<span class=${`badge${unread.mention ? ' mention' : ''}`}><span class="sr">
      ${unread.mention ? 'You are mentioned' : 'Unread messages'}</span>${unread.mention ? '@' : ''}</span>`}
  </a></li>`;
}

const Group = ({ title, channels, state, onPick }) => channels.length > 0 && html`<section>
  <h2>${title}</h2><ul>${channels.map(channel => html`<${Entry} key=${channel.id} channel=${channel}
    current=${channel.id === state.channel} unread=${state.unread[channel.id]} onPick=${onPick} />`)}</ul></section>`;

function Person({ state }) {
  const store = useStore();
  const { me, people, directory } = state;
  const humans = people.filter(p => !p.is_bot);
  const items = humans.map(p => ({
    key: p.id,
    checked: p.id === me.id ? 'true' : 'false',
    label: html`<${Avatar} small author=${authorOf({ user: p.id }, directory)} />${p.real_name || p.name}`,
    onPick: () => p.id !== me.id && store.become(p.id),
  }));
  return html`<${Menu} menuLabel="Be somebody else" buttonClass="person" items=${items}>
    <${Avatar} small author=${authorOf({ user: me.id }, directory)} />
    <span class="who"><small>You are </small><b>${me.real_name || me.name}</b></span><span aria-hidden="true">⌃</span>
  <//>`;
}

export function Sidebar({ state, open, onPick }) {
  const channels = state.channels.filter(c => !c.is_im);
  const direct = state.channels.filter(c => c.is_im);
  return html`<nav id="sidebar" class=${`sidebar${open ? ' open' : ''}`} aria-label="Channels">
    <div class="team"><span class="logo" aria-hidden="true">${state.team.name[0]}</span><b>${state.team.name}</b></div>
    <div class="channels">
      <${Group} title="Channels" channels=${channels} state=${state} onPick=${onPick} />
      <${Group} title="Direct messages" channels=${direct} state=${state} onPick=${onPick} />
    </div>
    <${Person} state=${state} />
  </nav>`;
}
