// Trouble on demand: faults, rate limits, the clock and the sockets of the running workspace.
import { html, useState } from './ui.js';
import { useStore } from './context.js';
import { counted, span } from './inspector-rows.js';

const DELIVERIES = {
  '*': { title: 'Everything', subject: ['delivery', 'deliveries'] },
  slash_commands: { title: 'Slash commands', subject: ['slash command', 'slash commands'] },
  interactive: { title: 'Interactions', subject: ['interaction', 'interactions'] },
  events_api: { title: 'Events', subject: ['event', 'events'] },
};
const method = { on: 'method' };
const delivery = { on: 'delivery' };

/** What can go wrong; `happens` and `meets` are parts of sentenceOf. */
const FAULTS = [
  { group: 'Calls', kinds: {
    ratelimited: { title: 'Too many calls', ...method, seconds: ['Retry-After', 5],
      happens: s => `answers 429 with Retry-After ${s} s`,
      why: 'The call is not carried out. The app has to wait as long as Retry-After says and call again.' },
    error: { title: 'Failure before the work', ...method, happens: () => 'answers 503, and nothing has been done',
      why: 'Slack is in trouble: the call is lost, and calling again is safe.' },
    fatal_error: { title: 'Failure in Slack\'s words', ...method,
      happens: () => 'answers fatal_error, and nothing has been done',
      why: 'The answer has status 200 and says ok: false, as Slack writes it when it fails inside.' },
    error_after_commit: { title: 'Failure after the work', ...method, happens: () => 'is carried out, but answers 500',
      why: 'The message stands in the channel, but the app reads a failure. An app that calls again posts it twice.' },
    slow: { title: 'Slow answers', ...method, seconds: ['Seconds', 5], happens: s => `answers after ${s} s`,
      why: 'The call is carried out, but its answer takes its time.' },
  } },
  { group: 'Deliveries', kinds: {
    drop_ack: { title: 'Lost acknowledgement', ...delivery,
      happens: () => 'is delivered, but the acknowledgement is lost',
      why: 'The app has answered in time, but the person reads operation_timeout, and events are sent again.' },
    late_ack: { title: 'Late acknowledgement', ...delivery, happens: () => 'is acknowledged too late',
      why: 'The app works, but Slack has given up after three seconds.' },
    duplicate: { title: 'Delivered twice', ...delivery, happens: () => 'is delivered twice',
      why: 'The same payload comes again, as when an acknowledgement was lost. An app should act once.' },
  } },
  { group: 'Sockets', kinds: {
    close_sockets: { title: 'Socket closed under way', ...delivery, happens: () => 'finds its socket closed',
      why: 'The workspace closes the socket instead. Another socket gets the payload; without one it fails.' },
  } },
  { group: 'Files', kinds: {
    slow_file: { title: 'Slow files', seconds: ['Seconds', 10], meets: ['file', 'files'],
      happens: s => `can be used after ${s} s`,
      why: 'An uploaded file is not ready at once: a message that shows it before that is refused.' },
  } },
];
const KINDS = Object.assign({}, ...FAULTS.map(({ kinds }) => kinds));

/** [one, many] of what a fault meets. */
function subjectOf({ kind, on }) {
  const about = KINDS[kind];
  if (about?.meets) return about.meets;
  if (on && on !== '*') return DELIVERIES[on]?.subject ?? [`call of ${on}`, `calls of ${on}`];
  return about?.on === 'delivery' ? ['delivery', 'deliveries'] : ['call', 'calls'];
}

/** "Each of the next 3 calls of chat.update answers…": one sentence without its full stop; `nameOf(app id)`. */
export function sentenceOf(fault, nameOf) {
  const happens = KINDS[fault.kind]?.happens(fault.seconds) ?? `meets ${fault.kind}`;
  const [one, many] = subjectOf(fault);
  const which = fault.times === null ? `Every ${one}` : fault.times === 1 ? `The next ${one}`
    : `Each of the next ${fault.times} ${many}`;
  const whose = fault.app ? ` ${KINDS[fault.kind]?.on === 'delivery' ? 'to' : 'from'} ${nameOf(fault.app)}` : '';
  return `${which}${whose} ${happens}`;
}

function AppChoice({ id, apps }) {
  return apps.length > 1 && html`<label for=${id}>App</label>
    <select class="select" id=${id} name="app"><option value="">Every app</option>
      ${apps.map(app => html`<option value=${app.id}>${app.name}</option>`)}</select>`;
}

function FaultForm({ kind, apps, nameOf, change }) {
  const about = KINDS[kind];
  const [always, setAlways] = useState(false);
  const id = name => `fault-${kind}-${name}`;
  function submit(event) {
    event.preventDefault();
    const given = new FormData(event.target);
    const text = name => (given.get(name) ?? '').trim();
    const fault = {
      kind,
      ...(about.on && { on: text('on') || '*' }),
      ...(text('app') && { app: text('app') }),
      ...(about.seconds && { seconds: Number(text('seconds')) }),
      times: always ? null : Number(text('times')),
    };
    change({ fault }, `${sentenceOf(fault, nameOf)}.`);
  }
  return html`<details class="fault" name="fault" data-kind=${kind}>
    <summary>${about.title}</summary>
    <form onSubmit=${submit}>
      <p>${about.why}</p>
      <div class="pairs">
        ${about.on === 'method' && html`<label for=${id('on')}>Method</label>
          <input class="text" id=${id('on')} name="on" list="methods" placeholder="every method"
            autocomplete="off" spellcheck=${false} />`}
        ${about.on === 'delivery' && html`<label for=${id('on')}>What</label>
          <select class="select" id=${id('on')} name="on">${Object.entries(DELIVERIES).map(([value, { title }]) =>
            html`<option value=${value}>${title}</option>`)}</select>`}
        <${AppChoice} id=${id('app')} apps=${apps} />
        ${about.seconds && html`<label for=${id('seconds')}>${about.seconds[0]}</label>
          <input class="text" id=${id('seconds')} name="seconds" type="number" min="0" max="3600" step="any" required
            defaultValue=${about.seconds[1]} />`}
        <label for=${id('times')}>Times</label>
        <input class="text" id=${id('times')} name="times" type="number" min="1" max="1000" required
          defaultValue="1" disabled=${always} />
      </div>
      <label class="choice"><input type="checkbox" checked=${always}
        onChange=${event => setAlways(event.target.checked)} />
        <span>Until it is cleared</span></label>
      <button type="submit" class="btn primary">Start</button>
    </form>
  </details>`;
}

