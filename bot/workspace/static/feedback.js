// What stands under an answer: feedback buttons (one of two stays pressed) and icon buttons.
import { html, useState } from './ui.js';
import { fire, words } from './acting.js';
import { Icon } from './icons.js';

const FAILED = 'The app did not answer';

/** Sends one press; `state` is '', 'busy' or 'failed'. */
function usePress(el, block, ctx) {
  const [state, setState] = useState('');
  async function press(extra) {
    if (state === 'busy') return null;
    setState('busy');
    const taken = await fire(el, block, ctx, extra);
    setState(taken === false ? 'failed' : '');
    return taken;
  }
  const failed = state === 'failed' && html`<span class="failed" role="img" aria-label=${FAILED}
    title=${FAILED}>⚠️</span>`;
  return { press, failed };
}

export function FeedbackButtons({ el, block, ctx }) {
  const [given, setGiven] = useState(null);
  const { press, failed } = usePress(el, block, ctx);
  async function give(kind, { value, text }) {
    const before = given;
    setGiven(kind);
    if (!(await press({ value, text }))) setGiven(before);
  }
  const button = (kind, icon) => {
    const own = el[`${kind}_button`];
    return html`<button type="button" class="iconbtn" aria-pressed=${given === kind ? 'true' : 'false'}
      aria-label=${own.accessibility_label ?? words(own.text)} title=${words(own.text)} data-value=${own.value}
      onClick=${() => give(kind, own)}><${Icon} name=${icon} /></button>`;
  };
  return html`<span class="feedback" role="group" aria-label="Feedback" data-type=${el.type}
    data-action-id=${el.action_id}>
    ${button('positive', 'thumb_up')}${button('negative', 'thumb_down')}${failed}</span>`;
}

export function IconButton({ el, block, ctx }) {
  const { press, failed } = usePress(el, block, ctx);
  return html`<button type="button" class="iconbtn" aria-label=${el.accessibility_label ?? words(el.text)}
    title=${words(el.text)} data-type=${el.type} data-action-id=${el.action_id}
    onClick=${() => press({ value: el.value, text: el.text })}><${Icon} name=${el.icon} />${failed}</button>`;
}
