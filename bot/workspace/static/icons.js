// The page's own signs, drawn as strokes in the colour of the words beside them.
import { html } from './ui.js';

const THUMB = 'M6.5 9v7.5h-3V9zM6.5 9.3 9.6 3c1.4 0 2 1 1.8 2.2L11 8h4.3c1 0 1.7.9 1.5 1.9l-1 5.2c-.2.8-.9 1.4-1.7 1.4H6.5';
const PATHS = {
  bolt: 'M11 2.5 4.5 11.5h5l-1 6 6.5-9h-5z',
  clip: 'm15.8 9.3-5.6 5.6a3.4 3.4 0 0 1-4.8-4.8l6.1-6.1a2.3 2.3 0 0 1 3.3 3.3l-6 5.9a1.1 1.1 0 0 1-1.6-1.6l5.2-5.2',
  close: 'm5 5 10 10M15 5 5 15',
  dots: 'M10 4.5v.01M10 10v.01M10 15.5v.01',
  down: 'm5 8 5 5 5-5',
  download: 'M10 3v9.5M6 9l4 4 4-4M4 16.5h12',
  file: 'M5 2.5h6.5l4 4v11H5zM11.5 2.5v4h4',
  left: 'm12 5-5 5 5 5',
  link: 'M8.5 11.5a3 3 0 0 0 4.2 0l2.6-2.6a3 3 0 0 0-4.2-4.2l-1 1M11.5 8.5a3 3 0 0 0-4.2 0l-2.6 2.6a3 3 0 0 0 4.2 4.2l1-1',
  play: 'M7 4.5v11l9-5.5z',
  plus: 'M10 4v12M4 10h12',
  right: 'm8 5 5 5-5 5',
  smile: 'M15.5 2.5v5M13 5h5M11 4.2A6.7 6.7 0 1 0 15.8 10M6 12.3a3.6 3.6 0 0 0 6 0M7 8.8v.4M11 8.8v.4',
  thread: 'M3.5 4h13v9.5H9.8L6 17v-3.5H3.5z',
  thumb_down: THUMB,
  thumb_up: THUMB,
  trash: 'M4 5.5h12M8 5.5v-2h4v2M5.5 5.5l.7 11h7.6l.7-11M8.3 8.5v5M11.7 8.5v5',
};

export const Icon = ({ name }) => html`<svg class=${`sign-${name}`} data-icon=${name} viewBox="0 0 20 20"
  aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
