// Preact and htm, bound together: `html` templates, hooks, and `memo` for rows that rarely change.
import { h, render, Fragment } from './vendor/preact.js';
import htm from './vendor/htm.js';

export * from './vendor/hooks.js';
export { render, Fragment };
export const html = htm.bind(h);

/** A component that is drawn again only when one of its props is another object. */
export function memo(component) {
  return function Memo(props) {
    this.shouldComponentUpdate = next =>
      [...Object.keys(props), ...Object.keys(next)].some(key => next[key] !== this.props[key]);
    return h(component, props);
  };
}
