// What a person has filled in: state values by block_id and action_id, in the shape Slack sends them (pure, but
// for the hook at the end).
import { useReducer, useRef } from './ui.js';

// element type -> [key in the state, key of its initial value]
const TEXT = ['value', 'initial_value'];
const ONE = ['selected_option', 'initial_option'];
const MANY = ['selected_options', 'initial_options'];
export const KEYS = {
  plain_text_input: TEXT,
  number_input: TEXT,
  email_text_input: TEXT,
  url_text_input: TEXT,
  static_select: ONE,
  external_select: ONE,
  radio_buttons: ONE,
  checkboxes: MANY,
  multi_static_select: MANY,
  multi_external_select: MANY,
  users_select: ['selected_user', 'initial_user'],
  channels_select: ['selected_channel', 'initial_channel'],
  conversations_select: ['selected_conversation', 'initial_conversation'],
  multi_users_select: ['selected_users', 'initial_users'],
  multi_channels_select: ['selected_channels', 'initial_channels'],
  multi_conversations_select: ['selected_conversations', 'initial_conversations'],
  datepicker: ['selected_date', 'initial_date'],
  timepicker: ['selected_time', 'initial_time'],
  datetimepicker: ['selected_date_time', 'initial_date_time'],
  file_input: ['files', 'initial_files'],
  rich_text_input: ['rich_text_value', 'initial_value'],
};
const CHILDREN = { carousel: 'elements', container: 'child_blocks', plan: 'tasks' };
const isMany = type => type === 'checkboxes' || type === 'file_input' || type.startsWith('multi_');

export const optionsOf = el => el.options ?? (el.option_groups ?? []).flatMap(group => group.options);
/** These blocks and all that are inside them. */
const walk = blocks => blocks.flatMap(block => [block, ...walk(block[CHILDREN[block.type]] ?? [])]);
const elementsOf = block =>
  [block.element, block.accessory, ...(block.elements ?? [])].filter(el => el && KEYS[el.type]);

function initialEntry(el) {
  const [key, initial] = KEYS[el.type];
  return { type: el.type, [key]: el[initial] ?? (isMany(el.type) ? [] : null) };
}

/** Whether what was chosen before can still be chosen. */
function stillOffered(el, entry) {
  const chosen = [entry.selected_option, ...(entry.selected_options ?? [])].filter(Boolean);
  if (el.type.includes('external') || !chosen.length) return true;
  const values = new Set(optionsOf(el).map(option => option.value));
  return chosen.every(option => values.has(option.value));
}

/** The values of new blocks: an element that kept its block_id and action_id keeps what the person typed. */
export function carryOver(blocks, before) {
  const values = {};
  for (const block of walk(blocks)) {
    for (const el of elementsOf(block)) {
      const old = before[block.block_id]?.[el.action_id];
      const keep = old?.type === el.type && stillOffered(el, old);
      (values[block.block_id] ??= {})[el.action_id] = keep ? old : initialEntry(el);
    }
  }
  return values;
}

const isEmpty = value => value === null || value === '' || (Array.isArray(value) && value.length === 0);

function numberComplaint(el, text) {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) return 'Please enter a number.';
  if (!el.is_decimal_allowed && !Number.isInteger(value)) return 'Please enter a whole number.';
  if (el.min_value != null && value < Number(el.min_value)) return `Must be ${el.min_value} or more.`;
  if (el.max_value != null && value > Number(el.max_value)) return `Must be ${el.max_value} or less.`;
  return null;
}

function textComplaint(el, text) {
  if (el.min_length && text.length < el.min_length) return `Must be at least ${el.min_length} characters.`;
  if (el.max_length && text.length > el.max_length) return `Must be ${el.max_length} characters or less.`;
  if (el.type === 'email_text_input' && !/^\S+@\S+\.\S+$/.test(text)) return 'Please enter a valid email address.';
  if (el.type === 'url_text_input' && !/^https?:\/\/\S+$/.test(text)) return 'Please enter a valid URL.';
  return null;
}

/** What Slack's own client says before it submits: the sentence for one input block, or null. */
function complaint(block, values) {
  const el = block.element;
  const value = values[block.block_id]?.[el.action_id]?.[KEYS[el.type]?.[0]];
  if (value === undefined) return null;
  if (isEmpty(value)) return block.optional ? null : 'Please complete this required field.';
  if (el.type === 'number_input') return numberComplaint(el, value);
  return typeof value === 'string' ? textComplaint(el, value) : null;
}

export function complaints(blocks, values) {
  const inputs = walk(blocks).filter(block => block.type === 'input');
  const found = inputs.map(block => [block.block_id, complaint(block, values)]);
  return Object.fromEntries(found.filter(([, text]) => text));
}

/** The values of the blocks now shown. They live in a ref so that an action sends what was typed a moment ago. */
export function useForm(blocks) {
  const [, redraw] = useReducer(n => n + 1, 0);
  const ref = useRef({ blocks: null, values: {} });
  if (ref.current.blocks !== blocks) {
    ref.current = { blocks, values: carryOver(blocks, ref.current.values) };
  }
  const state = ref.current;
  return {
    get values() {
      return state.values;
    },
    get(blockId, el) {
      return state.values[blockId]?.[el.action_id]?.[KEYS[el.type][0]];
    },
    set(blockId, el, value) {
      const entry = { type: el.type, [KEYS[el.type][0]]: value };
      state.values = { ...state.values, [blockId]: { ...state.values[blockId], [el.action_id]: entry } };
      redraw();
    },
  };
}
