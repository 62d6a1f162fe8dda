// The only door to the server: JSON calls below /ui, and the stream of events with its reconnect.
const HEADERS = { 'Content-Type': 'application/json', 'X-Workspace-Client': '1' };

/** Raised when the server refuses (its sentence and `status`) or cannot be reached (`status` is null). */
export class ApiError extends Error {
  constructor(message, status, cause) {
    super(message, { cause });
    this.status = status;
  }
}

async function call(path, init) {
  let answer;
  try {
    answer = await fetch(path, init);
  } catch (cause) {
    throw new ApiError('The workspace does not answer. Is it still running?', null, cause);
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(body.error ?? `The workspace answered ${answer.status}.`, answer.status);
  return body;
}

export const get = (path, query) => call(`${path}?${new URLSearchParams(query)}`);
export const post = (path, body) => call(path, { method: 'POST', headers: HEADERS, body: JSON.stringify(body) });
/** Whether this is the page token of the running workspace. */
export async function isToken(token) {
  try {
    await call('/ui/state', { headers: { Authorization: `Bearer ${token}` } });
    return true;
  } catch (error) {
    if (error.status === 401) return false;
    throw error;
  }
}

const EVENTS = [
  'message', 'message_changed', 'message_deleted', 'ephemeral', 'view', 'toast', 'home', 'seen', 'channels', 'apps',
];

/**
 * Listens for one person (the first one, if there is no user in `query`). `onOpen` runs at every (re)connection:
 * whatever happened before it must be read again. The browser reconnects by itself unless the server refuses; then we
 * do, as long as `onRefused` agrees. Returns a function that stops it.
 */
export function listen(query, { onOpen, onEvent, onLost, onRefused }) {
  let source, timer;
  function connect() {
    source = new EventSource(`/ui/events?${new URLSearchParams(query)}`);
    const own = source;
    source.onopen = onOpen;
    for (const name of EVENTS) source.addEventListener(name, event => onEvent(name, JSON.parse(event.data)));
    source.onerror = async () => {
      onLost();
      if (own.readyState !== EventSource.CLOSED || !(await onRefused()) || own !== source) return;
      timer = setTimeout(connect, 2000);
    };
  }
  connect();
  return () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
}
