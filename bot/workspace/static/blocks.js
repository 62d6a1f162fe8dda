// Block Kit -> vnodes: the layout blocks. What a person acts on is in elements.js.
// Contract for browser tests: data-type and data-block-id on a block, data-type and data-action-id on a control.
import { html, useErrorBoundary } from './ui.js';
import { Chart } from './charts.js';
import { Element, Text, isGroup } from './elements.js';
import { Markdown } from './markdown.js';
import { plain } from './mrkdwn.js';
import { RichText } from './richtext.js';
import { DataTable, Table } from './tables.js';

/** The page loads nothing from outside this machine: a foreign picture is shown as a link to it. */
export function Picture({ url, alt, class: name }) {
  const inside = url && (url.startsWith('data:image/') || new URL(url, location.href).origin === location.origin);
  if (inside) return html`<img class=${name} src=${url} alt=${alt} loading="lazy" />`;
  return html`<a class="foreign" href=${url} target="_blank" rel="noopener noreferrer">🖼 ${alt || url}</a>`;
}

const urlOf = image => image.image_url ?? image.slack_file?.url;

function Section({ block, ctx }) {
  return html`<div class="section">
    <div class="body">
      ${block.text && html`<div class="text-body"><${Text} text=${block.text} directory=${ctx.directory} /></div>`}
      ${block.fields && html`<div class="fields">${block.fields.map(field =>
        html`<div><${Text} text=${field} directory=${ctx.directory} /></div>`)}</div>`}
    </div>
    ${block.accessory && html`<div class="accessory">${block.accessory.type === 'image'
      ? html`<${Picture} class="accessory-image" url=${urlOf(block.accessory)} alt=${block.accessory.alt_text} />`
      : html`<${Element} el=${block.accessory} block=${block} ctx=${ctx} />`}</div>`}
  </div>`;
}

const Actions = ({ block, ctx }) => html`<div class="actions">${block.elements.map(el =>
  html`<${Element} key=${el.action_id} el=${el} block=${block} ctx=${ctx} />`)}</div>`;

const Context = ({ block, ctx }) => html`<div class="context">${block.elements.map(el => el.type === 'image'
  ? html`<${Picture} class="context-image" url=${urlOf(el)} alt=${el.alt_text} />`
  : html`<span><${Text} text=${el} directory=${ctx.directory} /></span>`)}</div>`;

const Image = ({ block }) => html`<figure class="image">
  ${block.title && html`<figcaption>${plain(block.title.text)}</figcaption>`}
  <${Picture} url=${urlOf(block)} alt=${block.alt_text} />
</figure>`;

function Input({ block, ctx }) {
  const id = `${ctx.prefix}-${block.block_id}-${block.element.action_id}`;
  const error = ctx.errors?.[block.block_id];
  const field = {
    id,
    labelId: `${id}-label`,
    describedBy: [error && `${id}-error`, block.hint && `${id}-hint`].filter(Boolean).join(' ') || undefined,
    invalid: Boolean(error),
  };
  const label = html`${plain(block.label.text)}${block.optional && html` <span class="optional">(optional)</span>`}`;
  return html`<div class=${`input${error ? ' invalid' : ''}`}>
    ${isGroup(block.element) ? html`<div class="label" id=${field.labelId}>${label}</div>`
      : html`<label class="label" id=${field.labelId} for=${id}>${label}</label>`}
    <${Element} el=${block.element} block=${block} ctx=${ctx} field=${field} />
    ${error && html`<div class="field-error" role="alert" id=${`${id}-error`}>${error}</div>`}
    ${block.hint && html`<div class="hint" id=${`${id}-hint`}>${plain(block.hint.text)}</div>`}
  </div>`;
}

const ALERT_SIGN = { info: 'ℹ️', warning: '⚠️', error: '🛑', success: '✅' };
const Alert = ({ block, ctx }) => html`<div class=${`alert ${block.level ?? 'default'}`}
    role=${block.level === 'error' ? 'alert' : 'note'}>
  ${ALERT_SIGN[block.level] && html`<span aria-hidden="true">${ALERT_SIGN[block.level]}</span>`}
  <div><${Text} text=${block.text} directory=${ctx.directory} /></div>
</div>`;

const line = (text, name, ctx) =>
  text && html`<div class=${name}><${Text} text=${text} directory=${ctx.directory} /></div>`;
const Card = ({ block, ctx }) => html`<div class="card">
  ${block.hero_image && html`<${Picture} class="hero" url=${urlOf(block.hero_image)}
    alt=${block.hero_image.alt_text} />`}
  ${line(block.title, 'card-title', ctx)}${line(block.subtitle, 'card-subtitle', ctx)}
  ${line(block.body, 'card-body', ctx)}${line(block.subtext, 'card-subtitle', ctx)}
  ${block.actions && html`<${Actions} block=${{ ...block, elements: block.actions }} ctx=${ctx} />`}
</div>`;

const TASK_SIGN = { pending: '○', in_progress: '◔', complete: '●', error: '✕' };
const Task = ({ block, ctx }) => html`<div class=${`task ${block.status}`}>
  <div class="task-title"><span class="task-sign" aria-hidden="true">${TASK_SIGN[block.status]}</span>${block.title}
    <span class="sr">, ${(block.status ?? '').replace('_', ' ')}</span></div>
  ${[block.details, block.output].filter(Boolean).map(rich =>
    html`<${RichText} block=${rich} directory=${ctx.directory} />`)}
</div>`;
const Plan = ({ block, ctx }) => html`<div class="card plan"><div class="card-title">${block.title}</div>
  ${(block.tasks ?? []).map(task => html`<${Task} key=${task.task_id} block=${task} ctx=${ctx} />`)}</div>`;

const BLOCKS = {
  header: ({ block, ctx }) => html`<${ctx.heading} class="heading">${plain(block.text.text)}<//>`,
  divider: () => html`<hr />`,
  section: Section,
  actions: Actions,
  context: Context,
  image: Image,
  input: Input,
  alert: Alert,
  card: Card,
  plan: Plan,
  task_card: Task,
  rich_text: ({ block, ctx }) => html`<${RichText} block=${block} directory=${ctx.directory} />`,
  markdown: ({ block }) => html`<${Markdown} text=${block.text} />`,
  table: ({ block, ctx }) => html`<${Table} block=${block} directory=${ctx.directory} />`,
  data_table: ({ block, ctx }) => html`<${DataTable} block=${block} directory=${ctx.directory} />`,
  data_visualization: ({ block }) => html`<${Chart} block=${block} />`,
};

/** An unknown block is never dropped in silence, nor one that is not built as its type says. */
const Unknown = ({ block }) => html`<p class="unknown">Unknown block “${block.type}”</p>`;

function Guarded({ block, ctx }) {
  const [error] = useErrorBoundary();
  if (error) return html`<p class="unknown">The “${block.type}” block cannot be drawn: ${error.message}</p>`;
  return html`<${BLOCKS[block.type] ?? Unknown} block=${block} ctx=${ctx} />`;
}

/** `ctx`: {prefix, heading, directory, form, errors?, act(action), confirm(object)}. */
export const Blocks = ({ blocks, ctx }) => html`<div class="blocks">${blocks.map((block, i) =>
  html`<div class="block" key=${block.block_id ?? i} data-type=${block.type} data-block-id=${block.block_id}>
    <${Guarded} block=${block} ctx=${ctx} /></div>`)}</div>`;
