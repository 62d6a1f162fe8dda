// Addresses: "/#C0TUNING", "/#C0TUNING/1700000000.000100" (with its thread) and Slack's permalinks.

/** What an address points at: {channel, thread, target}; target is the message to show. */
export function parse(url) {
  const link = url.pathname.match(/^\/archives\/(\w+)\/p(\d+)(\d{6})$/);
  if (link) return { channel: link[1], thread: url.searchParams.get('thread_ts'), target: `${link[2]}.${link[3]}` };
  const [channel, thread] = url.hash.slice(1).split('/');
  return { channel: channel || null, thread: thread ?? null, target: null };
}

export const address = (channel, thread) => `/#${channel}${thread ? `/${thread}` : ''}`;

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
