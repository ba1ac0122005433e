// One panel: its frame, its data, and which of the kinds draws it.

import { createEffect, createMemo, createSignal, Match, onCleanup, onMount, Show, Switch, type JSX } from 'solid-js';
import { Dynamic } from 'solid-js/web';
import type { AbsoluteRange } from '../core/timerange';
import { drawnCount, chartOf } from '../chart/model';
import { interpolate, type Scope } from '../dashboard/interpolate';
import { hasTargets, type Panel } from '../dashboard/model';
import { t } from '../i18n';
import { EmptyResult } from '../shared/EmptyResult';
import { load } from '../shared/load';
import { Failed, Loading } from '../shared/States';
import { apiFor, fetchPanel, type PanelData } from './data';
import { BarGauge, Gauge, Stat } from './panels/Stat';
import type { PanelProps } from './panels/context';
import { Table } from './panels/Table';
import { Text, Unknown } from './panels/Text';
import { TimeSeries } from './panels/TimeSeries';

const KINDS: Readonly<Record<string, (props: PanelProps) => JSX.Element>> = {
  timeseries: TimeSeries,
  stat: Stat,
  gauge: Gauge,
  bargauge: BarGauge,
  table: Table,
};

export interface PanelViewProps {
  panel: Panel;
  scope: Scope;
  range: AbsoluteRange;
  /** Changes with every refresh. */
  tick: number;
  utc: boolean;
  syncKey: string | undefined;
  href: string;
  style: JSX.CSSProperties;
  alone: boolean;
  onZoom: (fromMs: number, toMs: number) => void;
  onZoomOut: () => void;
}

export function PanelView(props: PanelViewProps): JSX.Element {
  let root: HTMLElement | undefined;
  const [seen, setSeen] = createSignal(false);
  const [width, setWidth] = createSignal(0);
  onMount(() => {
    if (root === undefined) return;
    const element = root;
    // Panels far below wait until they come near the window.
    const near = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        setWidth(element.clientWidth);
        setSeen(true);
        near.disconnect();
      }
    }, { rootMargin: '300px' });
    near.observe(element);
    onCleanup(() => near.disconnect());
  });
  const drawable = (): boolean => KINDS[props.panel.type] !== undefined;
  const key = createMemo(() => (seen() && drawable() ? { panel: props.panel, scope: props.scope, range: props.range, tick: props.tick, width: width() } : undefined));
  const data = load(key, (at, signal) => fetchPanel(at.panel, at.scope, at.range, at.width, signal));
  const own = createMemo((): Scope => ({ ...props.scope, fixed: { ...props.scope.fixed, ...props.panel.scoped } }));
  const title = (): string => interpolate(props.panel.title, own(), 'text');
  const count = createMemo(() => {
    const current = data.value();
    if (current === undefined) return 0;
    if (props.panel.type !== 'timeseries') return current.frames.filter((frame) => frame.fields.some((field) => field.values.some((value) => value !== null))).length;
    return drawnCount(chartOf(current.frames, { from: 0, to: 0 }, true));
  });
  return (
    <section
      ref={(element) => (root = element)}
      class="panel"
      classList={{ transparent: props.panel.transparent, alone: props.alone }}
      style={props.style}
      data-panel-id={props.panel.id}
      data-panel-type={props.panel.type}
      data-panel-title={title()}
      data-state={!drawable() ? 'static' : data.error() ? 'error' : data.value() === undefined ? 'loading' : 'ready'}
      data-series-count={drawable() ? count() : undefined}
    >
      <Show when={title() !== '' || props.panel.description !== ''}>
        <header>
          <h2>
            <a href={props.href} title={props.alone ? t('backToDashboard') : t('viewPanel', { title: title() })}>
              {title()}
            </a>
          </h2>
          <Show when={props.panel.description}>
            <span class="info" title={interpolate(props.panel.description, own(), 'text')} tabindex="0">
              i
            </span>
          </Show>
        </header>
      </Show>
      <div class="content">
        <Show when={data.loading() && data.value() !== undefined}>
          <div class="busy" />
        </Show>
        <Switch>
          <Match when={props.panel.type === 'text'}>
            <Text panel={props.panel} scope={own()} />
          </Match>
          <Match when={!drawable()}>
            <Unknown panel={props.panel} />
          </Match>
          <Match when={data.error()}>
            <Failed message={data.error()} retry={data.reload} />
          </Match>
          <Match when={data.value()}>{(value) => <Content {...props} data={value()} scope={own()} retry={data.reload} />}</Match>
          <Match when={true}>
            <Loading />
          </Match>
        </Switch>
      </div>
    </section>
  );
}

function Content(props: PanelViewProps & { data: PanelData; retry: () => void }): JSX.Element {
  const [gone, setGone] = createSignal(false);
  createEffect(() => {
    void props.data;
    setGone(false);
  });
  return (
    <>
      <Show when={props.data.errors.length > 0}>
        <Failed message={props.data.errors.join('\n')} retry={props.retry} />
      </Show>
      <Show when={props.data.warnings.length > 0 && !gone()}>
        <div class="notice warn">
          {props.data.warnings.join('; ')}{' '}
          <button type="button" class="quiet" onClick={() => setGone(true)}>
            {t('close')}
          </button>
        </div>
      </Show>
      <Show when={props.data.unknown.length > 0}>
        <div class="notice warn">{t('transformUnknown', { list: props.data.unknown.join(', ') })}</div>
      </Show>
      <Show
        when={!props.data.empty || props.data.errors.length > 0}
        fallback={
          <Show when={hasTargets(props.panel) && props.data.expr !== ''} fallback={<div class="state">{t('noData')}</div>}>
            <div class="data-table">
              <EmptyResult expr={props.data.expr} api={apiFor(props.panel.datasource, props.scope)} timeS={Math.floor(props.data.range.toMs / 1000)} message={t('noData')} />
            </div>
          </Show>
        }
      >
        <Show when={!props.data.empty}>
          <Dynamic
            component={KINDS[props.panel.type]}
            panel={props.panel}
            data={props.data}
            scope={props.scope}
            utc={props.utc}
            syncKey={props.syncKey}
            onZoom={props.onZoom}
            onZoomOut={props.onZoomOut}
          />
        </Show>
      </Show>
    </>
  );
}
