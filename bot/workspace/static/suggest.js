// Menus whose options the app looks up while a person types: a combobox with a list, for one choice or for several.
import { html, useEffect, useRef, useState } from './ui.js';
import { attributes, choose, words } from './acting.js';
import { Icon } from './icons.js';
import { plain } from './mrkdwn.js';

const PAUSE_MS = 250;
const LEAST_LETTERS = 3;
const ROOM_PX = 260;

const letters = n => `${n} ${n === 1 ? 'letter' : 'letters'}`;

/** What an answer offers: the groups of options, and a sentence when there is nothing to choose. */
function read(answer) {
  if (!answer.delivered) return { groups: [], words: `The options could not be loaded: ${answer.error}` };
  const groups = answer.option_groups ?? [{ options: answer.options ?? [] }];
  return { groups, words: groups.some(group => group.options.length) ? '' : 'No matches' };
}

/** Asks the app a moment after the last letter; an answer to a question that is not asked any more is not shown. */
function useSuggestions(el, block, ctx) {
  const [found, setFound] = useState(null); // null while the list is shut
  const asked = useRef(0);
  const timer = useRef();
  const least = el.min_query_length ?? LEAST_LETTERS;
  const forget = () => {
    asked.current += 1;
    clearTimeout(timer.current);
  };
  useEffect(() => forget, []);
  function look(value) {
    forget();
    if (value.length < least) {
      setFound({ groups: [], words: `Type at least ${letters(least)}` });
      return;
    }
    setFound(now => ({ groups: now?.groups ?? [], words: 'Searching…', busy: true }));
    const mine = asked.current;
    timer.current = setTimeout(async () => {
      const answer = await ctx.suggest({ block_id: block.block_id, action_id: el.action_id, value });
      if (mine === asked.current) setFound(read(answer));
    }, value ? PAUSE_MS : 0);
  }
  function shut() {
    forget();
    setFound(null);
  }
  return { found, look, shut };
}

