// The graph with its legend.

import { createMemo, createSignal, For, Show, type JSX } from 'solid-js';
import { chartOf, type ChartSeries } from '../../chart/model';
import { bool, num, obj, str, strs, word } from '../../core/json';
import { isCountReducer, reduceNumber, reducerTitle } from '../../core/reduce';
import { t } from '../../i18n';
import { Chart, toggleHidden } from '../../shared/Chart';
import type { PanelProps } from './context';

export function TimeSeries(props: PanelProps): JSX.Element {
  const model = createMemo(() => chartOf(props.data.frames, { from: props.data.range.fromMs / 1000, to: props.data.range.toMs / 1000 }, props.utc));
  const [hidden, setHidden] = createSignal<ReadonlySet<string>>(new Set());
  const legend = (): { [key: string]: unknown } => obj(props.panel.options['legend']);
  const shown = (): boolean => bool(legend()['showLegend'], true) && legend()['displayMode'] !== 'hidden';
  const right = (): boolean => legend()['placement'] === 'right';
  const tooltip = (): { [key: string]: unknown } => obj(props.panel.options['tooltip']);
  return (
    <div class="graph" classList={{ right: right() }}>
      <div class="plot">
        <Chart
          model={model()}
          hidden={hidden()}
          label={props.panel.title}
          tooltip={word(tooltip()['mode'], ['single', 'multi', 'none'])}
          tooltipSort={word(tooltip()['sort'], ['none', 'asc', 'desc'])}
          syncKey={props.syncKey}
          onZoom={props.onZoom}
          onZoomOut={props.onZoomOut}
        />
      </div>
      <Show when={shown()}>
        <Legend
          series={model().series.filter((one) => one.inLegend)}
          hidden={hidden()}
          table={legend()['displayMode'] === 'table'}
          calcs={strs(legend()['calcs'])}
          sortBy={str(legend()['sortBy'])}
          descending={bool(legend()['sortDesc'])}
          limit={num(legend()['limit']) ?? 500}
          onToggle={(name, single) => setHidden(toggleHidden(hidden(), model().series.map((one) => one.name), name, single))}
        />
      </Show>
    </div>
  );
}

interface LegendProps {
  series: ChartSeries[];
  hidden: ReadonlySet<string>;
  table: boolean;
  calcs: string[];
  sortBy: string;
  descending: boolean;
  limit: number;
  onToggle: (name: string, single: boolean) => void;
}

function Legend(props: LegendProps): JSX.Element {
  const [sort, setSort] = createSignal<{ by: string; descending: boolean }>({ by: props.sortBy, descending: props.descending });
  const rows = createMemo(() => {
    const list = props.series.slice(0, props.limit).map((one) => ({ one, values: props.calcs.map((calc) => reduceNumber(calc, one.values)) }));
    const { by, descending } = sort();
    const column = props.calcs.findIndex((calc) => reducerTitle(calc) === by || calc === by);
    if (by === 'Name') list.sort((a, b) => a.one.name.localeCompare(b.one.name));
    else if (column >= 0) list.sort((a, b) => (a.values[column] ?? -Infinity) - (b.values[column] ?? -Infinity));
    else return list;
    return descending ? list.reverse() : list;
  });
  const click = (title: string): void => {
    setSort(sort().by === title ? { by: title, descending: !sort().descending } : { by: title, descending: title !== 'Name' });
  };
  const text = (one: ChartSeries, index: number, value: number | null): string => {
    const calc = props.calcs[index] ?? '';
    return isCountReducer(calc) ? String(value ?? '') : one.format(value);
  };
  const item = (one: ChartSeries): JSX.Element => (
    <button
      type="button"
      title={`${one.name}\n${t('isolateHint')}`}
      classList={{ off: props.hidden.has(one.name) }}
      aria-pressed={!props.hidden.has(one.name)}
      onClick={(event) => props.onToggle(one.name, event.ctrlKey || event.metaKey)}
    >
      <span class="swatch" style={{ background: one.color }} />
      <span class="name">{one.name}</span>
    </button>
  );
  return (
    <Show
      when={props.table}
      fallback={
        <div class="legend list">
          <For each={rows()}>
            {(row) => (
              <span>
                {item(row.one)}
                <For each={row.values}>{(value, index) => <span class="muted"> {reducerTitle(props.calcs[index()] ?? '')}: {text(row.one, index(), value)} </span>}</For>
              </span>
            )}
          </For>
        </div>
      }
    >
      <div class="legend">
        <table>
          <thead>
            <tr>
              <th>
                <button type="button" onClick={() => click('Name')}>{t('name')}</button>
              </th>
              <For each={props.calcs}>
                {(calc) => (
                  <th class="number" aria-sort={sort().by === reducerTitle(calc) ? (sort().descending ? 'descending' : 'ascending') : undefined}>
                    <button type="button" onClick={() => click(reducerTitle(calc))}>{reducerTitle(calc)}</button>
                  </th>
                )}
              </For>
            </tr>
          </thead>
          <tbody>
            <For each={rows()}>
              {(row) => (
                <tr>
                  <td>{item(row.one)}</td>
                  <For each={row.values}>{(value, index) => <td class="number">{text(row.one, index(), value)}</td>}</For>
                </tr>
              )}
            </For>
          </tbody>
        </table>
      </div>
    </Show>
  );
}
