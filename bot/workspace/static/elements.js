// Block elements people act on. Each gets {el, block, ctx, field}: ctx.form holds values, ctx.act sends
// block_actions, ctx.confirm asks first; `field` ({id, labelId, describedBy, invalid}) names the control in an input block.
import { html, useRef, useState } from './ui.js';
import { attributes, choose, dispatches, fire, groupAttributes, words } from './acting.js';
import { FeedbackButtons, IconButton } from './feedback.js';
import { optionsOf } from './form.js';
import { Menu } from './menu.js';
import { mrkdwn, plain } from './mrkdwn.js';
import { ExternalSelect, MultiExternalSelect } from './suggest.js';
import { FileInput } from './upload.js';

export const Text = ({ text, directory }) =>
  text.type === 'mrkdwn' ? mrkdwn(text.text, directory) : plain(text.text);

function Button({ el, block, ctx }) {
  const [state, setState] = useState('');
  async function press() {
    setState('busy');
    const taken = await fire(el, block, ctx, { value: el.value, text: el.text });
    setState(taken === false ? 'failed' : '');
  }
  const label = html`<span>${plain(words(el.text))}</span>${state === 'failed' && html`<span class="failed" role="img"
    aria-label="The app did not answer" title="The app did not answer">⚠️</span>`}`;
  const all = {
    class: `btn ${el.style ?? ''} ${state}`,
    'aria-label': el.accessibility_label,
    'data-type': 'button',
    'data-action-id': el.action_id,
    onClick: press,
  };
  if (el.url) return html`<a ...${all} href=${el.url} target="_blank" rel="noopener noreferrer">${label}</a>`;
  return html`<button type="button" ...${all} aria-disabled=${state === 'busy' ? 'true' : undefined}
    onClick=${state === 'busy' ? undefined : press}>${label}</button>`;
}

const option = o => html`<option value=${o.value}>${words(o.text)}</option>`;

/** A native select; `groups` as Slack's option_groups, `toState` turns a value into what the app receives. */
function Select({ el, block, ctx, field, options, groups, stateKey, value, toState }) {
  const pick = ({ target }) => choose(el, block, ctx, stateKey, target.value === '' ? null : toState(target.value));
  return html`<select class="select" ...${attributes(el, field)} value=${value ?? ''} onChange=${pick}>
    <option value="">${words(el.placeholder) || 'Choose an option'}</option>
    ${groups ? groups.map(group => html`<optgroup label=${words(group.label)}>${group.options.map(option)}</optgroup>`)
      : options.map(option)}
  </select>`;
}

const asOption = (value, label) => ({ value, text: { type: 'plain_text', text: label } });
const people = ctx => ctx.directory.people.map(p => asOption(p.id, p.real_name || p.name));
const channels = ctx => ctx.directory.channels.filter(c => !c.is_im).map(c => asOption(c.id, `#${c.name}`));
const conversations = ctx => ctx.directory.channels.map(c => asOption(c.id, c.is_im ? c.name : `#${c.name}`));

function StaticSelect(props) {
  const { el, block, ctx } = props;
  const options = optionsOf(el);
  return html`<${Select} ...${props} options=${options} groups=${el.option_groups} stateKey="selected_option"
    value=${ctx.form.get(block.block_id, el)?.value} toState=${value => options.find(o => o.value === value)} />`;
}

const idSelect = (stateKey, options) => props =>
  html`<${Select} ...${props} options=${options(props.ctx)} stateKey=${stateKey} toState=${value => value}
    value=${props.ctx.form.get(props.block.block_id, props.el)} />`;

