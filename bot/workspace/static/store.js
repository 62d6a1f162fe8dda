// What the page knows and does: one state, changed here only. Lists are read from the server at every (re)connection;
// events that arrive while a list is on its way are replayed over it, so none is lost and none is doubled.
import { ApiError, get, listen, post } from './api.js';
import { base64 } from './files.js';
import { applyEvent, inThread, isRoot, replay } from './messages.js';
import { address, parse } from './route.js';

const PAGE = 50;
const SEEK_PAGES = 20; // how far back a permalink is looked for
const EMPTY = {
  phase: 'loading', online: true, team: null, me: null, channels: [], people: [], apps: [], commands: [], views: [],
  directory: null, view: 'channel', app: null, tab: null, channel: null, thread: null, target: null, lists: {},
  replies: null, unread: {}, newSince: null, confirm: null, toasts: [], seen: null, homes: {},
};

const readKey = (user, channel) => `read:${user}:${channel}`;
const newest = list => list?.at(-1)?.ts ?? '0';

function makeDirectory({ me, people, channels, apps, user_groups: groups }) {
  const byId = new Map([...people, ...channels, ...groups].map(item => [item.id, item]));
  const find = id => byId.get(id);
  return { me: me.id, people, channels, apps, person: find, channel: find, group: find };
}

