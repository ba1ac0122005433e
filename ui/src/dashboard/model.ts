// Grafana's dashboard JSON, read into what we draw. Unknown fields are left alone in `raw`; old forms are brought up to
// date by migrate.ts before they get here.

import { arr, bool, num, obj, objs, str, strs, type Obj } from '../core/json';
import type { TimeRange } from '../core/timerange';
import { migrate } from './migrate';
import { parseVariable, type Variable } from './variables';

export interface GridPos {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Target {
  refId: string;
  expr: string;
  legendFormat: string | undefined;
  instant: boolean;
  range: boolean;
  hide: boolean;
  interval: string;
  intervalFactor: number;
  format: 'time_series' | 'table' | 'heatmap';
}

export interface Link {
  title: string;
  url: string;
  targetBlank: boolean;
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description: string;
  transparent: boolean;
  gridPos: GridPos;
  targets: Target[];
  maxDataPoints: number | undefined;
  interval: string;
  timeFrom: string;
  timeShift: string;
  datasource: unknown;
  options: Obj;
  fieldDefaults: Obj;
  fieldOverrides: Override[];
  transformations: Transformation[];
  links: Link[];
  repeat: string;
  repeatDirection: 'h' | 'v';
  maxPerRow: number;
  /** Rows only. */
  collapsed: boolean;
  panels: Panel[];
  /** Values of the repeated variable, for clones. */
  scoped: { readonly [name: string]: string };
}

export interface Override {
  matcher: { id: string; options: unknown };
  properties: { id: string; value: unknown }[];
}

export interface Transformation {
  id: string;
  options: Obj;
  disabled: boolean;
}

export interface Dashboard {
  uid: string;
  title: string;
  description: string;
  tags: string[];
  panels: Panel[];
  variables: Variable[];
  time: TimeRange;
  refresh: string;
  refreshIntervals: string[];
  utc: boolean;
  /** 0 none, 1 crosshair, 2 crosshair and tooltip. */
  graphTooltip: number;
  links: DashboardLink[];
}

export interface DashboardLink extends Link {
  kind: 'link' | 'dashboards';
  tags: string[];
  keepTime: boolean;
  includeVars: boolean;
}

const REFRESH_INTERVALS = ['5s', '10s', '30s', '1m', '5m', '15m', '30m', '1h', '2h', '1d'];

function parseTarget(raw: Obj, index: number): Target {
  const instant = bool(raw['instant']);
  const format = str(raw['format'], 'time_series');
  return {
    refId: str(raw['refId']) || String.fromCharCode(65 + (index % 26)),
    expr: str(raw['expr']),
    legendFormat: typeof raw['legendFormat'] === 'string' ? raw['legendFormat'] : undefined,
    instant,
    // Neither said means a range query, as files from before the choice existed.
    range: bool(raw['range'], !instant) || !instant,
    hide: bool(raw['hide']),
    interval: str(raw['interval']),
    intervalFactor: num(raw['intervalFactor']) ?? 1,
    format: format === 'table' || format === 'heatmap' ? format : 'time_series',
  };
}

export function parseLinks(raw: unknown): Link[] {
  return objs(raw).map((link) => ({ title: str(link['title']), url: str(link['url']), targetBlank: bool(link['targetBlank']) }));
}

export function parsePanel(raw: Obj, index: number): Panel {
  const pos = obj(raw['gridPos']);
  const w = Math.min(24, Math.max(1, num(pos['w']) ?? 12));
  const field = obj(raw['fieldConfig']);
  return {
    id: num(raw['id']) ?? 10_000 + index,
    type: str(raw['type'], 'unknown'),
    title: str(raw['title']),
    description: str(raw['description']),
    transparent: bool(raw['transparent']),
    gridPos: {
      x: Math.min(24 - w, Math.max(0, num(pos['x']) ?? 0)),
      y: Math.max(0, num(pos['y']) ?? 0),
      w,
      h: Math.min(200, Math.max(1, num(pos['h']) ?? 8)),
    },
    targets: objs(raw['targets']).map(parseTarget),
    maxDataPoints: num(raw['maxDataPoints']),
    interval: str(raw['interval']),
    timeFrom: str(raw['timeFrom']),
    timeShift: str(raw['timeShift']),
    datasource: raw['datasource'],
    options: obj(raw['options']),
    fieldDefaults: obj(field['defaults']),
    fieldOverrides: objs(field['overrides']).map((item) => ({
      matcher: { id: str(obj(item['matcher'])['id']), options: obj(item['matcher'])['options'] },
      properties: objs(item['properties']).map((property) => ({ id: str(property['id']), value: property['value'] })),
    })),
    transformations: objs(raw['transformations']).map((item) => ({
      id: str(item['id']),
      options: obj(item['options']),
      disabled: bool(item['disabled']),
    })),
    links: parseLinks(raw['links']),
    repeat: str(raw['repeat']),
    repeatDirection: raw['repeatDirection'] === 'v' ? 'v' : 'h',
    maxPerRow: Math.max(1, num(raw['maxPerRow']) ?? 4),
    collapsed: bool(raw['collapsed']),
    panels: objs(raw['panels']).map(parsePanel),
    scoped: {},
  };
}

/** Reads a dashboard; accepts the bare model and the `{dashboard: …}` wrapper of the API and of exports. */
export function parseDashboard(input: unknown): Dashboard {
  const outer = obj(input);
  const raw = migrate(obj(outer['dashboard'] ?? outer));
  const time = obj(raw['time']);
  const timezone = str(raw['timezone']).toLowerCase();
  const intervals = strs(obj(raw['timepicker'])['refresh_intervals']);
  return {
    uid: str(raw['uid']),
    title: str(raw['title'], 'Untitled'),
    description: str(raw['description']),
    tags: strs(raw['tags']),
    panels: objs(raw['panels'])
      .filter((panel) => panel['repeatPanelId'] === undefined || panel['repeatPanelId'] === null)
      .map(parsePanel),
    variables: objs(obj(raw['templating'])['list']).map(parseVariable).filter((variable) => variable.name !== ''),
    time: { from: timeText(time['from'], 'now-6h'), to: timeText(time['to'], 'now') },
    refresh: str(raw['refresh']),
    refreshIntervals: intervals.length > 0 ? intervals : REFRESH_INTERVALS,
    utc: timezone === 'utc',
    graphTooltip: num(raw['graphTooltip']) ?? 0,
    links: objs(raw['links']).map((link) => ({
      kind: link['type'] === 'dashboards' ? 'dashboards' : 'link',
      title: str(link['title']),
      url: str(link['url']),
      targetBlank: bool(link['targetBlank']),
      tags: strs(link['tags']),
      keepTime: bool(link['keepTime']),
      includeVars: bool(link['includeVars']),
    })),
  };
}

function timeText(value: unknown, fallback: string): string {
  return typeof value === 'number' ? String(value) : str(value) || fallback;
}

/** Panels that hold data, rows' children included. */
export function allPanels(dashboard: Dashboard): Panel[] {
  return dashboard.panels.flatMap((panel) => (panel.type === 'row' ? panel.panels : [panel]));
}

export function hasTargets(panel: Panel): boolean {
  return arr(panel.targets).length > 0;
}
