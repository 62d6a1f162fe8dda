// Pictures, videos and the cards that stand for files. Nothing is loaded from outside this machine.
import { html } from './ui.js';
import { Processing, isReady, local, useFile } from './files.js';
import { Icon } from './icons.js';
import { Link, plain } from './mrkdwn.js';

/** Whether the page may load a picture from here. */
export const isOurs = url =>
  Boolean(url) && (url.startsWith('data:image/') || new URL(url, location.href).origin === location.origin);

/** A foreign picture is shown as a link to it. */
export function PictureAt({ url, alt, class: name }) {
  if (isOurs(url)) return html`<img class=${name} src=${url} alt=${alt} loading="lazy" />`;
  return html`<a class="foreign" href=${url} target="_blank" rel="noopener noreferrer">🖼 ${alt || url}</a>`;
}

/** A picture that was uploaded: by its id, or by its address, which names the id. */
function SlackPicture({ image, class: name }) {
  const { id, url } = image.slack_file;
  const file = useFile(id ?? url.match(/-(F\w+)\//)?.[1]);
  if (file === null) return html`<span class="unknown">There is no file ${id ?? url} to show.</span>`;
  if (!file || !isReady(file)) return html`<${Processing} name=${image.alt_text} />`;
  return html`<img class=${name} src=${local(file.url_private)} alt=${image.alt_text} loading="lazy" />`;
}

/** The picture of an image block or element. */
export const Picture = ({ image, class: name }) => (image.slack_file
  ? html`<${SlackPicture} image=${image} class=${name} />`
  : html`<${PictureAt} url=${image.image_url} alt=${image.alt_text} class=${name} />`);

export const Image = ({ block }) => html`<figure class="image">
  ${block.title && html`<figcaption>${plain(block.title.text)}</figcaption>`}
  <${Picture} image=${block} />
</figure>`;

/** A video opens where it is; the page shows its picture only if that is ours. */
export function Video({ block }) {
  const by = [block.author_name, block.provider_name].filter(Boolean).join(' · ');
  return html`<div class="video">
    ${by && html`<div class="video-by">${isOurs(block.provider_icon_url)
      && html`<img class="context-image" src=${block.provider_icon_url} alt="" />`}${by}</div>`}
    <div class="card-title">${block.title_url ? html`<${Link} url=${block.title_url}>${plain(block.title.text)}<//>`
      : plain(block.title.text)}</div>
    ${block.description && html`<div>${plain(block.description.text)}</div>`}
    <a class="poster" href=${block.video_url} target="_blank" rel="noopener noreferrer"
      aria-label=${`Play video: ${block.alt_text}`}>
      ${isOurs(block.thumbnail_url) ? html`<img src=${block.thumbnail_url} alt="" loading="lazy" />`
        : html`<span class="poster-alt">${block.alt_text}</span>`}
      <span class="play"><${Icon} name="play" /></span></a>
  </div>`;
}

/** A file that lives somewhere else and that the app has told Slack of. */
export const RemoteFile = ({ block }) => html`<div class="file">
  <span class="file-sign"><${Icon} name="file" /></span>
  <span class="file-words"><b>${block.external_id}</b><small>Remote file</small></span></div>`;
