// How an element tells its app: the value it keeps, the action it sends, the names that tests find it by.

export const words = text => text?.text ?? '';

/** Sends one action, after its confirm dialog: whether the app took it, or null when the person said no. */
export async function fire(el, block, ctx, extra) {
  if (el.confirm && !(await ctx.confirm(el.confirm))) return null;
  return ctx.act({ type: el.type, block_id: block.block_id, action_id: el.action_id, ...extra });
}
export const dispatches = block => block.type !== 'input' || block.dispatch_action;

/** Stores the choice and, where Slack would, tells the app; a denied confirm puts the old choice back. */
export async function choose(el, block, ctx, key, value) {
  const before = ctx.form.get(block.block_id, el);
  ctx.form.set(block.block_id, el, value);
  if (!dispatches(block)) return;
  if ((await fire(el, block, ctx, { [key]: value })) === null) ctx.form.set(block.block_id, el, before);
}

/** Name, description and contract attributes shared by every control. */
export function attributes(el, field) {
  return {
    id: field?.id,
    'aria-label': field ? undefined : el.accessibility_label ?? (words(el.placeholder) || el.action_id),
    'aria-describedby': field?.describedBy,
    'aria-invalid': field?.invalid ? 'true' : undefined,
    'data-type': el.type,
    'data-action-id': el.action_id,
    'data-focus': el.focus_on_load ? 'true' : undefined,
  };
}
export const groupAttributes = (el, field) => ({
  ...attributes(el, field),
  'aria-label': field ? undefined : el.action_id,
  'aria-labelledby': field?.labelId,
});
