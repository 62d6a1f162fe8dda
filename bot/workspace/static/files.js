// Files: how they are read from a person's disk, asked for by id, and drawn in messages and in picture blocks.
import { html, useEffect, useState } from './ui.js';
import { useStore } from './context.js';
import { Icon } from './icons.js';

const AGAIN_MS = 1000;

export function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB'];
  const at = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${Number((bytes / 1000 ** at).toPrecision(3))} ${units[at]}`;
}

/** The bytes of a File, in base64. */
export const base64 = file => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

/** Addresses of files name the workspace as the app knows it; the page asks for them under its own name. */
export const local = url => {
  const { pathname, search } = new URL(url, location.href);
  return pathname + search;
};

export const isReady = file => Boolean(file.mimetype) || file.mode === 'tombstone';

/** The file with this id: undefined until it is known, null if there is none; read again until it is ready. */
export function useFile(id, known) {
  const store = useStore();
  const [found, setFound] = useState(known);
  useEffect(() => {
    if (known && isReady(known)) {
      setFound(known);
      return undefined;
    }
    let timer;
    let gone = false;
    async function read() {
      const file = await store.file(id);
      if (gone) return;
      setFound(file);
      if (file && !isReady(file)) timer = setTimeout(read, AGAIN_MS);
    }
    read();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [id, known]);
  return found;
}

export const Processing = ({ name }) => html`<div class="file processing">
  <span class="file-sign"><span class="spinner" aria-hidden="true"></span></span>
  <span class="file-words"><b>${name}</b><small>Processing…</small></span></div>`;

function FileCard({ file }) {
  const title = file.title || file.name;
  return html`<div class="file" data-file-id=${file.id}>
    <span class="file-sign"><${Icon} name="file" /></span>
    <a class="file-words" href=${local(file.url_private)} target="_blank" rel="noopener noreferrer"><b>${title}</b>
      <small>${file.pretty_type || file.filetype || 'File'} · ${size(file.size ?? 0)}</small></a>
    <a class="iconbtn" href=${local(file.url_private_download ?? file.url_private)} download=${file.name}
      aria-label=${`Download ${title}`} title="Download"><${Icon} name="download" /></a>
  </div>`;
}

function ImageFile({ file }) {
  const title = file.title || file.name;
  const url = local(file.url_private);
  return html`<figure class="image shared" data-file-id=${file.id}>
    <figcaption>${title}</figcaption>
    <a href=${url} target="_blank" rel="noopener noreferrer"><img src=${url} alt=${file.alt_txt || title} loading="lazy"
      width=${file.original_w} height=${file.original_h} /></a>
  </figure>`;
}

/** A file of a message. */
export function SharedFile({ file: known }) {
  const file = useFile(known.id, known) ?? known;
  if (file.mode === 'tombstone') return html`<div class="note">This file was deleted.</div>`;
  if (!isReady(file)) return html`<${Processing} name=${file.title || file.name} />`;
  return file.mimetype.startsWith('image/') ? html`<${ImageFile} file=${file} />` : html`<${FileCard} file=${file} />`;
}
