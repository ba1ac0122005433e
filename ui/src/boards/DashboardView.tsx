// A dashboard: its bar, variables and grid of panels. The address holds range, refresh, variables and the panel viewed.

import { createEffect, createMemo, createSignal, For, onCleanup, onMount, Show, type JSX } from 'solid-js';
import { PrometheusApi } from '../core/api';
import { parseDuration } from '../core/duration';
import { obj, str } from '../core/json';
import { isRelative, resolveRange, zoomOut, type TimeRange } from '../core/timerange';
import { interpolate, type Choice, type Scope } from '../dashboard/interpolate';
import { gridRows, heightPx, layout, topPx, COLUMNS } from '../dashboard/layout';
import { parseDashboard, type Dashboard } from '../dashboard/model';
import { t } from '../i18n';
import { every, load } from '../shared/load';
import { Menu } from '../shared/Menu';
import { place, setParams } from '../shared/router';
import { Empty, Failed, Loading } from '../shared/States';
import { TimePicker } from '../shared/TimePicker';
import { PanelView } from './PanelView';
import { dashboardFile, fetchDashboard } from './session';
import { fillVariables, repeatValues } from './variables';
import { Variables } from './Variables';

export function DashboardPage(props: { uid: string }): JSX.Element {
  const loaded = load(
    () => props.uid,
    async (uid, signal) => parseDashboard(obj(await fetchDashboard(uid, signal))),
  );
  return (
    <Show
      when={loaded.value()}
      keyed
      fallback={
        <main id="main">
          <Show when={loaded.error()} fallback={<Loading />}>
            <Failed message={loaded.error()} retry={loaded.reload} />
          </Show>
        </main>
      }
    >
      {(dashboard) => <DashboardView dashboard={dashboard} uid={props.uid} />}
    </Show>
  );
}

