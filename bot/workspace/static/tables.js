// table and data_table blocks. Cells are raw_text, raw_number or rich_text; a data_table sorts and pages.
import { html, useState } from './ui.js';
import { cell } from './richtext.js';

const ARROWS = { none: '↕', ascending: '↑', descending: '↓' };
const isNumeric = column => column.every(c => c.type === 'raw_number');

function Row({ row, numeric, settings, headerColumn, directory }) {
  return html`<tr>${row.map((value, i) => {
    const setting = settings[i] ?? {};
    const align = setting.align ?? (numeric[i] ? 'right' : undefined);
    const props = { style: { textAlign: align }, class: setting.is_wrapped ? 'wrapped' : undefined };
    return i === headerColumn ? html`<th scope="row" ...${props}>${cell(value, directory)}</th>`
      : html`<td ...${props}>${cell(value, directory)}</td>`;
  })}</tr>`;
}

export function Table({ block, directory }) {
  const [head, ...rows] = block.rows;
  const settings = block.column_settings ?? [];
  const numeric = head.map((_, i) => isNumeric(rows.map(row => row[i])));
  const align = i => settings[i]?.align ?? (numeric[i] ? 'right' : undefined);
  return html`<div class="tablewrap" role="group" aria-label="Table" tabindex="0"><table>
    <thead><tr>${head.map((value, i) =>
      html`<th scope="col" style=${{ textAlign: align(i) }}>${cell(value, directory)}</th>`)}</tr></thead>
    <tbody>${rows.map(row => html`<${Row} row=${row} numeric=${numeric} settings=${settings}
      directory=${directory} />`)}</tbody>
  </table></div>`;
}

const written = value =>
  value.type === 'rich_text' ? JSON.stringify(value.elements) : value.text ?? String(value.value);

function compare(a, b, numeric) {
  if (numeric) return a.value - b.value;
  return written(a).localeCompare(written(b), undefined, { numeric: true });
}

function Pager({ page, pages, size, total, onPage }) {
  const first = page * size;
  return html`<div class="pager">
    <button type="button" class="btn" aria-label="Previous page" disabled=${page === 0}
      onClick=${() => onPage(page - 1)}>‹</button>
    <span>${first + 1}–${Math.min(first + size, total)} of ${total}</span>
    <button type="button" class="btn" aria-label="Next page" disabled=${page === pages - 1}
      onClick=${() => onPage(page + 1)}>›</button>
  </div>`;
}

export function DataTable({ block, directory }) {
  const [head, ...rows] = block.rows;
  const [order, setOrder] = useState({ column: null, down: false });
  const [wanted, setPage] = useState(0);
  const size = block.page_size ?? 5;
  const pages = Math.ceil(rows.length / size);
  const page = Math.min(wanted, pages - 1);
  const numeric = head.map((_, i) => isNumeric(rows.map(row => row[i])));
  const { column, down } = order;
  const sorted = column === null ? rows
    : rows.toSorted((a, b) => (down ? -1 : 1) * compare(a[column], b[column], numeric[column]));
  function sortBy(i) {
    setOrder({ column: i, down: column === i && !down });
    setPage(0);
  }
  const sortState = i => (column !== i ? 'none' : down ? 'descending' : 'ascending');
  return html`<div class="datatable">
    <div class="tablewrap" role="group" aria-label=${block.caption} tabindex="0"><table>
      <caption>${block.caption}</caption>
      <thead><tr>${head.map((value, i) => html`<th scope="col" aria-sort=${sortState(i)}
        class=${numeric[i] ? 'number' : ''}><button type="button" class="sort" onClick=${() => sortBy(i)}>
        ${cell(value, directory)}<span class="arrow" aria-hidden="true">${ARROWS[sortState(i)]}</span>
      </button></th>`)}</tr></thead>
      <tbody>${sorted.slice(page * size, (page + 1) * size).map(row => html`<${Row} row=${row} numeric=${numeric}
        settings=${[]} headerColumn=${block.row_header_column_index ?? 0} directory=${directory} />`)}</tbody>
    </table></div>
    ${pages > 1 && html`<${Pager} page=${page} pages=${pages} size=${size} total=${rows.length} onPage=${setPage} />`}
  </div>`;
}
