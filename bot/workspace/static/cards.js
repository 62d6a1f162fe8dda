// Blocks that look like cards: card, carousel, plan and its tasks.
import { html, useEffect, useRef, useState } from './ui.js';
import { Element, Text } from './elements.js';
import { Icon } from './icons.js';
import { Picture } from './media.js';
import { RichText } from './richtext.js';
import { Link } from './mrkdwn.js';

const line = (text, name, ctx) =>
  text && html`<div class=${name}><${Text} text=${text} directory=${ctx.directory} /></div>`;

export const Card = ({ block, ctx }) => html`<div class="card">
  ${block.hero_image && html`<${Picture} class="hero" image=${block.hero_image} />`}
  ${(block.icon || block.title || block.subtitle) && html`<div class="card-head">
    ${block.icon && html`<${Picture} class="card-icon" image=${block.icon} />`}
    <div>${line(block.title, 'card-title', ctx)}${line(block.subtitle, 'card-subtitle', ctx)}</div></div>`}
  ${line(block.body, 'card-body', ctx)}${line(block.subtext, 'card-subtitle', ctx)}
  ${block.actions && html`<div class="actions">${block.actions.map(el =>
    html`<${Element} key=${el.action_id} el=${el} block=${block} ctx=${ctx} />`)}</div>`}
</div>`;

/** Which ways a row of cards can still be scrolled. */
function useEnds(row) {
  const [ends, setEnds] = useState({ left: false, right: false });
  function measure() {
    if (!row.current) return; // the row has just gone
    const { scrollLeft, clientWidth, scrollWidth } = row.current;
    const next = { left: scrollLeft > 4, right: scrollLeft + clientWidth < scrollWidth - 4 };
    setEnds(now => (now.left === next.left && now.right === next.right ? now : next));
  }
  useEffect(() => {
    const observer = new ResizeObserver(measure);
    observer.observe(row.current);
    return () => observer.disconnect();
  }, []);
  return [ends, measure];
}

export function Carousel({ block, ctx }) {
  const row = useRef();
  const [ends, measure] = useEnds(row);
  const turn = way => row.current.scrollBy({ left: way * row.current.clientWidth * 0.8, behavior: 'smooth' });
  const arrow = (side, label, way) => html`<button type="button" class=${`turn ${side}`} aria-label=${label}
    hidden=${!ends[side]} onClick=${() => turn(way)}><${Icon} name=${side} /></button>`;
  return html`<div class="carousel" role="group" aria-roledescription="carousel"
      aria-label=${`${block.elements.length} cards`}>
    <ul ref=${row} tabindex="0" aria-label="Cards" onScroll=${measure}>${block.elements.map((card, i) =>
      html`<li key=${card.block_id ?? i} data-type="card" data-block-id=${card.block_id}>
        <${Card} block=${card} ctx=${ctx} /></li>`)}</ul>
    ${arrow('left', 'Previous cards', -1)}${arrow('right', 'Next cards', 1)}
  </div>`;
}

const TASK_SIGN = { pending: '○', in_progress: '◔', complete: '●', error: '✕' };
export const Task = ({ block, ctx }) => html`<div class=${`task ${block.status}`}>
  <div class="task-title"><span class="task-sign" aria-hidden="true">${TASK_SIGN[block.status]}</span>${block.title}
    <span class="sr">, ${(block.status ?? '').replace('_', ' ')}</span></div>
  ${[block.details, block.output].filter(Boolean).map(rich =>
    html`<${RichText} block=${rich} directory=${ctx.directory} />`)}
  ${block.sources && html`<div class="task-sources">${block.sources.map(source =>
    html`<${Link} url=${source.url}>${source.text}<//>`)}</div>`}
</div>`;

export const Plan = ({ block, ctx }) => html`<div class="card plan"><div class="card-title">${block.title}</div>
  ${(block.tasks ?? []).map(task => html`<${Task} key=${task.task_id} block=${task} ctx=${ctx} />`)}</div>`;
