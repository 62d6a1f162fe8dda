// Addresses: "/#C0TUNING", "/#C0TUNING/1700000000.000100" (with its thread), "/#inspector", "/#home/A0APP"
// ("/#home/A0APP/messages" for its other tab) and Slack's permalinks.
const NOWHERE = { view: 'channel', app: null, tab: null, channel: null, thread: null, target: null };

/**
 * What an address points at: {view: "channel"|"inspector"|"home", app, tab, channel, thread, target}; target is the
 * message to show, app whose Home.
 */
export function parse(url) {
  const link = url.pathname.match(/^\/archives\/(\w+)\/p(\d+)(\d{6})$/);
  if (link) {
    const thread = url.searchParams.get('thread_ts');
    return { ...NOWHERE, channel: link[1], thread, target: `${link[2]}.${link[3]}` };
  }
  const [first, second, third] = url.hash.slice(1).split('/');
  if (first === 'inspector') return { ...NOWHERE, view: 'inspector' };
  if (first === 'home' && second) return { ...NOWHERE, view: 'home', app: second, tab: third ?? 'home' };
  return { ...NOWHERE, channel: first || null, thread: second ?? null };
}

export const address = (channel, thread) => `/#${channel}${thread ? `/${thread}` : ''}`;
export const INSPECTOR = '/#inspector';
export const homeOf = app => `/#home/${app}`;

/** Runs `go(url)` for every click on a link that stays inside the page. */
export function followLinks(go) {
  document.addEventListener('click', event => {
    const anchor = event.target.closest?.('a[href^="/archives/"], a[href^="/#"]');
    if (!anchor || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, '', anchor.href);
    go(new URL(anchor.href));
  });
  addEventListener('popstate', () => go(new URL(location.href)));
}
