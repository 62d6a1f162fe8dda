// Block Kit -> vnodes: the layout blocks. What a person acts on is in elements.js.
// Contract for browser tests: data-type and data-block-id on a block, data-type and data-action-id on a control.
import { html, useErrorBoundary } from './ui.js';
import { Card, Carousel, Plan, Task } from './cards.js';
import { Chart } from './charts.js';
import { Element, Text, isGroup } from './elements.js';
import { Markdown } from './markdown.js';
import { Image, Picture, RemoteFile, Video } from './media.js';
import { plain } from './mrkdwn.js';
import { RichText } from './richtext.js';
import { DataTable, Table } from './tables.js';

function Section({ block, ctx }) {
  return html`<div class="section">
    <div class="body">
      ${block.text && html`<div class="text-body"><${Text} text=${block.text} directory=${ctx.directory} /></div>`}
      ${block.fields && html`<div class="fields">${block.fields.map(field =>
        html`<div><${Text} text=${field} directory=${ctx.directory} /></div>`)}</div>`}
    </div>
    ${block.accessory && html`<div class="accessory">${block.accessory.type === 'image'
      ? html`<${Picture} class="accessory-image" image=${block.accessory} />`
      : html`<${Element} el=${block.accessory} block=${block} ctx=${ctx} />`}</div>`}
  </div>`;
}

const Actions = ({ block, ctx }) => html`<div class="actions">${block.elements.map(el =>
  html`<${Element} key=${el.action_id} el=${el} block=${block} ctx=${ctx} />`)}</div>`;

const Context = ({ block, ctx }) => html`<div class="context">${block.elements.map(el => el.type === 'image'
  ? html`<${Picture} class="context-image" image=${el} />`
  : html`<span><${Text} text=${el} directory=${ctx.directory} /></span>`)}</div>`;

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

/** Blocks under one title, which fold if the app wants it; what is typed inside survives the folding. */
function Container({ block, ctx }) {
  const head = html`<span class="container-head">
    ${block.icon && html`<${Picture} class="card-icon" image=${block.icon} />`}
    <span class="container-words">${block.title ? html`<b>${plain(block.title.text)}</b>`
      : html`<${RichText} block=${block.rich_text_title} directory=${ctx.directory} />`}
      ${block.subtitle && html`<small><${Text} text=${block.subtitle} directory=${ctx.directory} /></small>`}</span>
  </span>`;
  const body = html`<div class="container-body"><${Blocks} blocks=${block.child_blocks} ctx=${ctx} /></div>`;
  const names = ['container', block.width ?? 'standard', block.has_header_divider && 'divided'];
  const name = names.filter(Boolean).join(' ');
  return block.is_collapsible
    ? html`<details class=${name} open=${!block.default_collapsed}><summary>${head}</summary>${body}</details>`
    : html`<div class=${name}>${head}${body}</div>`;
}

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
  carousel: Carousel,
  container: Container,
  context_actions: Actions,
  video: Video,
  file: RemoteFile,
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

/** `ctx`: {prefix, heading, directory, errors?} and what `acts` of context.js gives. */
export const Blocks = ({ blocks, ctx }) => html`<div class="blocks">${blocks.map((block, i) =>
  html`<div class="block" key=${block.block_id ?? i} data-type=${block.type} data-block-id=${block.block_id}>
    <${Guarded} block=${block} ctx=${ctx} /></div>`)}</div>`;
