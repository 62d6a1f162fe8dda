// Modals: the stack of views an app has opened, one native <dialog>; and Slack's confirm dialog.
import { html, useEffect, useLayoutEffect, useRef, useState } from './ui.js';
import { Blocks } from './blocks.js';
import { acts, useStore } from './context.js';
import { Text } from './elements.js';
import { complaints, useForm } from './form.js';
import { plain } from './mrkdwn.js';

const TROUBLE = 'We had some trouble connecting. Try again?';
const FIELDS = 'input, select, textarea, summary';

function focusFirst(form, selector = FIELDS) {
  const wanted = form.querySelector('[data-focus]') ?? form.querySelector('.modal-body')?.querySelector(selector);
  (wanted ?? form.querySelector('footer button:last-of-type')).focus({ preventScroll: !wanted });
}

function focusFirstError(form) {
  const field = form.querySelector('.input.invalid');
  field?.scrollIntoView({ block: 'nearest' });
  field?.querySelector(FIELDS)?.focus();
}

/** One view of the stack. Those below the top keep what was typed, out of sight. */
function View({ view, isTop, directory }) {
  const store = useStore();
  const form = useForm(view.blocks);
  const element = useRef();
  const [errors, setErrors] = useState({});
  const [trouble, setTrouble] = useState(null);
  const [pending, setPending] = useState(false);
  const ctx = {
    prefix: view.id,
    heading: 'h3',
    directory,
    errors,
    ...acts(store, { view_id: view.id }, form),
  };
  // A view that arrives (or replaces a "loading" one) takes the focus, unless a field of it already has it.
  useEffect(() => {
    const body = element.current.querySelector('.modal-body');
    if (isTop && !body.contains(document.activeElement)) focusFirst(element.current);
  }, [isTop, view.blocks]);
  useEffect(() => setErrors({}), [view.blocks]);
  useLayoutEffect(() => {
    if (Object.keys(errors).length) focusFirstError(element.current);
  }, [errors]);

  async function submit(event) {
    event.preventDefault();
    if (pending) return;
    setTrouble(null);
    const own = complaints(view.blocks, form.values);
    if (Object.keys(own).length) {
      setErrors(own);
      return;
    }
    setPending(true);
    const answer = await store.submit(view.id, form.values);
    setPending(false);
    setErrors(answer?.errors ?? {});
    setTrouble(!answer || answer.error ? TROUBLE : null);
  }
  const close = () => store.closeView(view.id);
  const unplaced = Object.entries(errors).filter(([id]) => !view.blocks.some(b => b.block_id === id));
  return html`<form ref=${element} hidden=${!isTop} noValidate onSubmit=${submit} data-view-id=${view.id}
      data-callback-id=${view.callback_id}>
    <header><h2 id=${`title-${view.id}`}>${plain(view.title.text)}</h2>
      <button type="button" class="icon" aria-label="Close" onClick=${close}>✕</button></header>
    <div class="modal-body" tabindex="-1">
      ${trouble && html`<div class="alert error" role="alert">${trouble}</div>`}
      ${unplaced.map(([id, text]) => html`<div class="alert error" role="alert">${id}: ${text}</div>`)}
      <${Blocks} blocks=${view.blocks} ctx=${ctx} />
    </div>
    <footer>
      <button type="button" class="btn" onClick=${close}>${view.close ? plain(view.close.text) : 'Cancel'}</button>
      ${view.submit && html`<button type="submit" class=${`btn primary${pending ? ' busy' : ''}`}
        aria-disabled=${pending ? 'true' : undefined}>${pending ? html`<span class="dots3" aria-label="Sending">…</span>`
        : plain(view.submit.text)}</button>`}
    </footer>
  </form>`;
}

/** Opens a dialog while mounted; when it goes, the focus returns to where it was. */
function useDialog() {
  const ref = useRef();
  useLayoutEffect(() => {
    const opener = document.activeElement;
    const dialog = ref.current;
    dialog.showModal();
    return () => {
      dialog.close();
      const back = opener?.isConnected && opener !== document.body ? opener : document.getElementById('composer');
      back?.focus();
    };
  }, []);
  return ref;
}

export function Modal({ views, directory }) {
  const store = useStore();
  const ref = useDialog();
  const top = views.at(-1);
  const onCancel = event => {
    event.preventDefault();
    store.closeView(top.id);
  };
  // A second Escape in a row closes the dialog whatever we say: then the view below is shown again.
  const onClose = event => {
    if (!event.target.isConnected || event.target.open) return;
    store.closeView(top.id);
    if (views.length > 1) event.target.showModal();
  };
  return html`<dialog ref=${ref} class="modal" aria-labelledby=${`title-${top.id}`} onCancel=${onCancel}
      onClose=${onClose}>
    ${views.map(view => html`<${View} key=${view.id} view=${view} isTop=${view === top} directory=${directory} />`)}
  </dialog>`;
}

export function Confirm({ dialog, answer, directory }) {
  const ref = useDialog();
  const danger = dialog.style === 'danger';
  const onCancel = event => {
    event.preventDefault();
    answer(false);
  };
  return html`<dialog ref=${ref} class="modal confirm" aria-labelledby="confirm-title" aria-describedby="confirm-text"
      onCancel=${onCancel} onClose=${event => event.target.isConnected && answer(false)}>
    <header><h2 id="confirm-title">${plain(dialog.title.text)}</h2>
      <button type="button" class="icon" aria-label="Close" onClick=${() => answer(false)}>✕</button></header>
    <div class="modal-body" id="confirm-text"><${Text} text=${dialog.text} directory=${directory} /></div>
    <footer>
      <button type="button" class="btn" autofocus=${danger}
        onClick=${() => answer(false)}>${plain(dialog.deny.text)}</button>
      <button type="button" class=${`btn ${danger ? 'danger' : 'primary'}`} autofocus=${!danger}
        onClick=${() => answer(true)}>${plain(dialog.confirm.text)}</button>
    </footer>
  </dialog>`;
}
