// A scrolling list of messages that stays at the end when it is at the end, and never jumps otherwise.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from './ui.js';
import { Message } from './message.js';
import { grouped } from './messages.js';
import { day } from './time.js';

const NEAR_END_PX = 60;
const NEAR_START_PX = 500;

/** Keeps `box` at its end while it was there; `pinned` is a ref, `away` whether something new came meanwhile. */
function useStickToEnd(box, inner, lastTs, key) {
  const pinned = useRef(true);
  const placed = useRef({ top: 0, height: 0 });
  const [away, setAway] = useState(false);
  const toEnd = () => {
    if (!box.current) return; // the list has just gone
    box.current.scrollTop = box.current.scrollHeight;
    placed.current = { top: box.current.scrollTop, height: box.current.scrollHeight };
    setAway(false);
  };
  // A scroll's event comes with the next frame: whoever has scrolled up just now is not pulled back.
  const follows = () => {
    const { top, height } = placed.current;
    const end = Math.min(top, height - (box.current?.clientHeight ?? 0));
    return pinned.current && (box.current?.scrollTop ?? 0) >= end - NEAR_END_PX;
  };
  useLayoutEffect(() => {
    pinned.current = true;
    toEnd();
  }, [key]);
  useLayoutEffect(() => {
    if (follows()) toEnd();
    else setAway(true);
  }, [lastTs]);
  useEffect(() => {
    const observer = new ResizeObserver(() => follows() && toEnd());
    observer.observe(inner.current);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  function onScroll() {
    if (!box.current) return;
    const { scrollHeight, scrollTop, clientHeight } = box.current;
    pinned.current = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (pinned.current) setAway(false);
  }
  return { pinned, away, toEnd, onScroll };
}

/** Shows the message that a permalink names. */
function useTarget(box, pinned, target, loaded) {
  useEffect(() => {
    const element = target && loaded && box.current.querySelector(`[data-ts="${target}"]`);
    if (!element) return;
    pinned.current = false;
    element.scrollIntoView({ block: 'center' });
  }, [target, loaded]);
}

const Divider = ({ kind, label, text = label }) => html`<div class=${`divider ${kind}`} role="separator"
  aria-label=${label}><span>${text}</span></div>`;

/** `children` stand before the first message there ever was, `after` behind the first one shown (a thread's root). */
export function MessageList(props) {
  const { label, channel, messages, directory, target, newSince, hasMore, onOlder, inThread, children, after } = props;
  const box = useRef();
  const inner = useRef();
  const busy = useRef(false);
  const lastTs = messages.at(-1)?.ts;
  const { pinned, away, toEnd, onScroll } = useStickToEnd(box, inner, lastTs, channel + (inThread ?? ''));
  const rows = useMemo(() => grouped(messages, directory), [messages, directory]);
  const isNew = ({ message }) => message.ts > newSince && message.user !== directory.me;
  const firstNew = newSince && rows.find(isNew)?.message.ts;
  useTarget(box, pinned, target, messages.some(m => m.ts === target));

  // What does not fill its box cannot be scrolled.
  useEffect(() => {
    if (hasMore && inner.current.offsetHeight <= box.current.clientHeight) scrolled();
  }, [messages]);

  async function scrolled() {
    onScroll();
    if (!box.current || !hasMore || busy.current || box.current.scrollTop > NEAR_START_PX) return;
    busy.current = true;
    const before = box.current.scrollHeight - box.current.scrollTop;
    await onOlder();
    requestAnimationFrame(() => {
      if (box.current) box.current.scrollTop = box.current.scrollHeight - before;
      busy.current = false;
    });
  }
  return html`<div class="listbox">
    <div class="log" role="log" aria-label=${label} tabindex="0" ref=${box} onScroll=${scrolled}>
      <div class="rows" ref=${inner}>
        ${!hasMore && children}
        ${rows.flatMap(({ message, compact, day: date }, i) => html`
          ${date && html`<${Divider} key=${`day${message.ts}`} kind="day" label=${day(date)} />`}
          ${message.ts === firstNew && html`<${Divider} key="new" kind="new" label="New messages" text="New" />`}
          <${Message} key=${message.ts} message=${message} channel=${channel} directory=${directory}
            inThread=${Boolean(inThread)} compact=${compact && message.ts !== firstNew}
            isTarget=${message.ts === target} />
          ${after && i === 0 && after}`)}
      </div>
    </div>
    ${away && html`<button type="button" class="jump" onClick=${toEnd}>New messages ↓</button>`}
  </div>`;
}
