// What stands in place of the workspace for a page without the token of this start.
import { html, useEffect, useRef, useState } from './ui.js';
import { ApiError, isToken } from './api.js';

/** The token in what was pasted: the token alone, or the address that the terminal printed. */
export const tokenIn = pasted => pasted.match(/[?&]token=([^&#\s]+)/)?.[1] ?? pasted.trim();

const WRONG = 'This is not the token of the workspace that runs now.';

export function Locked() {
  const [complaint, setComplaint] = useState('');
  const field = useRef();
  useEffect(() => field.current.focus(), []);
  async function open(event) {
    event.preventDefault();
    const token = tokenIn(field.current.value);
    try {
      if (token && await isToken(token)) {
        location.assign(`/?token=${encodeURIComponent(token)}${location.hash}`);
        return;
      }
      setComplaint(token ? WRONG : 'Paste the token, or the whole address.');
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setComplaint(error.message);
    }
    field.current.focus();
  }
  return html`<main class="waiting locked">
    <h1>Open the address that the terminal printed</h1>
    <p>The workspace shows itself only to whoever started it. Every start makes a new token, which stands in that
      address.</p>
    <form onSubmit=${open} noValidate>
      <label for="token">Or paste the address or its token here</label>
      <div class="row"><input class="text" id="token" ref=${field} autocomplete="off" spellcheck=${false}
        aria-invalid=${complaint ? 'true' : undefined} aria-describedby="token-complaint" />
        <button type="submit" class="btn primary">Open</button></div>
      <p class="field-error" id="token-complaint" role="alert">${complaint}</p>
    </form>
  </main>`;
}
