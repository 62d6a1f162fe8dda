// file_input: files that a person picks are uploaded at once, and the form holds them.
import { html, useState } from './ui.js';
import { attributes } from './acting.js';
import { size } from './files.js';
import { Icon } from './icons.js';

const suffix = name => name.split('.').pop().toLowerCase();

/** What Slack's client says to files that an element does not take; "" if it takes them. */
export function refusal(el, held, picked) {
  const most = el.max_files ?? 10;
  if (held + picked.length > most) return `Please select ${most === 1 ? 'one file' : `at most ${most} files`}.`;
  const wrong = el.filetypes && picked.find(file => !el.filetypes.includes(suffix(file.name)));
  return wrong ? `${wrong.name} is not accepted. Accepted: ${el.filetypes.join(', ')}.` : '';
}

export function FileInput({ el, block, ctx, field }) {
  const [sending, setSending] = useState([]);
  const [trouble, setTrouble] = useState('');
  const held = () => ctx.form.get(block.block_id, el);
  const keep = files => ctx.form.set(block.block_id, el, files);
  async function pick(event) {
    const picked = [...event.target.files];
    event.target.value = '';
    const words = refusal(el, held().length, picked);
    setTrouble(words);
    if (words) return;
    setSending(picked);
    for (const file of picked) {
      const kept = await ctx.upload(file);
      if (kept) keep([...held(), kept]);
    }
    setSending([]);
  }
  const accept = el.filetypes?.map(type => `.${type}`).join(',');
  return html`<div class="fileinput">
    <div class="drop"><input type="file" class="sr" ...${attributes(el, field)} accept=${accept}
        multiple=${(el.max_files ?? 10) > 1} onChange=${pick} />
      <label class="btn" for=${field.id} aria-hidden="true"><${Icon} name="clip" />Choose files</label>
      <span class="hint">${el.filetypes ? el.filetypes.join(', ') : 'Any type'}</span></div>
    <ul aria-live="polite">${held().map(file => html`<li key=${file.id} class="picked"><${Icon} name="file" />
        <b>${file.name}</b> <small>${size(file.size)}</small>
        <button type="button" class="icon" aria-label=${`Remove ${file.name}`}
          onClick=${() => keep(held().filter(f => f.id !== file.id))}><${Icon} name="close" /></button></li>`)}
      ${sending.filter(file => !held().some(f => f.name === file.name)).map(file => html`<li class="picked">
        <span class="spinner" aria-hidden="true"></span>${file.name}<small>uploading…</small></li>`)}</ul>
    ${trouble && html`<div class="field-error" role="alert">${trouble}</div>`}
  </div>`;
}