/** Several of many: a box with what is chosen, which opens to a list to tick. */
function MultiSelect({ el, block, ctx, field, options, stateKey, chosen, toState }) {
  const picked = options.filter(o => chosen.includes(o.value));
  const full = el.max_selected_items && picked.length >= el.max_selected_items;
  const flip = (o, on) => {
    const values = options.map(x => x.value).filter(v => (v === o.value ? on : chosen.includes(v)));
    return choose(el, block, ctx, stateKey, values.map(toState));
  };
  return html`<details class="multi" ...${groupAttributes(el, field)} role="group">
    <summary class="select">${picked.length ? picked.map(o => html`<span class="chip">${words(o.text)}</span>`)
      : html`<span class="placeholder">${words(el.placeholder) || 'Choose options'}</span>`}</summary>
    <div class="ticks">${options.map(o => {
      const on = chosen.includes(o.value);
      return html`<label class="choice"><input type="checkbox" value=${o.value} checked=${on}
        disabled=${full && !on} onChange=${e => flip(o, e.target.checked)} /><span>${words(o.text)}</span></label>`;
    })}</div>
  </details>`;
}

function MultiStatic(props) {
  const { el, block, ctx } = props;
  const options = optionsOf(el);
  return html`<${MultiSelect} ...${props} options=${options} stateKey="selected_options"
    chosen=${ctx.form.get(block.block_id, el).map(o => o.value)} toState=${v => options.find(o => o.value === v)} />`;
}

const multiId = (stateKey, options) => props =>
  html`<${MultiSelect} ...${props} options=${options(props.ctx)} stateKey=${stateKey} toState=${value => value}
    chosen=${props.ctx.form.get(props.block.block_id, props.el)} />`;

const Choice = ({ o, ctx, children }) => html`<label class="choice">${children}<span><${Text} text=${o.text}
  directory=${ctx.directory} />${o.description && html`<small><${Text} text=${o.description}
  directory=${ctx.directory} /></small>`}</span></label>`;

