// Keeps the inspector's knowledge fresh: reads when the workspace says that something was seen, at most once a second.
import { useEffect, useMemo, useRef, useState } from './ui.js';
import { merged, sinceOf } from './inspector-rows.js';

const PAUSE_MS = 1000;
const IDLE_MS = 5000; // limits and faults run out without anybody saying so
const NOTHING = {
  entries: [], apps: [], limits: [], unknown_methods: {}, faults: [], clock: null, has_rate_limits: true, isRead: false,
};
const lastOf = entries => entries.at(-1)?.n ?? 0;

/** Runs `read` when asked, one at a time and at most once in PAUSE_MS. */
function paced(read) {
  let timer = null;
  let last = 0;
  let busy = false;
  let again = false;
  async function run() {
    timer = null;
    busy = true;
    last = Date.now();
    try {
      await read();
    } finally {
      busy = false;
    }
    if (again) ask();
  }
  function ask() {
    again = busy;
    if (!busy) timer ??= setTimeout(run, Math.max(0, last + PAUSE_MS - Date.now()));
  }
  return { ask, stop: () => clearTimeout(timer) };
}

/**
 * {known, skipped, missed, paused, setPaused, clear, learn}: `known` is the last answer of GET /ui/inspector with all
 * entries so far, `skipped` how many came too fast to be read, `missed` how many came during a pause; `learn` takes
 * over what a POST /ui/control has answered.
 */
export function useFeed(store, seen, online) {
  const [known, setKnown] = useState(NOTHING);
  const [paused, setPaused] = useState(false);
  const [cleared, setCleared] = useState(0); // the last entry that was cleared away
  const isWhole = useRef(true);
  const all = useRef(NOTHING.entries);
  const pace = useMemo(() => paced(async () => {
    const whole = isWhole.current;
    const answer = await store.inspect(whole ? 0 : sinceOf(all.current));
    if (!answer) return;
    isWhole.current = false;
    all.current = merged(all.current, answer.entries, whole);
    setCleared(n => (n > lastOf(all.current) ? 0 : n));
    setKnown(now => ({ ...now, ...answer, entries: all.current, isRead: true }));
  }), [store]);

  useEffect(() => pace.stop, [pace]);
  useEffect(() => {
    if (!online) return;
    isWhole.current = true; // the workspace may be another one by now
    pace.ask();
  }, [online]);
  useEffect(() => {
    if (!paused) pace.ask();
  }, [seen, paused]);
  useEffect(() => {
    const idle = setInterval(() => !paused && online && !document.hidden && pace.ask(), IDLE_MS);
    return () => clearInterval(idle);
  }, [paused, online]);

  const entries = useMemo(() => known.entries.filter(entry => entry.n > cleared), [known.entries, cleared]);
  return {
    known: { ...known, entries },
    skipped: known.entries.length ? lastOf(known.entries) - known.entries[0].n + 1 - known.entries.length : 0,
    missed: paused ? Math.max(0, (seen?.n ?? 0) - lastOf(known.entries)) : 0,
    paused,
    setPaused,
    clear: () => setCleared(lastOf(known.entries)),
    learn: answer => answer && setKnown(now => ({ ...now, ...answer })),
  };
}