function Active({ faults, nameOf, change }) {
  if (!faults.length) return html`<p class="nothing">No fault is on: the workspace works as it should.</p>`;
  return html`<ul class="active">${faults.map((fault, i) => html`<li key=${i}>${sentenceOf(fault, nameOf)}.
      <b>${fault.times === null ? 'Until cleared' : `${counted(fault.times, 'time')} left`}</b></li>`)}</ul>
    <button type="button" class="btn"
      onClick=${() => change({ clear_faults: true }, 'All faults are cleared.')}>Clear all</button>`;
}

const AHEAD = [[10, '10 s'], [60, '1 min'], [1800, '30 min'], [18000, '5 h']];
const REASONS = {
  warning: 'warning: the socket closes soon',
  refresh_requested: 'refresh_requested: Slack asks for a new one',
  link_disabled: 'link_disabled: Socket Mode is switched off',
  too_many_websockets: 'too_many_websockets: more than ten',
};

function Clock({ clock, change }) {
  const told = answer => `The workspace's clock is now ${span(answer.clock.ahead_s)} ahead.`;
  const move = seconds => change({ advance_s: seconds }, told);
  return html`<section class="panel" aria-labelledby="clock-title">
    <h2 id="clock-title">Clock</h2>
    <p>${clock?.ahead_s ? `The workspace's clock is ${span(clock.ahead_s)} ahead.` : 'The workspace\'s clock is right.'}
      ${' '}Move it ahead, so that what runs out (triggers, response_urls, limits) runs out now:</p>
    <div class="row">${AHEAD.map(([seconds, words]) => html`<button type="button" class="btn"
      onClick=${() => move(seconds)}>+ ${words}</button>`)}</div>
  </section>`;
}

function Disconnect({ apps, nameOf, change }) {
  function submit(event) {
    event.preventDefault();
    const given = new FormData(event.target);
    const [reason, app] = [given.get('reason'), given.get('app')];
    const whose = app ? `The sockets of ${nameOf(app)}` : 'All sockets';
    change({ disconnect: { reason, ...(app && { app }) } }, `${whose} are told to disconnect: ${reason}.`);
  }
  return html`<section class="panel" aria-labelledby="disconnect-title">
    <h2 id="disconnect-title">Disconnect</h2>
    <form onSubmit=${submit}>
      <div class="pairs">
        <label for="disconnect-reason">Reason</label>
        <select class="select" id="disconnect-reason" name="reason">${Object.entries(REASONS).map(([value, words]) =>
          html`<option value=${value}>${words}</option>`)}</select>
        <${AppChoice} id="disconnect-app" apps=${apps} />
      </div>
      <button type="submit" class="btn">Disconnect all sockets</button>
    </form>
  </section>`;
}

/** `known` as in inspector-feed.js; `learn` takes what the workspace answers to a change. */
export function Faults({ known, methods, nameOf, learn }) {
  const store = useStore();
  /** Changes the workspace; `told` is the toast, or makes it from the answer. */
  async function change(wanted, told) {
    const answer = await store.control(wanted);
    if (!answer) return;
    const { faults, has_rate_limits, clock } = answer;
    learn({ faults, has_rate_limits, clock });
    store.toast(typeof told === 'function' ? told(answer) : told, 'info');
  }
  const { faults, apps, clock, has_rate_limits: limited } = known;
  const flip = () => change({ has_rate_limits: !limited }, `Rate limits are ${limited ? 'off' : 'on'}.`);
  return html`<section class="panel" aria-labelledby="faults-title">
      <h2 id="faults-title">Faults that are on</h2>
      <${Active} faults=${faults} nameOf=${nameOf} change=${change} />
    </section>
    <section class="panel" aria-labelledby="new-fault-title">
      <h2 id="new-fault-title">Let something go wrong</h2>
      <datalist id="methods">${methods.map(name => html`<option value=${name} />`)}</datalist>
      ${FAULTS.map(({ group, kinds }) => html`<h3>${group}</h3>${Object.keys(kinds).map(kind => html`
        <${FaultForm} key=${kind} kind=${kind} apps=${apps} nameOf=${nameOf} change=${change} />`)}`)}
    </section>
    <section class="panel" aria-labelledby="limited-title">
      <h2 id="limited-title">Rate limits</h2>
      <label class="switch"><input type="checkbox" role="switch" checked=${limited} onChange=${flip} />
        <span>Refuse calls above Slack's rate limits</span></label>
    </section>
    <${Clock} clock=${clock} change=${change} />
    <${Disconnect} apps=${apps} nameOf=${nameOf} change=${change} />`;
}
