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
  const end = useRef(0); // where the end was when it was last seen, as scrollTop
  const seenTs = useRef(lastTs);
  const [away, setAway] = useState(false);
  const toEnd = () => {
    if (!box.current) return; // the list has just gone
    box.current.scrollTop = box.current.scrollHeight;
    end.current = box.current.scrollTop;
    setAway(false);
  };
  // Rows are measured late (content-visibility), so the end moves by itself, and a scroll's event comes a frame after
  // the scroll: being far from the end means that somebody left it only where the box also stands higher than it was.
  const look = () => {
    if (!box.current) return;
    const { scrollHeight, scrollTop, clientHeight } = box.current;
    const last = scrollHeight - clientHeight;
    if (last - scrollTop < NEAR_END_PX) {
      pinned.current = true;
      end.current = last;
    } else if (scrollTop < end.current - NEAR_END_PX) pinned.current = false;
  };
  if (seenTs.current !== lastTs) {
    seenTs.current = lastTs;
    look(); // before the new row is there
  }
  useLayoutEffect(() => {
    pinned.current = true;
    toEnd();
  }, [key]);
  useLayoutEffect(() => {
    if (pinned.current) toEnd();
    else setAway(true);
  }, [lastTs]);
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      look();
      if (pinned.current) toEnd();
    });
    observer.observe(inner.current);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  function onScroll() {
    look();
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
