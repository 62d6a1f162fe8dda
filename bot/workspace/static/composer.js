// Where people write: messages, slash commands with completion and history, and the way to global shortcuts.
import { html, useEffect, useLayoutEffect, useRef, useState } from './ui.js';
import { useStore } from './context.js';
import { size } from './files.js';
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

/** Files that go with the next message. */
const Attached = ({ files, onDrop }) => files.length > 0 && html`<ul class="attached">${files.map(file =>
  html`<li class="picked" key=${`${file.name}/${file.size}`}><${Icon} name="file" /><b>${file.name}</b>
    <small>${size(file.size)}</small><button type="button" class="icon" aria-label=${`Remove ${file.name}`}
    onClick=${() => onDrop(file)}><${Icon} name="close" /></button></li>`)}</ul>`;

/** `thread`: the thread's ts, or null in the channel itself. */
export function Composer({ label, commands, user, thread, channel }) {
  const store = useStore();
  const [text, setText] = useState('');
  const [active, setActive] = useState(0);
  const [closed, setClosed] = useState(false);
  const [running, setRunning] = useState(null);
  const [files, setFiles] = useState([]);
  const picker = useRef();
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
    setRunning({ verb: 'Running', what: line.split(/\s/)[0] });
    const reached = await store.command(line);
    setRunning(null);
    if (!reached) setText(now => now || line);
  }
  const attach = list => setFiles(now => [...now, ...list]);
  /** Sends files one by one, the words with the first; those that are refused stay. */
  async function share(line) {
    setRunning({ verb: 'Uploading', what: files.length === 1 ? files[0].name : `${files.length} files` });
    for (const [i, file] of files.entries()) {
      const words = i === 0 && line ? { text: line } : {};
      const place = { channel, ...(thread && { thread_ts: thread }), ...words };
      if (await store.upload(file, place)) setFiles(now => now.filter(kept => kept !== file));
      else if (i === 0) setText(now => now || line);
    }
    setRunning(null);
  }
  async function send() {
    const line = text.trim();
    if ((!line && !files.length) || running?.verb === 'Uploading') return;
    if (thread && line.startsWith('/')) {
      store.toast(`${line.split(/\s/)[0]} is not supported in threads. Sorry!`);
      return;
    }
    setText('');
    if (line.startsWith('/')) {
      remember(user, line);
      await run(line);
    } else if (files.length) await share(line);
    else if (!(await store.message(line, thread ?? undefined))) setText(now => now || line);
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
  const upload = {
    key: 'upload',
    label: html`<${Icon} name="clip" />Upload from your computer`,
    onPick: () => picker.current.click(),
  };
  function receive(event, list) {
    if (!list?.length) return;
    event.preventDefault();
    attach(list);
  }
  return html`<form class="composer" onSubmit=${event => { event.preventDefault(); send(); }}
      onDragOver=${event => event.preventDefault()} onDrop=${event => receive(event, event.dataTransfer.files)}>
    ${open && html`<${Completions} id=${`${id}-list`} matches=${matches} active=${active} onPoint=${setActive}
      onPick=${take} />`}
    <div class="status" aria-live="polite">
      ${running ? html`<span class="spinner" aria-hidden="true"></span> ${running.verb} ${running.what}…`
        : !open && exact?.usage_hint && !thread
        ? html`<code>${exact.command}</code> <span class="usage">${exact.usage_hint}</span>`
        : open ? html`<span class="sr">${matches.length} found: arrow keys choose, Tab completes</span>` : ''}
    </div>
    <div class="writing">
      <${Attached} files=${files} onDrop=${file => setFiles(files.filter(kept => kept !== file))} />
      <${Menu} label="Attach a file, or run a shortcut" title="Attach, shortcuts" buttonClass="plus"
        items=${[upload, ...shortcutItems(shortcuts, store)]}><${Icon} name="plus" /><//>
      <input type="file" class="sr" tabindex="-1" aria-label="Files to attach" multiple ref=${picker}
        onChange=${() => { attach(picker.current.files); picker.current.value = ''; box.current.focus(); }} />
      <label class="sr" for=${id}>${label}</label>
      <textarea id=${id} ref=${box} rows="1" placeholder=${label} value=${text} autocomplete="off" spellcheck=${false}
        aria-autocomplete=${thread ? undefined : 'list'} aria-controls=${open ? `${id}-list` : undefined}
        aria-activedescendant=${open ? `${id}-list-${active}` : undefined}
        onInput=${event => type(event.target.value)} onKeyDown=${onKeyDown}
        onPaste=${event => receive(event, event.clipboardData.files)}></textarea>
      <button type="submit" class="send" aria-label="Send" title="Send" disabled=${!text.trim() && !files.length}>
        <svg viewBox="0 0 20 20" aria-hidden="true"><path d="M2.5 3 18 10 2.5 17 5 10.8 11 10 5 9.2z" /></svg></button>
    </div>
  </form>`;
}