function DashboardView(props: { dashboard: Dashboard; uid: string }): JSX.Element {
  const { dashboard } = props;
  const query = (): URLSearchParams => place().query;
  const [tick, setTick] = createSignal(0);
  const range = createMemo((): TimeRange => ({ from: query().get('from') ?? dashboard.time.from, to: query().get('to') ?? dashboard.time.to }), undefined, {
    equals: (a, b) => a.from === b.from && a.to === b.to,
  });
  // "now" moves with every refresh, and with nothing else.
  const absolute = createMemo(() => {
    tick();
    return resolveRange(range(), Date.now());
  });
  const refresh = (): string => query().get('refresh') ?? dashboard.refresh;
  every(() => (isRelative(range()) ? (parseDuration(refresh()) ?? 0) : 0), () => setTick((n) => n + 1));

  const wanted = (name: string): string[] => query().getAll(`var-${name}`);
  const variableKey = createMemo(() => JSON.stringify(dashboard.variables.map((variable) => wanted(variable.name))));
  // Variables follow the range only where the file asks for it (refresh 2), and intervals always.
  const rangeMatters = dashboard.variables.some((variable) => variable.refresh === 2 || variable.type === 'interval');
  const filled = load(
    () => ({ key: variableKey(), at: rangeMatters ? `${range().from}|${range().to}` : '' }),
    (_, signal) => fillVariables(dashboard.variables, wanted, resolveRange(range(), Date.now()), new PrometheusApi('/api/datasources/proxy/uid/prometheus'), signal),
  );
  const [opened, setOpened] = createSignal<ReadonlySet<string>>(new Set());
  const choices = (): ReadonlyMap<string, Choice> => filled.value()?.choices ?? new Map<string, Choice>();
  const scope = createMemo((): Scope => ({ choices: choices(), fixed: { __dashboard: dashboard.title, __org: '1' }, range: absolute() }));
  const placed = createMemo(() => layout(dashboard.panels, opened(), (name) => repeatValues(choices().get(name))));
  const viewed = createMemo(() => {
    const id = query().get('viewPanel')?.replace('panel-', '');
    return id === undefined ? undefined : placed().find((item) => String(item.panel.id) === id);
  });
  const syncKey = dashboard.graphTooltip > 0 ? dashboard.uid || props.uid : undefined;
  createEffect(() => {
    document.title = `${dashboard.title} – Vigie`;
  });
  const zoom = (fromMs: number, toMs: number): void => setParams({ from: String(fromMs), to: String(toMs) });
  const wider = (): void => {
    const next = zoomOut(absolute());
    zoom(next.fromMs, next.toMs);
  };
  const keys = (event: KeyboardEvent): void => {
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLSelectElement) return;
    if (event.key === 'Escape' && viewed() !== undefined) setParams({ viewPanel: undefined });
    if (event.ctrlKey && event.key === 'z') wider();
    if (!event.ctrlKey && !event.metaKey && event.key === 'r') setTick((n) => n + 1);
  };
  onMount(() => addEventListener('keydown', keys));
  onCleanup(() => removeEventListener('keydown', keys));

  const viewHref = (id: number): string => {
    const params = new URLSearchParams(query());
    if (params.get('viewPanel') === String(id)) params.delete('viewPanel');
    else params.set('viewPanel', String(id));
    return `${place().path}?${params.toString()}`;
  };
  const linkHref = (link: Dashboard['links'][number]): string => {
    const params = new URLSearchParams();
    if (link.keepTime) for (const name of ['from', 'to']) if (query().has(name)) params.set(name, query().get(name) ?? '');
    if (link.includeVars) for (const [name, value] of query()) if (name.startsWith('var-')) params.append(name, value);
    const url = interpolate(link.url, scope(), 'url');
    const extra = params.toString();
    return extra === '' ? url : `${url}${url.includes('?') ? '&' : '?'}${extra}`;
  };
  const panelView = (item: ReturnType<typeof placed>[number], alone: boolean, style: JSX.CSSProperties): JSX.Element => (
    <PanelView
      panel={item.panel}
      scope={scope()}
      range={absolute()}
      tick={tick()}
      utc={dashboard.utc}
      syncKey={syncKey}
      href={viewHref(item.panel.id)}
      style={style}
      alone={alone}
      onZoom={zoom}
      onZoomOut={wider}
    />
  );
  return (
    <main id="main" style={{ padding: 0 }} data-dashboard={props.uid}>
      <div class="board-bar">
        <h1 title={dashboard.description}>{dashboard.title}</h1>
        <For each={dashboard.links.filter((link) => link.kind === 'link' && /^(https?:|\/)/.test(link.url))}>
          {(link) => (
            <a href={linkHref(link)} target={link.targetBlank ? '_blank' : undefined} rel="noopener noreferrer">
              {link.title || link.url}
            </a>
          )}
        </For>
        <a class="muted" href={dashboardFile(props.uid)} download={`${props.uid}.json`} title={t('downloadTitle', { title: dashboard.title })}>
          JSON
        </a>
        <TimePicker range={range()} utc={dashboard.utc} onChange={(next) => setParams({ from: next.from, to: next.to })} />
        <div class="group">
          <button type="button" title={t('refresh')} aria-label={t('refresh')} onClick={() => setTick((n) => n + 1)}>
            ⟳
          </button>
          <Menu align="right" title={t('refreshEvery')} label={<span>{refresh() || t('refreshOff')}</span>}>
            {(close) => (
              <ul class="options">
                <For each={['', ...dashboard.refreshIntervals]}>
                  {(interval) => (
                    <li>
                      <button
                        type="button"
                        class="quiet"
                        aria-current={interval === refresh()}
                        onClick={() => {
                          setParams({ refresh: interval });
                          close();
                        }}
                      >
                        {interval || t('refreshOff')}
                      </button>
                    </li>
                  )}
                </For>
              </ul>
            )}
          </Menu>
        </div>
      </div>
      <Variables variables={dashboard.variables} choices={choices()} onChange={(name, value) => setParams({ [`var-${name}`]: value })} />
      <Show when={(filled.value()?.errors ?? []).length > 0}>
        <div style={{ padding: '0 16px' }}>
          <Failed message={(filled.value()?.errors ?? []).join('\n')} retry={filled.reload} />
        </div>
      </Show>
      <Show when={filled.value()} fallback={<Loading />}>
        <Show when={viewed()} fallback={
          <Show when={placed().length > 0} fallback={<Empty>{t('noPanels')}</Empty>}>
            <div class="board" style={{ height: `${topPx(gridRows(placed()))}px` }}>
              <Keyed items={placed()}>
                {(item) =>
                  item().panel.type === 'row' ? (
                    <RowHead
                      title={interpolate(item().panel.title, { ...scope(), fixed: { ...scope().fixed, ...item().panel.scoped } }, 'text')}
                      open={!item().panel.collapsed}
                      top={topPx(item().pos.y)}
                      onToggle={() => {
                        const next = new Set(opened());
                        if (!next.delete(item().key)) next.add(item().key);
                        setOpened(next);
                      }}
                    />
                  ) : (
                    panelView(item(), false, {
                      left: `calc((100% + 8px) / ${COLUMNS} * ${item().pos.x})`,
                      width: `calc((100% + 8px) / ${COLUMNS} * ${item().pos.w} - 8px)`,
                      top: `${topPx(item().pos.y)}px`,
                      height: `${heightPx(item().pos.h)}px`,
                    })
                  )
                }
              </Keyed>
            </div>
          </Show>
        }>
          {(item) => panelView(item(), true, {})}
        </Show>
      </Show>
    </main>
  );
}

/** Like For, by key: a panel that only moved keeps its chart. */
function Keyed<T extends { key: string }>(props: { items: readonly T[]; children: (item: () => T) => JSX.Element }): JSX.Element {
  const keys = createMemo(() => props.items.map((item) => item.key));
  return (
    <For each={keys()}>
      {(key) => {
        let last = props.items.find((item) => item.key === key) as T;
        const item = createMemo(() => (last = props.items.find((candidate) => candidate.key === key) ?? last));
        return props.children(item);
      }}
    </For>
  );
}

function RowHead(props: { title: string; open: boolean; top: number; onToggle: () => void }): JSX.Element {
  return (
    <div class="row-head" style={{ top: `${props.top}px`, height: '30px' }}>
      <button type="button" aria-expanded={props.open} aria-label={t(props.open ? 'collapseRow' : 'expandRow', { title: props.title })} onClick={props.onToggle}>
        <span aria-hidden="true">{props.open ? '▾' : '▸'}</span> {str(props.title)}
      </button>
    </div>
  );
}
