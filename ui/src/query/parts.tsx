// Small pieces the status pages share.

import { createSignal, For, onCleanup, Show, type JSX } from 'solid-js';
import { PrometheusApi, type Labels } from '../core/api';
import { formatDuration } from '../core/duration';
import { formatValue } from '../core/units/format';
import { t } from '../i18n';
import { every, load, type Loaded } from '../shared/load';
import { Failed, Loading } from '../shared/States';
import { Health } from './Health';
import { ageS } from './status';

export { Health };

export const api = new PrometheusApi('');

/** A page over one endpoint, asked again every ten seconds. */
export function poll<T>(path: string, parse: (data: unknown) => T): Loaded<T> {
  const loaded = load(() => true, async (_, signal) => parse(await api.get(path, [], signal)));
  every(() => 10_000, loaded.reload);
  return loaded;
}

export function Fetched<T>(props: { from: Loaded<T>; children: (value: () => T) => JSX.Element }): JSX.Element {
  return (
    <>
      <Show when={props.from.error()}>
        <Failed message={props.from.error()} retry={props.from.reload} />
      </Show>
      <Show when={props.from.value()} fallback={<Show when={!props.from.error()}><Loading /></Show>}>
        {(value) => props.children(value as () => T)}
      </Show>
    </>
  );
}

export function LabelList(props: { labels: Labels }): JSX.Element {
  return (
    <span class="labels">
      <For each={Object.entries(props.labels)}>
        {([name, value]) => (
          <span class="label">
            <b>{name}=</b>"{value}"
          </span>
        )}
      </For>
    </span>
  );
}

const [now, setNow] = createSignal(Date.now());

export function Age(props: { time: string }): JSX.Element {
  const timer = setInterval(() => setNow(Date.now()), 1000);
  onCleanup(() => clearInterval(timer));
  const text = (): string => {
    const age = ageS(props.time, now());
    return age === undefined ? t('never') : t('ago', { n: formatDuration(age < 3600 ? Math.round(age) * 1000 : Math.round(age / 60) * 60_000) });
  };
  return <span title={props.time}>{text()}</span>;
}

export function seconds(value: number): string {
  return formatValue('s', value, value >= 60 ? { decimals: 1 } : {});
}

/** Buttons that hide and show states, with their counts. */
export function StateFilter(props: { states: readonly string[]; counts: (state: string) => number; off: ReadonlySet<string>; onChange: (off: ReadonlySet<string>) => void }): JSX.Element {
  return (
    <div class="group" role="group" aria-label={t('filter')}>
      <For each={props.states}>
        {(state) => (
          <button
            type="button"
            aria-pressed={!props.off.has(state)}
            onClick={() => {
              const next = new Set(props.off);
              if (!next.delete(state)) next.add(state);
              props.onChange(next);
            }}
          >
            <Health state={state} /> {props.counts(state)}
          </button>
        )}
      </For>
    </div>
  );
}

export function ExprLink(props: { expr: string; tab?: 'graph' | 'table' }): JSX.Element {
  return (
    <a class="mono" href={`/query?${new URLSearchParams({ 'g0.expr': props.expr, 'g0.tab': props.tab ?? 'table' }).toString()}`}>
      {props.expr}
    </a>
  );
}
