// A button with a menu: arrow keys walk, Escape closes and gives the focus back.
import { html, useEffect, useLayoutEffect, useRef, useState } from './ui.js';

const ROOM_PX = 240;

/**
 * `label` names a button that has no words of its own. `items`: [{key, label, checked?, onPick}]; with `checked` they
 * are radio items.
 */
export function Menu({ label, menuLabel = label, buttonClass, items, children, ...rest }) {
  const [open, setOpen] = useState(null); // null, "up" or "down"
  const root = useRef();
  const button = useRef();

  function toggle() {
    const { bottom } = button.current.getBoundingClientRect();
    setOpen(open ? null : bottom + ROOM_PX > innerHeight ? 'up' : 'down');
  }
  function close() {
    setOpen(null);
    button.current.focus();
  }
  // Before the next key: whoever opens it with Enter and goes on typing means the entries.
  useLayoutEffect(() => {
    if (!open) return;
    const entries = root.current.querySelectorAll('[role^=menuitem]');
    (root.current.querySelector('[aria-checked=true]') ?? entries[0])?.focus();
  }, [open]);
  useEffect(() => {
    if (!open) return undefined;
    const outside = event => !root.current?.contains(event.target) && setOpen(null);
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [open]);

  function onKeyDown(event) {
    if (!open) return;
    const entries = [...root.current.querySelectorAll('[role^=menuitem]')];
    const at = entries.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (step) entries[(at + step + entries.length) % entries.length].focus();
    else if (event.key === 'Escape') close();
    else if (event.key === 'Tab') setOpen(null);
    else return;
    if (event.key !== 'Tab') event.preventDefault();
    event.stopPropagation();
  }
  const pick = item => {
    close();
    item.onPick();
  };
  return html`<div class="menu" ref=${root} onKeyDown=${onKeyDown}>
    <button type="button" ref=${button} class=${buttonClass} aria-label=${label} aria-haspopup="menu"
      aria-expanded=${open ? 'true' : 'false'} onClick=${toggle} ...${rest}>${children}</button>
    ${open && html`<div class=${`popup ${open}`} role="menu" aria-label=${menuLabel}>
      ${items.map(item => html`<button key=${item.key} type="button" tabindex="-1" onClick=${() => pick(item)}
        role=${item.checked === undefined ? 'menuitem' : 'menuitemradio'} aria-checked=${item.checked}
        data-value=${item.key}>${item.label}</button>`)}
    </div>`}
  </div>`;
}
