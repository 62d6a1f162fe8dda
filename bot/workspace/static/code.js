// A block of code with its "Copy" button.
import { html, useState } from './ui.js';

export function CodeBlock({ text }) {
  const [copied, setCopied] = useState(false);
  async function copy() {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  }
  return html`<div class="codeblock">
    <pre><code>${text}</code></pre>
    <button type="button" class="copy" onClick=${copy}>${copied ? 'Copied' : 'Copy'}</button>
  </div>`;
}
