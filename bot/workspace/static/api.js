// The only door to the server: JSON calls below /ui, and the stream of events with its reconnect.
const HEADERS = { 'Content-Type': 'application/json', 'X-Workspace-Client': '1' };

/** Raised when the server refuses (its sentence) or cannot be reached. */
export class ApiError extends Error {}

async function call(path, init) {
  let answer;
  try {
    answer = await fetch(path, init);
  } catch (cause) {
    throw new ApiError('The workspace does not answer. Is it still running?', { cause });
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(body.error ?? `The workspace answered ${answer.status}.`);
  return body;
}

export const get = (path, query) => call(`${path}?${new URLSearchParams(query)}`);
export const post = (path, body) => call(path, { method: 'POST', headers: HEADERS, body: JSON.stringify(body) });

const EVENTS = ['message', 'message_changed', 'message_deleted', 'ephemeral', 'view', 'toast'];

/**
 * Listens for one person (the first one, if null). `onOpen` runs at every (re)connection: whatever happened before
 * it must be read again. The browser reconnects by itself unless the server refuses; then we do. Returns a function
 * that stops it.
 */
export function listen(user, { onOpen, onEvent, onLost }) {
  let source, timer;
  function connect() {
    source = new EventSource(`/ui/events?${new URLSearchParams(user ? { user } : {})}`);
    source.onopen = onOpen;
    for (const name of EVENTS) source.addEventListener(name, event => onEvent(name, JSON.parse(event.data)));
    source.onerror = () => {
      onLost();
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, 2000);
    };
  }
  connect();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
