// Reactions to a message: who reacted with what, and a small picker for one more.
import { html } from './ui.js';
import { EMOJI } from './emoji.js';
import { Icon } from './icons.js';
import { Menu } from './menu.js';
import { Emoji } from './mrkdwn.js';

const OFFERED = [
  '+1', 'eyes', 'white_check_mark', 'tada', 'heart', 'raised_hands',
  'rocket', 'fire', 'thinking_face', 'joy', 'pray', 'x',
];

const nameOf = (id, directory) => {
  const person = directory.person(id);
  return person?.real_name || person?.name || id;
};

/** "You, Grace and Sample reacted with :+1:" */
function told({ name, users = [] }, directory) {
  const others = users.filter(id => id !== directory.me).map(id => nameOf(id, directory));
  const names = users.includes(directory.me) ? ['You', ...others] : others;
  return `${new Intl.ListFormat('en').format(names)} reacted with :${name}:`;
}

function Pill({ reaction, directory, onReact }) {
  const { name, count, users = [] } = reaction;
  const mine = users.includes(directory.me);
  const words = told(reaction, directory);
  return html`<button type="button" class="reaction" data-name=${name} aria-pressed=${mine ? 'true' : 'false'}
    aria-label=${`${EMOJI.has(name) ? name.replaceAll('_', ' ') : `:${name}:`} ${count}, ${words}`} title=${words}
    onClick=${() => onReact(name, !mine)}>${EMOJI.has(name) ? html`<${Emoji} name=${name} />` : `:${name}:`}
    <span class="count">${count}</span></button>`;
}

export const Picker = ({ buttonClass, onPick, children }) => html`<span class="picker"><${Menu} label="Add reaction"
  menuLabel="Reactions" buttonClass=${buttonClass} title="Add reaction"
  items=${OFFERED.map(name => ({ key: name, label: html`<${Emoji} name=${name} />`, onPick: () => onPick(name) }))}>
  ${children ?? html`<${Icon} name="smile" />`}<//></span>`;

export const Reactions = ({ reactions, directory, onReact }) => html`<div class="reactions">
  ${reactions.map(reaction => html`<${Pill} key=${reaction.name} reaction=${reaction} directory=${directory}
    onReact=${onReact} />`)}
  <${Picker} buttonClass="reaction add" onPick=${name => onReact(name, true)} />
</div>`;