function Options({ id, name, found, active, isChosen, onPoint, onPick }) {
  const box = useRef();
  useEffect(() => {
    box.current.scrollIntoView({ block: 'nearest' });
  }, [found.groups]);
  useEffect(() => {
    box.current.querySelector('[data-active]')?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  let at = -1;
  const option = o => {
    const mine = (at += 1);
    return html`<div key=${o.value} id=${`${id}-${mine}`} role="option" data-value=${o.value}
      aria-selected=${isChosen(o) ? 'true' : 'false'} data-active=${mine === active ? 'true' : undefined}
      onMouseMove=${() => mine !== active && onPoint(mine)}
      onMouseDown=${event => { event.preventDefault(); onPick(o); }}>
      <span>${plain(words(o.text))}${o.description && html`<small>${plain(words(o.description))}</small>`}</span></div>`;
  };
  return html`<div class=${`suggestions${found.busy ? ' busy' : ''}`} ref=${box}>
    ${found.words && html`<div class="suggest-words">${found.busy && html`<span class="spinner"
      aria-hidden="true"></span>`}${found.words}</div>`}
    <div role="listbox" id=${id} aria-label=${name}>${found.groups.map(group => (group.label
      ? html`<div role="group" aria-label=${words(group.label)}><div class="group-label"
          aria-hidden="true">${plain(words(group.label))}</div>${group.options.map(option)}</div>`
      : group.options.map(option)))}</div>
  </div>`;
}

/**
 * The box and its list. `shown` is what the box says while nobody types; `pick(option)` answers whether the list shuts;
 * `full` is a sentence when no more can be chosen; `children` stand before the typed words.
 */
function Combobox({ el, block, ctx, field, shown, isChosen, full, pick, onEmptied, onBackspace, children }) {
  const { found, look, shut } = useSuggestions(el, block, ctx);
  const [typed, setTyped] = useState(null);
  const [active, setActive] = useState(0);
  const [up, setUp] = useState(false);
  const box = useRef();
  const offered = full ? { groups: [], words: full } : found;
  const options = offered?.groups.flatMap(group => group.options) ?? [];
  const id = `${ctx.prefix}-${block.block_id}-${el.action_id}-list`;
  const open = Boolean(found);
  useEffect(() => setActive(0), [found?.groups]);
  function ask(value) {
    const end = (box.current.closest('.log') ?? document.body).getBoundingClientRect().bottom;
    setUp(box.current.getBoundingClientRect().bottom + ROOM_PX > end);
    look(value);
  }
  function type({ target }) {
    setTyped(target.value);
    ask(target.value);
    if (target.value === '') onEmptied?.();
  }
  function leave() {
    shut();
    setTyped(null);
  }
  const take = option => {
    if (pick(option)) leave();
    else setTyped('');
  };
  const step = by => {
    if (!open) ask(typed ?? '');
    else if (options.length) setActive((active + by + options.length) % options.length);
  };
  const KEYS = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Enter: () => (open && options[active] && !offered.busy ? take(options[active]) : open),
    Escape: () => (open ? leave() : false),
    Backspace: () => (typed ? false : onBackspace?.() ?? false),
  };
  function onKeyDown(event) {
    if (event.isComposing || !KEYS[event.key] || KEYS[event.key]() === false) return;
    event.preventDefault();
    event.stopPropagation();
  }
  return html`<div class=${`combo${up ? ' up' : ''}`} ref=${box}>
    <div class="select combobox" onMouseDown=${event => {
      if (event.target.tagName === 'INPUT') return;
      event.preventDefault(); // the list would shut and move what is pressed
      box.current.querySelector('input').focus();
    }}>${children}<input type="text" role="combobox" autocomplete="off" spellcheck=${false} ...${attributes(el, field)}
      aria-autocomplete="list" aria-expanded=${open ? 'true' : 'false'} aria-controls=${open ? id : undefined}
      aria-activedescendant=${open && options.length ? `${id}-${active}` : undefined}
      placeholder=${shown.placeholder} value=${typed ?? shown.value}
      onClick=${() => !open && ask(typed ?? '')} onInput=${type} onKeyDown=${onKeyDown} onBlur=${leave} /></div>
    ${open && html`<${Options} id=${id} name=${words(el.placeholder) || 'Options'} found=${offered} active=${active}
      isChosen=${isChosen} onPoint=${setActive} onPick=${take} />`}
    <span class="sr" role="status">${open && (offered.words || `${options.length} found`)}</span>
  </div>`;
}

export function ExternalSelect({ el, block, ctx, field }) {
  const chosen = ctx.form.get(block.block_id, el);
  const set = value => choose(el, block, ctx, 'selected_option', value);
  const shown = { value: words(chosen?.text), placeholder: words(el.placeholder) || 'Choose an option' };
  const pick = option => {
    if (option.value !== chosen?.value) set(option);
    return true;
  };
  return html`<${Combobox} el=${el} block=${block} ctx=${ctx} field=${field} shown=${shown} pick=${pick}
    isChosen=${o => o.value === chosen?.value} onEmptied=${() => chosen && set(null)} />`;
}

export function MultiExternalSelect({ el, block, ctx, field }) {
  const chosen = ctx.form.get(block.block_id, el);
  const has = o => chosen.some(c => c.value === o.value);
  const most = el.max_selected_items;
  const set = options => choose(el, block, ctx, 'selected_options', options);
  const drop = o => set(chosen.filter(c => c.value !== o.value));
  const pick = option => {
    if (has(option)) drop(option);
    else set([...chosen, option]);
    return false;
  };
  const shown = { value: '', placeholder: chosen.length ? '' : words(el.placeholder) || 'Choose options' };
  return html`<${Combobox} el=${el} block=${block} ctx=${ctx} field=${field} shown=${shown} pick=${pick} isChosen=${has}
    full=${most && chosen.length >= most ? `You can choose at most ${most}` : ''}
    onBackspace=${() => (chosen.length ? set(chosen.slice(0, -1)) : false)}>
    ${chosen.map(o => html`<span key=${o.value} class="chip">${plain(words(o.text))}<button type="button" tabindex="-1"
      aria-label=${`Remove ${words(o.text)}`} onClick=${() => drop(o)}><${Icon} name="close" /></button></span>`)}
  <//>`;
}
