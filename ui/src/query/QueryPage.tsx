// The query page: panels of an expression with its table and graph.

import { createEffect, createMemo, createSignal, For, Index, lazy, on, Show, Suspense, type JSX } from 'solid-js';
import { PrometheusApi, type QueryResult } from '../core/api';
import { formatDuration, parseDuration } from '../core/duration';
import { seriesName } from '../core/legend';
import { formatTime } from '../core/timerange';
import { t } from '../i18n';
import { EmptyResult } from '../shared/EmptyResult';
import { load } from '../shared/load';
import { PromqlEditor } from '../shared/PromqlEditor';
import { navigate, place } from '../shared/router';
import { Empty, Failed, Loading } from '../shared/States';
import { automaticStep, DEFAULT_PANEL, encodePanels, formatInputTime, nextRange, parseInputTime, parsePanels, type QueryPanel } from './state';

const ResultGraph = lazy(() => import('./ResultGraph'));
const api = new PrometheusApi('');

export function QueryPage(): JSX.Element {
  const panels = createMemo(() => parsePanels(place().query));
  const change = (next: QueryPanel[]): void => navigate(`/query?${encodePanels(next)}`);
  const set = (index: number, changes: Partial<QueryPanel>): void => change(panels().map((panel, at) => (at === index ? { ...panel, ...changes } : panel)));
  return (
    <main id="main" class="narrow">
      <Index each={panels()}>
        {(panel, index) => (
          <Panel
            panel={panel()}
            removable={panels().length > 1}
            onChange={(changes) => set(index, changes)}
            onRemove={() => change(panels().filter((_, at) => at !== index))}
          />
        )}
      </Index>
      <button type="button" onClick={() => change([...panels(), DEFAULT_PANEL])}>
        + {t('addPanel')}
      </button>
    </main>
  );
}

interface Asked {
  expr: string;
  tab: 'table' | 'graph';
  start: number;
  end: number;
  step: number;
}

function Panel(props: { panel: QueryPanel; removable: boolean; onChange: (changes: Partial<QueryPanel>) => void; onRemove: () => void }): JSX.Element {
  const [draft, setDraft] = createSignal(props.panel.expr);
  createEffect(on(() => props.panel.expr, (expr) => setDraft(expr)));
  const [turn, setTurn] = createSignal(0);
  const asked = createMemo((): Asked | undefined => {
    turn();
    const { expr, tab, rangeMs, endMs, momentMs, stepS } = props.panel;
    if (expr.trim() === '') return undefined;
    const end = (tab === 'graph' ? endMs : momentMs) ?? Date.now();
    const step = stepS ?? automaticStep(rangeMs);
    return { expr, tab, start: (end - rangeMs) / 1000, end: end / 1000, step };
  });
  const result = load(asked, async (query, signal) => {
    const answer =
      query.tab === 'table'
        ? await api.instant(query.expr, query.end, signal, 10_000)
        : await api.range({ expr: query.expr, start: query.start, end: query.end, step: query.step }, signal);
    return { query, answer };
  });
  const execute = (): void => {
    if (draft() === props.panel.expr) setTurn((n) => n + 1);
    else props.onChange({ expr: draft() });
  };
  const use = (expr: string): void => {
    setDraft(expr);
    props.onChange({ expr });
  };
  const tab = (name: 'table' | 'graph'): JSX.Element => (
    <button type="button" role="tab" aria-selected={props.panel.tab === name} onClick={() => props.onChange({ tab: name, expr: draft() })}>
      {t(name)}
    </button>
  );
  return (
    <section class="card" data-query-panel>
      <div class="query-line">
        <PromqlEditor value={draft()} label={t('expression')} onInput={setDraft} onExecute={execute} />
        <button type="button" class="primary" onClick={execute}>
          {t('execute')}
        </button>
        <Show when={props.removable}>
          <button type="button" title={t('removePanel')} aria-label={t('removePanel')} onClick={() => props.onRemove()}>
            ×
          </button>
        </Show>
      </div>
      <div class="tabs" role="tablist">
        {tab('table')}
        {tab('graph')}
        <Show when={result.value()}>
          {(found) => (
            <span class="stats" style={{ display: 'inline' }}>
              {t('resultStats', { n: found().answer.series.length, ms: Math.round(found().answer.tookMs) })}
            </span>
          )}
        </Show>
      </div>
      <div class="body result">
        <Controls panel={props.panel} onChange={props.onChange} />
        <Show when={props.panel.expr.trim() !== ''} fallback={<Empty>{t('noQuery')}</Empty>}>
          <Show when={!result.error()} fallback={<Failed message={result.error()} />}>
            <Show when={result.value()?.query.tab === props.panel.tab ? result.value() : undefined} fallback={<Loading />}>
              {(found) => <Result query={found().query} answer={found().answer} stacked={props.panel.stacked} onUse={use} onZoom={(from, to) => props.onChange({ rangeMs: Math.max(1000, to - from), endMs: to })} />}
            </Show>
          </Show>
        </Show>
      </div>
    </section>
  );
}

