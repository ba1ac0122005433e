// Tables, sortable by their heads.

import { createMemo, createSignal, For, Show, type JSX } from 'solid-js';
import { bool, num } from '../../core/json';
import { columns, sorted, tableFrame, type TableCell } from '../../dashboard/table';
import type { PanelProps } from './context';

export function Table(props: PanelProps): JSX.Element {
  const [frameIndex, setFrameIndex] = createSignal(num(props.panel.options['frameIndex']) ?? 0);
  const [sort, setSort] = createSignal<{ by: string; descending: boolean }>();
  const frame = createMemo(() => {
    const picked = tableFrame(props.data.frames, frameIndex());
    return picked === undefined ? undefined : sorted(picked, props.panel, sort());
  });
  const cols = createMemo(() => {
    const current = frame();
    return current === undefined ? [] : columns(current, props.utc);
  });
  const rows = createMemo(() => Array.from({ length: Math.max(0, ...cols().map((column) => column.cells.length)) }, (_, row) => row));
  const click = (title: string): void => {
    setSort({ by: title, descending: sort()?.by === title ? !sort()?.descending : true });
  };
  return (
    <>
      <div class="data-table" data-rows={rows().length}>
        <table>
          <Show when={bool(props.panel.options['showHeader'], true)}>
            <thead>
              <tr>
                <For each={cols()}>
                  {(column) => (
                    <th
                      class={column.number ? 'number' : ''}
                      style={column.width === undefined ? {} : { width: `${column.width}px` }}
                      aria-sort={sort()?.by === column.title ? (sort()?.descending ? 'descending' : 'ascending') : undefined}
                    >
                      <button type="button" onClick={() => click(column.title)}>
                        {column.title}
                        {sort()?.by === column.title ? (sort()?.descending ? ' ▾' : ' ▴') : ''}
                      </button>
                    </th>
                  )}
                </For>
              </tr>
            </thead>
          </Show>
          <tbody>
            <For each={rows()}>{(row) => <tr><For each={cols()}>{(column) => <DataCell cell={column.cells[row]} number={column.number} />}</For></tr>}</For>
          </tbody>
        </table>
      </div>
      <Show when={props.data.frames.length > 1}>
        <select value={frameIndex()} aria-label="frame" onChange={(event) => setFrameIndex(Number(event.currentTarget.value))}>
          <For each={props.data.frames.slice(0, 500)}>
            {(one, index) => <option value={index()}>{one.fields.find((field) => field.type === 'number')?.display ?? one.refId}</option>}
          </For>
        </select>
      </Show>
    </>
  );
}

function DataCell(props: { cell: TableCell | undefined; number: boolean }): JSX.Element {
  const cell = (): TableCell => props.cell ?? { text: '', color: 'var(--text)', kind: 'plain', share: 0 };
  const style = (): JSX.CSSProperties => {
    if (cell().kind === 'text') return { color: cell().color };
    if (cell().kind === 'background' && cell().color !== 'var(--text)') return { background: cell().color, color: '#fff', 'text-shadow': '0 0 2px rgb(0 0 0 / 0.5)' };
    return {};
  };
  return (
    <td class={props.number ? 'number' : ''} style={style()} title={cell().text}>
      <Show when={cell().kind === 'gauge'} fallback={cell().text}>
        <div class="cell-gauge">
          <i style={{ width: `${Math.round(cell().share * 100)}px`, background: cell().color }} />
          <span>{cell().text}</span>
        </div>
      </Show>
    </td>
  );
}