export function createStore() {
  let state = EMPTY;
  let stop = () => {};
  let inspects = false; // whether the stream of events was opened for the inspector
  const watchers = new Set();
  const journals = new Set();
  let viewEvents = 0;
  const dismissed = new Set(JSON.parse(sessionStorage.getItem('dismissed') ?? '[]'));

  function set(change) {
    state = { ...state, ...change };
    watchers.forEach(watch => watch(state));
  }
  const user = () => sessionStorage.getItem('user');

  /** Reads a list while keeping the events that come meanwhile. */
  async function read(path, query, belongs) {
    const journal = [];
    journals.add(journal);
    try {
      const answer = await get(path, { user: user(), ...query });
      const shown = answer.messages.filter(m => !dismissed.has(m.ts));
      const events = journal.filter(([, data]) => data.channel === query.channel);
      return { messages: replay(shown, events, belongs), hasMore: Boolean(answer.has_more) };
    } finally {
      journals.delete(journal);
    }
  }

  async function loadChannel(channel) {
    const limit = Math.max(PAGE, state.lists[channel]?.messages.length ?? 0);
    const list = await read('/ui/messages', { channel, limit }, isRoot);
    set({ lists: { ...state.lists, [channel]: list } });
    if (channel === state.channel) markRead();
  }
  async function loadThread(channel, ts) {
    const { messages } = await read('/ui/thread', { channel, ts }, m => inThread(m, ts));
    if (state.thread === ts && state.channel === channel) set({ replies: messages });
  }
  async function loadOlder() {
    const { channel } = state;
    if (!state.lists[channel]?.messages.length) return; // not read yet
    const before = state.lists[channel].messages[0].ts;
    const older = await read('/ui/messages', { channel, limit: PAGE, before }, () => false);
    const messages = [...older.messages, ...state.lists[channel].messages];
    set({ lists: { ...state.lists, [channel]: { messages, hasMore: older.hasMore } } });
  }

  function markRead() {
    if (document.hidden || !state.channel) return;
    localStorage.setItem(readKey(state.me.id, state.channel), newest(state.lists[state.channel]?.messages));
    if (state.unread[state.channel]) set({ unread: { ...state.unread, [state.channel]: undefined } });
  }
  /** Channels that got something while nobody looked; one never opened starts as read. */
  async function markUnread() {
    for (const { id } of state.channels.filter(c => c.id !== state.channel)) {
      const { messages } = await read('/ui/messages', { channel: id, limit: 1 }, isRoot);
      const seen = localStorage.getItem(readKey(state.me.id, id));
      if (seen === null) localStorage.setItem(readKey(state.me.id, id), newest(messages));
      else if (newest(messages) > seen) set({ unread: { ...state.unread, [id]: { mention: false } } });
    }
  }

  /** Who there is and what there is, but no messages. */
  async function readState() {
    const answer = await get('/ui/state', user() ? { user: user() } : {});
    const { team, me, people, channels, apps, commands, views } = answer;
    sessionStorage.setItem('user', me.id);
    const directory = makeDirectory(answer);
    const channel = directory.channel(state.channel) ? state.channel : null; // it may be closed to me by now
    set({ team, me, people, channels, apps, commands, views, directory, channel, online: true, phase: 'ready' });
  }
  /** Everything again: at the start, and whenever the connection comes back. */
  async function sync() {
    await readState();
    const { channel, thread } = state;
    if (channel && state.directory.channel(channel)) await Promise.all([loadChannel(channel), thread && loadThread(channel, thread)]);
    else await open(parse(new URL(location.href)));
    await markUnread();
  }

  /** The channel a bot is in is where a newcomer starts. */
  const firstChannel = () => (state.channels.find(c => c.bot_is_member && !c.is_im) ?? state.channels[0])?.id ?? null;

  async function open(place) {
    const app = place.view === 'home' && state.apps.find(known => known.id === place.app);
    if (app) openHome(place, app.has_home ? place.tab : 'messages');
    else if (place.view === 'inspector') set({ ...place, replies: null });
    else await openChannel(place);
    if (inspects !== (state.view === 'inspector')) start();
  }
  async function openChannel({ channel, thread, target }) {
    const id = state.channels.some(c => c.id === channel) ? channel : firstChannel();
    const seen = localStorage.getItem(readKey(state.me.id, id));
    const newSince = id === state.channel ? state.newSince : state.unread[id] ? seen : null;
    const app = state.directory.channel(id)?.app_id;
    if (app && id !== state.channel && state.tab !== 'messages') visit(app, 'messages');
    set({ view: 'channel', app: null, tab: null, channel: id, thread, replies: null, target, newSince });
    if (!id) return; // a guest whom nobody has invited yet
    await Promise.all([loadChannel(id), thread && loadThread(id, thread)]);
    if (target && !thread) await seek(target);
  }
  /** Tells an app that the person has opened a tab of it; of a tab that it does not have nobody is told. */
  async function visit(id, tab) {
    const { has_home, has_messages_tab } = state.apps.find(app => app.id === id);
    const shown = has_home ? tab : 'messages';
    return shown === 'home' || has_messages_tab ? ask('/ui/home', { app: id, tab: shown }) : {};
  }
  /**
   * Tells the app that the person is there. What it has published is in the answer, or comes as an event; the messages
   * with it are a channel, which this makes if there was none.
   */
  async function openHome(place, tab) {
    set({ ...place, tab, replies: null });
    const { app } = place;
    const before = state.homes[app];
    const known = state.channels.find(one => one.app_id === app)?.id;
    const { view = null, channel = known, error } = await visit(app, tab);
    if (state.homes[app] === before) set({ homes: { ...state.homes, [app]: { view, error } } });
    if (channel && !state.directory.channel(channel)) await attempt(readState);
    if (channel && tab === 'messages' && state.app === app && state.tab === tab) {
      history.replaceState(null, '', address(channel));
      await attempt(() => openChannel({ channel, thread: null, target: null }));
    }
  }
  async function seek(target) {
    const found = () => state.lists[state.channel].messages.find(m => m.ts === target);
    for (let i = 0; i < SEEK_PAGES && !found() && state.lists[state.channel].hasMore; i += 1) await loadOlder();
    if (found()?.reply_count) await openThread(target);
  }
  async function openThread(ts) {
    set({ thread: ts, replies: null });
    await loadThread(state.channel, ts);
  }

  function noteUnread(channel, message) {
    if (message.user === state.me.id || !isRoot(message)) return;
    const mention = state.unread[channel]?.mention || (message.text ?? '').includes(`<@${state.me.id}>`);
    set({ unread: { ...state.unread, [channel]: { mention } } });
  }
  function onMessageEvent(name, data) {
    if (!state.directory.channel(data.channel)) { // a conversation that was not there before
      attempt(sync).then(() => data.message && noteUnread(data.channel, data.message));
      return;
    }
    journals.forEach(journal => journal.push([name, data]));
    const list = state.lists[data.channel];
    if (list) {
      const messages = applyEvent(list.messages, name, data, isRoot);
      set({ lists: { ...state.lists, [data.channel]: { ...list, messages } } });
    }
    if (state.replies && data.channel === state.channel) {
      set({ replies: applyEvent(state.replies, name, data, m => inThread(m, state.thread)) });
    }
    if (name !== 'message' && name !== 'ephemeral') return;
    if (data.channel === state.channel && !document.hidden) markRead();
    else noteUnread(data.channel, data.message);
  }
  /** Some came or went: [{id, is_connected}]. */
  function onApps({ apps }) {
    const news = new Map(apps.map(app => [app.id, app]));
    set({ apps: state.apps.map(app => ({ ...app, ...news.get(app.id) })) });
  }
  function onView({ views }) {
    viewEvents += 1;
    set({ views });
  }
  /** Sends, and takes the stack of views from the answer, unless an event has told a newer one meanwhile. */
  async function sendForViews(path, body, wanted) {
    const before = viewEvents;
    const answer = await send(path, body);
    if (answer?.views && wanted(answer) && viewEvents === before) set({ views: answer.views });
    return answer;
  }
  function onEvent(name, data) {
    if (state.phase !== 'ready') return;
    if (name === 'seen') set({ seen: data });
    else if (name === 'channels') attempt(sync);
    else if (name === 'apps') onApps(data);
    else if (name === 'view') onView(data);
    else if (name === 'home') set({ homes: { ...state.homes, [data.app]: { view: data.view } } });
    else if (name === 'toast') toast(data.text, data.level);
    else onMessageEvent(name, data);
  }

  function toast(text, level = 'error') {
    const same = state.toasts.find(t => t.text === text);
    if (same && level === 'error') return;
    const id = `${Date.now()}-${state.toasts.length}`;
    set({ toasts: [...state.toasts.filter(t => t !== same), { id, text, level }] }); // said again: shown again
    setTimeout(() => dropToast(id), 9000);
  }
  const dropToast = id => set({ toasts: state.toasts.filter(t => t.id !== id) });

  /** Runs an effect; a refusal becomes a toast and the answer is null. */
  async function attempt(effect) {
    try {
      return await effect();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401) lock();
      else toast(error.message);
      return null;
    }
  }
  const send = (path, body) => attempt(() => post(path, { user: state.me.id, ...body }));

  /** Like `send`, but a refusal is an answer too: {delivered: false, error}. */
  async function ask(path, body) {
    try {
      return await post(path, { user: state.me.id, ...body });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return { delivered: false, error: error.message };
    }
  }

  /** The files asked for at one moment are read in one call. */
  let wanted = null;
  function file(id) {
    wanted ??= { ids: new Set(), files: Promise.resolve().then(readFiles) };
    wanted.ids.add(id);
    return wanted.files.then(files => files.find(found => found.id === id) ?? null);
  }
  async function readFiles() {
    const ids = [...wanted.ids].join(',');
    wanted = null;
    const answer = await attempt(() => get('/ui/files', { user: state.me.id, ids }));
    return answer?.files ?? [];
  }

  /** The page may not look any more (the workspace was started anew, with another token): nothing is tried again. */
  function lock() {
    stop();
    set({ ...EMPTY, phase: 'locked' });
  }
  /** Why the stream was refused: whether to try again. */
  async function mayComeBack() {
    const asked = user() ? { user: user() } : {};
    const locked = await get('/ui/state', asked).then(() => false, error => error.status === 401);
    if (locked) lock();
    return !locked;
  }

  function start() {
    stop();
    inspects = parse(new URL(location.href)).view === 'inspector';
    stop = listen({ ...(user() && { user: user() }), ...(inspects && { inspector: 1 }) }, {
      onOpen: () => attempt(sync),
      onEvent,
      onLost: () => set({ online: false, phase: state.phase === 'loading' ? 'failed' : state.phase }),
      onRefused: mayComeBack,
    });
  }

  return {
    start,
    state: () => state,
    subscribe(watch) {
      watchers.add(watch);
      return () => watchers.delete(watch);
    },
    toast,
    dropToast,
    seen: markRead,
    /** Shows what an address points at; a form with nothing to submit gets out of the way. */
    follow(url) {
      const top = state.views.at(-1);
      if (top && !top.submit) this.closeView(top.id);
      return attempt(() => open(parse(url)));
    },
    loadOlder: () => attempt(loadOlder),
    openThread(ts) {
      history.pushState(null, '', address(state.channel, ts));
      return attempt(() => openThread(ts));
    },
    closeThread() {
      history.pushState(null, '', address(state.channel));
      set({ thread: null, replies: null, target: null });
    },
    dismiss(ts) {
      dismissed.add(ts);
      sessionStorage.setItem('dismissed', JSON.stringify([...dismissed]));
      onMessageEvent('message_deleted', { channel: state.channel, ts });
    },
    become(id) {
      sessionStorage.setItem('user', id);
      set(EMPTY);
      start();
    },
    message: (text, thread_ts) => send('/ui/message', { channel: state.channel, text, thread_ts }),
    /** Runs a slash command; false when it failed, and then the server has said so. */
    async command(line) {
      const [, command, text] = line.match(/^(\S+)\s*([\s\S]*)$/);
      const answer = await send('/ui/command', { channel: state.channel, command, text });
      return Boolean(answer?.delivered);
    },
    /** Tells the app of a click or a choice; false when it did not answer. */
    async act(where, action, values) {
      const answer = await send('/ui/action', { ...where, action, state: { values } });
      return Boolean(answer?.delivered);
    },
    /** Runs a shortcut, of a message if `place` names one; false when the app did not answer. */
    async shortcut({ app, callback_id }, place) {
      const answer = await send('/ui/shortcut', { app, callback_id, ...place });
      return Boolean(answer?.delivered);
    },
    react: (where, name, on) => send('/ui/react', { ...where, name, on }),
    /** Asks an app for the options of a menu: {delivered, options | option_groups | error}. */
    suggest: (where, question) => ask('/ui/suggest', { ...where, ...question }),
    file,
    /** Uploads a File, shared as a message if `place` names a channel; null when it is refused. */
    async upload(picked, place) {
      const answer = await send('/ui/file', { ...place, name: picked.name, content: await base64(picked) });
      return answer?.file ?? null;
    },
    submit: (viewId, values) =>
      sendForViews('/ui/submit', { view_id: viewId, values }, a => a.response_action !== 'errors' && !a.error),
    closeView(viewId) {
      set({ views: state.views.filter(view => view.id !== viewId) });
      return sendForViews('/ui/close', { view_id: viewId }, () => true);
    },
    /** Reads what the inspector shows; null when that is refused. */
    inspect: since => attempt(() => get('/ui/inspector', { user: state.me.id, since })),
    /** Makes faults, moves the clock: see inspector-faults.js. The answer is null when it is refused. */
    control: change => send('/ui/control', change),
    /** Asks with Slack's confirm dialog; resolves to whether the person agreed. */
    confirm: dialog => new Promise(resolve => {
      const answer = agreed => {
        set({ confirm: null });
        resolve(agreed);
      };
      set({ confirm: { dialog, answer } });
    }),
  };
}
