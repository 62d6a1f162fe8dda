// Shortcuts of the apps: which there are, and how they stand in menus.
import { html } from './ui.js';

/** Every shortcut of one type ("global" or "message"): {app, by, callback_id, name, description}; `by` names the app. */
export const shortcutsOf = (apps, type) => apps.flatMap(app =>
  app.shortcuts.filter(s => s.type === type).map(s => ({ ...s, app: app.id, by: app.name })));

/** Menu items that run shortcuts; `place` is {channel, message_ts} for those of a message. */
export const shortcutItems = (shortcuts, store, place) => shortcuts.map(shortcut => ({
  key: `${shortcut.app}/${shortcut.callback_id}`,
  label: html`<span class="shortcut">${shortcut.name}<small>${shortcut.by}</small></span>`,
  onPick: () => store.shortcut(shortcut, place),
}));