function Controls(props: { panel: QueryPanel; onChange: (changes: Partial<QueryPanel>) => void }): JSX.Element {
  const time = (): number | undefined => (props.panel.tab === 'graph' ? props.panel.endMs : props.panel.momentMs);
  const setTime = (ms: number | undefined): void => props.onChange(props.panel.tab === 'graph' ? { endMs: ms } : { momentMs: ms });
  const jump = (direction: number): void => setTime((time() ?? Date.now()) + (direction * props.panel.rangeMs) / 2);
  const label = (): string => t(props.panel.tab === 'graph' ? 'endTime' : 'evalTime');
  return (
    <div class="bar">
      <Show when={props.panel.tab === 'graph'}>
        <div class="group">
          <button type="button" aria-label={`${t('range')} −`} onClick={() => props.onChange({ rangeMs: nextRange(props.panel.rangeMs, -1) })}>
            −
          </button>
          <input
            size="6"
            aria-label={t('range')}
            title={t('range')}
            value={formatDuration(props.panel.rangeMs)}
            onChange={(event) => {
              const ms = parseDuration(event.currentTarget.value);
              if (ms !== undefined && ms >= 1000) props.onChange({ rangeMs: ms });
              else event.currentTarget.value = formatDuration(props.panel.rangeMs);
            }}
          />
          <button type="button" aria-label={`${t('range')} +`} onClick={() => props.onChange({ rangeMs: nextRange(props.panel.rangeMs, 1) })}>
            +
          </button>
        </div>
      </Show>
      <div class="group">
        <button type="button" aria-label={t('earlier')} title={t('earlier')} onClick={() => jump(-1)}>
          ‹
        </button>
        <input
          size="19"
          placeholder={`${label()} (UTC)`}
          aria-label={label()}
          title={`${label()} (UTC)`}
          value={time() === undefined ? '' : formatInputTime(time() ?? 0)}
          onChange={(event) => setTime(parseInputTime(event.currentTarget.value))}
        />
        <button type="button" aria-label={t('later')} title={t('later')} onClick={() => jump(1)}>
          ›
        </button>
        <Show when={time() !== undefined}>
          <button type="button" onClick={() => setTime(undefined)}>
            {t('now')}
          </button>
        </Show>
      </div>
      <Show when={props.panel.tab === 'graph'}>
        <input
          size="8"
          aria-label={t('resolution')}
          title={t('resolution')}
          placeholder={`${t('resolutionAuto')} (${formatDuration(automaticStep(props.panel.rangeMs) * 1000)})`}
          value={props.panel.stepS === undefined ? '' : formatDuration(props.panel.stepS * 1000)}
          onChange={(event) => {
            const ms = parseDuration(event.currentTarget.value);
            props.onChange({ stepS: ms === undefined || ms <= 0 ? undefined : ms / 1000 });
          }}
        />
        <div class="group">
          <button type="button" aria-pressed={!props.panel.stacked} onClick={() => props.onChange({ stacked: false })}>
            {t('lines')}
          </button>
          <button type="button" aria-pressed={props.panel.stacked} onClick={() => props.onChange({ stacked: true })}>
            {t('stacked')}
          </button>
        </div>
      </Show>
    </div>
  );
}

const MOST_ROWS = 1000;

function Result(props: { query: Asked; answer: QueryResult; stacked: boolean; onUse: (expr: string) => void; onZoom: (fromMs: number, toMs: number) => void }): JSX.Element {
  const empty = (): boolean => props.answer.series.length === 0 && props.answer.type !== 'string';
  const message = (): string =>
    props.query.tab === 'table' ? t('emptyResult') : t('emptyRange', { from: formatTime(props.query.start * 1000), to: formatTime(props.query.end * 1000) });
  return (
    <>
      <Notes title={t('warnings')} class="warn" items={props.answer.warnings} />
      <Notes title={t('infos')} class="" items={props.answer.infos} />
      <Show when={!empty()} fallback={<EmptyResult expr={props.query.expr} api={api} timeS={props.query.end} message={message()} onUse={props.onUse} />}>
        <Show
          when={props.query.tab === 'graph'}
          fallback={<ResultTable answer={props.answer} />}
        >
          <Suspense fallback={<Loading />}>
            <ResultGraph answer={props.answer} start={props.query.start} end={props.query.end} step={props.query.step} stacked={props.stacked} onZoom={props.onZoom} />
          </Suspense>
        </Show>
      </Show>
    </>
  );
}

function Notes(props: { title: string; class: string; items: string[] }): JSX.Element {
  return (
    <Show when={props.items.length > 0}>
      <div class={`notice ${props.class}`}>
        <strong>{props.title}</strong>
        <For each={props.items}>{(item) => <div class="message">{item}</div>}</For>
      </div>
    </Show>
  );
}

function ResultTable(props: { answer: QueryResult }): JSX.Element {
  const rows = (): { name: string; value: string }[] => {
    if (props.answer.type === 'string') return [{ name: 'string', value: props.answer.text }];
    if (props.answer.type === 'scalar') return [{ name: 'scalar', value: String(props.answer.series[0]?.values[0] ?? '') }];
    return props.answer.series.slice(0, MOST_ROWS).map((one) => ({
      name: seriesName(one.labels),
      value: one.histograms.length > 0 ? one.histograms.join('\n') : one.values.map((value, index) => (one.values.length > 1 ? `${number(value)} @${one.times[index] ?? ''}` : number(value))).join('\n'),
    }));
  };
  return (
    <>
      <Show when={props.answer.series.length > MOST_ROWS}>
        <div class="notice warn">{t('tooManySeries', { shown: MOST_ROWS, n: props.answer.series.length })}</div>
      </Show>
      <div class="scroll">
        <table data-rows={rows().length}>
          <tbody>
            <For each={rows()}>
              {(row) => (
                <tr>
                  <td class="mono">{row.name}</td>
                  <td style={{ 'white-space': 'pre' }}>{row.value}</td>
                </tr>
              )}
            </For>
          </tbody>
        </table>
      </div>
    </>
  );
}

function number(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}
