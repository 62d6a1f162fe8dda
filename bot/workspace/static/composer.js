// Where people write: messages, slash commands with completion and history, and the way to global shortcuts.
import { html, useEffect, useLayoutEffect, useRef, useState } from './ui.js';
import { useStore } from './context.js';
import { Icon } from './icons.js';
import { Menu } from './menu.js';
import { shortcutItems, shortcutsOf } from './shortcuts.js';

const HISTORY = 50;
const historyOf = user => JSON.parse(sessionStorage.getItem(`history:${user}`) ?? '[]');
function remember(user, line) {
  const lines = [...historyOf(user).filter(old => old !== line), line].slice(-HISTORY);
  sessionStorage.setItem(`history:${user}`, JSON.stringify(lines));
}

/** What the letters so far may become: commands by their first letters, shortcuts by those of any of their words. */
function matching(text, commands, shortcuts) {
  if (!/^\/\S*$/.test(text)) return [];
  const typed = text.toLowerCase();
  const begins = word => word.startsWith(typed.slice(1));
  return [
    ...commands.filter(c => c.command.startsWith(typed)).map(c => ({
      key: c.command, command: c.command, usage: c.usage_hint, description: c.description, by: c.app,
    })),
    ...shortcuts.filter(s => s.name.toLowerCase().split(/\s+/).some(begins)).map(s => ({
      key: `${s.app}/${s.callback_id}`, shortcut: s, description: s.description, by: s.by,
    })),
  ];
}

function Completions({ id, matches, active, onPoint, onPick }) {
  return html`<ul class="completions" role="listbox" id=${id} aria-label="Commands and shortcuts">
    ${matches.map((m, i) => html`<li key=${m.key} id=${`${id}-${i}`} role="option"
      aria-selected=${i === active ? 'true' : 'false'}
      onMouseMove=${() => i !== active && onPoint(i)} onMouseDown=${event => { event.preventDefault(); onPick(m); }}>
      <span class="what">${m.shortcut && html`<${Icon} name="bolt" />`}<b>${m.command ?? m.shortcut.name}</b>
        <span class="usage"> ${m.usage}</span></span>
      <span class="why">${m.description}<span class="by"> · ${m.by}</span></span>
    </li>`)}
  </ul>`;
}

/** Up and Down walk through what was sent before, as long as nothing else is typed. */
function useHistory(user, text, setText) {
  const at = useRef(null);
  return step => {
    const lines = historyOf(user);
    const walking = at.current !== null && lines[at.current] === text;
    if (text !== '' && !walking) return false;
    const next = (walking ? at.current : lines.length) + step;
    if (next < 0 || !lines.length) return walking;
    at.current = next;
    setText(lines[next] ?? '');
    return true;
  };
}

function useGrowing(text) {
  const box = useRef();
  useLayoutEffect(() => {
    box.current.style.height = 'auto';
    box.current.style.height = `${Math.min(box.current.scrollHeight + 2, 240)}px`;
  }, [text]);
  return box;
}

/** `thread`: the thread's ts, or null in the channel itself. */
export function Composer({ label, commands, user, thread, channel }) {
  const store = useStore();
  const [text, setText] = useState('');
  const [active, setActive] = useState(0);
  const [closed, setClosed] = useState(false);
  const [running, setRunning] = useState(null);
  const box = useGrowing(text);
  const walk = useHistory(user, text, setText);
  const id = thread ? 'thread-composer' : 'composer';
  const shortcuts = shortcutsOf(store.state().apps, 'global');
  const matches = closed ? [] : matching(text, thread ? [] : commands, shortcuts);
  const exact = commands.find(c => text.split(/\s/)[0] === c.command);
  useEffect(() => {
    if (!matchMedia('(hover: none)').matches) box.current.focus(); // on a phone that would raise the keyboard
  }, [thread, channel]);

  function type(value) {
    setText(value);
    setActive(0);
    setClosed(false);
  }
  function take({ command, shortcut }) {
    type(shortcut ? '' : `${command} `);
    box.current.focus();
    if (shortcut) store.shortcut(shortcut);
  }
  async function run(line) {
    setRunning(line.split(/\s/)[0]);
    const reached = await store.command(line);
    setRunning(null);
    if (!reached) setText(now => now || line);
  }
  async function send() {
    const line = text.trim();
    if (!line) return;
    if (thread && line.startsWith('/')) {
      store.toast(`${line.split(/\s/)[0]} is not supported in threads. Sorry!`);
      return;
    }
    setText('');
    if (line.startsWith('/')) {
      remember(user, line);
      await run(line);
    } else if (!(await store.message(line, thread ?? undefined))) setText(now => now || line);
  }
  const KEYS = {
    ArrowDown: () => (matches.length ? setActive((active + 1) % matches.length) : walk(1)),
    ArrowUp: () => (matches.length ? setActive((active + matches.length - 1) % matches.length) : walk(-1)),
    Tab: () => (matches.length ? take(matches[active]) : false),
    Escape: () => (matches.length ? setClosed(true) : false),
    Enter: () => (matches.length && matches[active].command !== text ? take(matches[active]) : send()),
  };
  function onKeyDown(event) {
    const plainKey = !event.shiftKey && !event.altKey && !event.ctrlKey && !event.metaKey && !event.isComposing;
    if (!plainKey || !KEYS[event.key] || KEYS[event.key]() === false) return;
    event.preventDefault();
    event.stopPropagation();
  }
  const open = matches.length > 0;
  return html`<form class="composer" onSubmit=${event => { event.preventDefault(); send(); }}>
    ${open && html`<${Completions} id=${`${id}-list`} matches=${matches} active=${active} onPoint=${setActive}
      onPick=${take} />`}
    <div class="status" aria-live="polite">
      ${running ? html`<span class="spinner" aria-hidden="true"></span> Running ${running}…`
        : !open && exact?.usage_hint && !thread
        ? html`<code>${exact.command}</code> <span class="usage">${exact.usage_hint}</span>`
        : open ? html`<span class="sr">${matches.length} found: arrow keys choose, Tab completes</span>` : ''}
    </div>
    <div class="writing">
      ${shortcuts.length > 0 && html`<${Menu} label="Shortcuts" title="Shortcuts" buttonClass="plus"
        items=${shortcutItems(shortcuts, store)}><${Icon} name="plus" /><//>`}
      <label class="sr" for=${id}>${label}</label>
      <textarea id=${id} ref=${box} rows="1" placeholder=${label} value=${text} autocomplete="off" spellcheck=${false}
        aria-autocomplete=${thread ? undefined : 'list'} aria-controls=${open ? `${id}-list` : undefined}
        aria-activedescendant=${open ? `${id}-list-${active}` : undefined}
        onInput=${event => type(event.target.value)} onKeyDown=${onKeyDown}></textarea>
      <button type="submit" class="send" aria-label="Send" title="Send" disabled=${!text.trim()}>
        <svg viewBox="0 0 20 20" aria-hidden="true"><path d="M2.5 3 18 10 2.5 17 5 10.8 11 10 5 9.2z" /></svg></button>
    </div>
  </form>`;
}