function Radio({ el, block, ctx, field }) {
  const chosen = ctx.form.get(block.block_id, el);
  const name = `${ctx.prefix}-${block.block_id}-${el.action_id}`;
  return html`<div class="choices" role="radiogroup" ...${groupAttributes(el, field)}>
    ${el.options.map(o => html`<${Choice} o=${o} ctx=${ctx}><input type="radio" name=${name} value=${o.value}
      checked=${chosen?.value === o.value} onChange=${() => choose(el, block, ctx, 'selected_option', o)} /><//>`)}
  </div>`;
}

function Checkboxes({ el, block, ctx, field }) {
  const chosen = ctx.form.get(block.block_id, el);
  const has = o => chosen.some(c => c.value === o.value);
  const flip = (o, on) =>
    choose(el, block, ctx, 'selected_options', el.options.filter(x => (x.value === o.value ? on : has(x))));
  return html`<div class="choices" role="group" ...${groupAttributes(el, field)}>
    ${el.options.map(o => html`<${Choice} o=${o} ctx=${ctx}><input type="checkbox" value=${o.value} checked=${has(o)}
      onChange=${event => flip(o, event.target.checked)} /><//>`)}
  </div>`;
}

const Overflow = ({ el, block, ctx }) => html`<${Menu} label="More actions" buttonClass="btn dots" data-type="overflow"
  data-action-id=${el.action_id} items=${el.options.map(o => ({
    key: o.value,
    label: plain(words(o.text)),
    onPick: () => fire(el, block, ctx, { selected_option: o }),
  }))}>⋯<//>`;

const moment = (type, key) => ({ el, block, ctx, field }) => html`<input type=${type} class="text short"
  ...${attributes({ ...el, placeholder: el.placeholder ?? { text: type } }, field)}
  value=${ctx.form.get(block.block_id, el) ?? ''}
  onChange=${event => choose(el, block, ctx, key, event.target.value || null)} />`;

const localInput = seconds => {
  const date = new Date(seconds * 1000);
  return new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};
function DateTime({ el, block, ctx, field }) {
  const value = ctx.form.get(block.block_id, el);
  const seconds = text => (text ? Math.floor(new Date(text) / 1000) : null);
  return html`<input type="datetime-local" class="text short" ...${attributes(el, field)}
    value=${value == null ? '' : localInput(value)}
    onChange=${event => choose(el, block, ctx, 'selected_date_time', seconds(event.target.value))} />`;
}

const INPUT_MODE = { number_input: 'decimal', email_text_input: 'email', url_text_input: 'url' };

/** Text that the app hears of on Enter, on every pause, or only at submission, as its config says. */
function TextInput({ el, block, ctx, field }) {
  const timer = useRef();
  const when = el.dispatch_action_config?.trigger_actions_on ?? ['on_enter_pressed'];
  const send = () => fire(el, block, ctx, { value: ctx.form.get(block.block_id, el) });
  function onInput(event) {
    ctx.form.set(block.block_id, el, event.target.value === '' ? null : event.target.value);
    if (!dispatches(block) || !when.includes('on_character_entered')) return;
    clearTimeout(timer.current);
    timer.current = setTimeout(send, 300);
  }
  function onKeyDown(event) {
    const sends = event.key === 'Enter' && !event.shiftKey && !el.multiline && dispatches(block);
    if (!sends || !when.includes('on_enter_pressed')) return;
    event.preventDefault();
    send();
  }
  const all = {
    ...attributes(el, field),
    class: 'text',
    placeholder: words(el.placeholder),
    value: ctx.form.get(block.block_id, el) ?? '',
    onInput,
    onKeyDown,
  };
  const rows = Math.min(14, Math.max(4, String(all.value).split('\n').length + 1));
  if (el.multiline) return html`<textarea rows=${rows} ...${all} spellcheck=${false}></textarea>`;
  return html`<input type="text" inputmode=${INPUT_MODE[el.type]} autocomplete="off" ...${all} />`;
}

const textIn = rich => rich?.text ?? (rich?.elements ?? []).map(textIn).join(rich?.type === 'rich_text' ? '\n' : '');
const richText = text => ({
  type: 'rich_text',
  elements: [{ type: 'rich_text_section', elements: [{ type: 'text', text }] }],
});

/** Rich text without the buttons that format it: what is typed is plain, what the app gave loses its formats. */
const RichTextInput = ({ el, block, ctx, field }) => html`<textarea rows="4" class="text" spellcheck=${false}
  ...${attributes(el, field)} placeholder=${words(el.placeholder)} value=${textIn(ctx.form.get(block.block_id, el))}
  onInput=${({ target }) => ctx.form.set(block.block_id, el, target.value === '' ? null : richText(target.value))}
  ></textarea>`;

export const ELEMENTS = {
  button: Button,
  static_select: StaticSelect,
  external_select: ExternalSelect,
  multi_static_select: MultiStatic,
  multi_external_select: MultiExternalSelect,
  users_select: idSelect('selected_user', people),
  channels_select: idSelect('selected_channel', channels),
  conversations_select: idSelect('selected_conversation', conversations),
  multi_users_select: multiId('selected_users', people),
  multi_channels_select: multiId('selected_channels', channels),
  multi_conversations_select: multiId('selected_conversations', conversations),
  radio_buttons: Radio,
  checkboxes: Checkboxes,
  overflow: Overflow,
  datepicker: moment('date', 'selected_date'),
  timepicker: moment('time', 'selected_time'),
  datetimepicker: DateTime,
  plain_text_input: TextInput,
  number_input: TextInput,
  email_text_input: TextInput,
  url_text_input: TextInput,
  file_input: FileInput,
  rich_text_input: RichTextInput,
  feedback_buttons: FeedbackButtons,
  icon_button: IconButton,
};
/** Elements whose label is a heading over several controls, not a label of one. */
export const isGroup = ({ type }) =>
  type === 'radio_buttons' || type === 'checkboxes' || (type.startsWith('multi_') && type !== 'multi_external_select');

export function Element({ el, block, ctx, field }) {
  const Kind = ELEMENTS[el.type];
  if (el.visible_to_user_ids && !el.visible_to_user_ids.includes(ctx.directory.me)) return null;
  if (!Kind) return html`<em class="unknown">Unknown element “${el.type}”</em>`;
  return html`<${Kind} el=${el} block=${block} ctx=${ctx} field=${field} />`;
}
