// An app's own place: the Home that it publishes for each person, and the way to the messages with its bot.
import { html } from './ui.js';
import { Blocks } from './blocks.js';
import { acts, useStore } from './context.js';
import { useForm } from './form.js';
import { Avatar } from './message.js';
import { authorOf } from './messages.js';
import { homeOf } from './route.js';

const messagesWith = (app, channels) => channels.find(channel => channel.app_id === app.id);

/** "Home" and "Messages" of an app that has both; `current` is the one that is shown. */
export function AppTabs({ app, channels, current }) {
  if (!app?.has_home) return null;
  const channel = messagesWith(app, channels);
  const tab = (name, label, href) => html`<a href=${href} aria-current=${current === name ? 'page' : undefined}>${label}</a>`;
  return html`<nav class="tabs" aria-label=${`Tabs of ${app.name}`}>
    ${tab('home', 'Home', homeOf(app.id))}
    ${app.has_messages_tab && tab('messages', 'Messages', channel ? `/#${channel.id}` : `${homeOf(app.id)}/messages`)}
  </nav>`;
}

/** The published view: its elements act as those of a form do, but there is nothing to submit. */
function Published({ view, directory }) {
  const store = useStore();
  const form = useForm(view.blocks);
  const ctx = { prefix: view.id, heading: 'h2', directory, ...acts(store, { view_id: view.id }, form) };
  return html`<div class="home" data-view-id=${view.id} data-callback-id=${view.callback_id}>
    <${Blocks} blocks=${view.blocks} ctx=${ctx} /></div>`;
}

const Note = ({ title, children }) => html`<div class="beginning"><h2>${title}</h2><p>${children}</p></div>`;

function Body({ app, home, tab, directory }) {
  if (home?.error) return html`<${Note} title="Nothing to show">${home.error}<//>`;
  if (home && !app.has_home && !app.has_messages_tab) {
    return html`<${Note} title="Nothing to show">${app.name} has neither a Home nor messages.<//>`;
  }
  if (!home || tab === 'messages') {
    return html`<div class="beginning"><span class="spinner" role="img" aria-label="Loading"></span></div>`;
  }
  if (home.view) return html`<${Published} key=${home.view.id} view=${home.view} directory=${directory} />`;
  return html`<${Note} title="Nothing to show yet">${app.name} ${app.is_connected ? 'has not published a Home for you.'
    : 'is not connected, and has not published a Home for you before.'}<//>`;
}

export function AppHome({ state, onMenu, banner }) {
  const app = state.apps.find(known => known.id === state.app);
  const author = authorOf({ user: app.bot_user_id }, state.directory);
  return html`<main class="channel">
    <header class="topbar"><button type="button" class="icon hamburger" aria-label="Channels" aria-controls="sidebar"
      onClick=${onMenu}>☰</button><${Avatar} small author=${author} /><h1>${app.name}</h1>
      <span class="about">${!app.is_connected && html`<span class="tag">Not connected</span>`}</span></header>
    <${AppTabs} app=${app} channels=${state.channels} current=${state.tab} />
    ${banner}
    <div class="homebox" tabindex="0" role="region" aria-label=${`Home of ${app.name}`}>
      <${Body} app=${app} home=${state.homes[app.id]} tab=${state.tab} directory=${state.directory} /></div>
  </main>`;
}
