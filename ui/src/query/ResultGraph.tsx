// A range result as a graph, with all its series below it.

import { createMemo, createSignal, For, Show, type JSX } from 'solid-js';
import { plainChart } from '../chart/model';
import type { QueryResult } from '../core/api';
import { paletteColor } from '../core/color';
import { onGrid } from '../core/grid';
import { seriesName } from '../core/legend';
import { t } from '../i18n';
import { Chart, toggleHidden } from '../shared/Chart';

const MOST_SERIES = 1000;

export default function ResultGraph(props: { answer: QueryResult; start: number; end: number; step: number; stacked: boolean; onZoom: (fromMs: number, toMs: number) => void }): JSX.Element {
  const series = createMemo(() => props.answer.series.slice(0, MOST_SERIES));
  const names = createMemo(() => series().map((one) => seriesName(one.labels)));
  const model = createMemo(() => {
    const aligned = onGrid(series(), props.start, props.end, props.step);
    const colors = series().map((_, index) => paletteColor(index));
    return plainChart(names(), colors, aligned.times, aligned.rows, { from: props.start, to: props.end }, props.stacked, true);
  });
  const [hidden, setHidden] = createSignal<ReadonlySet<string>>(new Set());
  return (
    <>
      <Show when={props.answer.series.length > MOST_SERIES}>
        <div class="notice warn">{t('tooManySeries', { shown: MOST_SERIES, n: props.answer.series.length })}</div>
      </Show>
      <Chart
        model={model()}
        hidden={hidden()}
        label={t('graph')}
        tooltip={series().length > 12 ? 'single' : 'multi'}
        onZoom={props.onZoom}
        onZoomOut={() => {
          const length = (props.end - props.start) * 1000;
          props.onZoom(props.start * 1000 - length / 2, props.end * 1000 + length / 2);
        }}
      />
      <ul class="plain-legend">
        <For each={names()}>
          {(name, index) => (
            <li>
              <button type="button" title={t('isolateHint')} classList={{ off: hidden().has(name) }} onClick={(event) => setHidden(toggleHidden(hidden(), names(), name, event.ctrlKey || event.metaKey))}>
                <span class="swatch" style={{ background: paletteColor(index()) }} />
                {name}
              </button>
            </li>
          )}
        </For>
      </ul>
    </>
  );
}
