// Old dashboards: rows of before schemaVersion 16, and the panels `graph`, `singlestat` and `table-old`.

import { arr, bool, isObj, num, obj, objs, str, strs, type Obj } from '../core/json';

export function migrate(raw: Obj): Obj {
  const rows = objs(raw['rows']);
  const panels = objs(raw['panels']).length > 0 || rows.length === 0 ? objs(raw['panels']) : rowsToPanels(rows);
  return { ...raw, panels: panels.map(migratePanel) };
}

/** Spans of twelve columns and heights in pixels become grid positions. */
function rowsToPanels(rows: readonly Obj[]): Obj[] {
  const out: Obj[] = [];
  const titled = rows.some((row) => bool(row['collapse']) || bool(row['showTitle']) || str(row['repeat']) !== '');
  let y = 0;
  for (const row of rows) {
    const height = Math.max(3, Math.ceil(Math.max(90, num(String(row['height'] ?? 250).replace('px', '')) ?? 250) / 38));
    const children: Obj[] = [];
    if (titled) y += 1;
    let x = 0;
    let top = y;
    for (const panel of objs(row['panels'])) {
      const w = Math.min(24, Math.max(1, Math.floor((num(panel['span']) ?? 4) * 2)));
      if (x + w > 24) {
        x = 0;
        top += height;
      }
      children.push({ ...panel, gridPos: { x, y: top, w, h: height } });
      x += w;
    }
    const collapsed = bool(row['collapse']);
    if (titled) {
      out.push({
        type: 'row',
        title: str(row['title']),
        collapsed,
        repeat: row['repeat'],
        gridPos: { x: 0, y: y - 1, w: 24, h: 1 },
        panels: collapsed ? children : [],
      });
    }
    if (!collapsed) out.push(...children);
    y = collapsed ? y : top + height;
  }
  return out.map((panel, index) => ({ id: index + 1, ...panel }));
}

function migratePanel(panel: Obj): Obj {
  const children = objs(panel['panels']);
  const base = children.length > 0 ? { ...panel, panels: children.map(migratePanel) } : panel;
  switch (str(panel['type'])) {
    case 'graph':
      return graph(base);
    case 'singlestat':
    case 'grafana-singlestat-panel':
      return singlestat(base);
    case 'table-old':
      return { ...base, type: 'table' };
    case 'table':
      // Before Grafana 7 the same name meant the old panel, told by its `styles`.
      return Array.isArray(panel['styles']) ? oldTable(base) : base;
    default:
      return base;
  }
}

function fill(target: Obj, values: Obj): void {
  for (const [key, value] of Object.entries(values)) if (value !== undefined && value !== null) target[key] = value;
}

function graph(panel: Obj): Obj {
  const legend = obj(panel['legend']);
  const axes = objs(panel['yaxes']);
  const left = obj(axes[0]);
  const nullMode = str(panel['nullPointMode']);
  const stacked = bool(panel['stack']);
  const custom: Obj = {
    drawStyle: bool(panel['bars']) && !bool(panel['lines'], true) ? 'bars' : bool(panel['lines'], true) ? 'line' : 'points',
    lineWidth: num(panel['linewidth']) ?? 1,
    fillOpacity: (num(panel['fill']) ?? 1) * 10,
    showPoints: bool(panel['points']) ? 'always' : 'never',
    pointSize: num(panel['pointradius']) ?? 5,
    spanNulls: nullMode === 'connected',
    lineInterpolation: bool(panel['steppedLine']) ? 'stepAfter' : 'linear',
    stacking: { mode: stacked ? (bool(panel['percentage']) ? 'percent' : 'normal') : 'none' },
    axisLabel: str(left['label']),
    scaleDistribution: (num(left['logBase']) ?? 1) > 1 ? { type: 'log', log: num(left['logBase']) } : { type: 'linear' },
  };
  const defaults: Obj = { custom, unit: str(left['format'], 'short'), color: { mode: 'palette-classic' } };
  fill(defaults, { min: num(left['min']), max: num(left['max']), decimals: num(panel['decimals']) });
  const overrides: Obj[] = Object.entries(obj(panel['aliasColors'])).map(([name, color]) => ({
    matcher: { id: 'byName', options: name },
    properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }],
  }));
  for (const item of objs(panel['seriesOverrides'])) overrides.push(seriesOverride(item, obj(axes[1])));
  const calcs = ['avg', 'current', 'max', 'min', 'total'].filter((name) => bool(legend[name]));
  const tooltip = obj(panel['tooltip']);
  return {
    ...panel,
    type: 'timeseries',
    fieldConfig: { defaults, overrides },
    options: {
      legend: {
        showLegend: bool(legend['show'], true),
        displayMode: bool(legend['alignAsTable']) || (bool(legend['values']) && calcs.length > 0) ? 'table' : 'list',
        placement: bool(legend['rightSide']) ? 'right' : 'bottom',
        calcs: bool(legend['values']) ? calcs : [],
      },
      tooltip: {
        mode: bool(tooltip['shared'], true) ? 'multi' : 'single',
        sort: ['none', 'asc', 'desc'][num(tooltip['sort']) ?? 0] ?? 'none',
      },
    },
  };
}

function seriesOverride(item: Obj, right: Obj): Obj {
  const alias = str(item['alias']);
  const properties: Obj[] = [];
  const add = (id: string, value: unknown): void => void properties.push({ id, value });
  if (num(item['yaxis']) === 2) {
    add('custom.axisPlacement', 'right');
    add('unit', str(right['format'], 'short'));
    if (num(right['min']) !== undefined) add('min', num(right['min']));
    if (num(right['max']) !== undefined) add('max', num(right['max']));
  }
  if (num(item['fill']) !== undefined) add('custom.fillOpacity', (num(item['fill']) ?? 0) * 10);
  if (num(item['linewidth']) !== undefined) add('custom.lineWidth', num(item['linewidth']));
  if (str(item['color']) !== '') add('color', { mode: 'fixed', fixedColor: str(item['color']) });
  if (item['transform'] === 'negative-Y') add('custom.transform', 'negative-Y');
  if (bool(item['bars'])) add('custom.drawStyle', 'bars');
  if (item['lines'] === false && !bool(item['bars'])) add('custom.lineWidth', 0);
  if (item['stack'] === false) add('custom.stacking', { mode: 'none' });
  if (typeof item['stack'] === 'string' || item['stack'] === true) add('custom.stacking', { mode: 'normal', group: String(item['stack']) });
  if (bool(item['dashes'])) add('custom.lineStyle', { fill: 'dash', dash: [10, 10] });
  if (item['legend'] === false) add('custom.hideFrom', { legend: true, tooltip: false, viz: false });
  return { matcher: { id: alias.startsWith('/') ? 'byRegexp' : 'byName', options: alias }, properties };
}

const VALUE_NAMES: Readonly<Record<string, string>> = { avg: 'mean', current: 'lastNotNull', total: 'sum' };

function singlestat(panel: Obj): Obj {
  const gauge = obj(panel['gauge']);
  const limits = str(panel['thresholds']).split(',').map((part) => num(part)).filter((part) => part !== undefined);
  const colors = strs(panel['colors']);
  const steps = colors.slice(0, limits.length + 1).map((color, index) => ({ value: index === 0 ? null : limits[index - 1], color }));
  const mappings: Obj[] = objs(panel['valueMaps']).map((map) => {
    const value = str(map['value']);
    return value === 'null'
      ? { type: 'special', options: { match: 'null', result: { text: str(map['text']) } } }
      : { type: 'value', options: { [value]: { text: str(map['text']) } } };
  });
  for (const map of objs(panel['rangeMaps'])) {
    const from = num(map['from']);
    if (from === undefined) continue;
    mappings.push({ type: 'range', options: { from, to: num(map['to']) ?? null, result: { text: str(map['text']) } } });
  }
  const valueName = str(panel['valueName'], 'avg');
  const defaults: Obj = { unit: str(panel['format'], 'none'), mappings, thresholds: { mode: 'absolute', steps } };
  const text = str(panel['nullText']);
  fill(defaults, { decimals: num(panel['decimals']), min: num(gauge['minValue']), max: num(gauge['maxValue']), noValue: text === '' ? undefined : text });
  const colored = bool(panel['colorBackground']) ? 'background' : bool(panel['colorValue']) ? 'value' : 'none';
  return {
    ...panel,
    type: bool(gauge['show']) ? 'gauge' : 'stat',
    fieldConfig: { defaults, overrides: [] },
    options: {
      reduceOptions: { calcs: [VALUE_NAMES[valueName] ?? valueName], values: false },
      colorMode: colored,
      graphMode: bool(obj(panel['sparkline'])['show']) ? 'area' : 'none',
      textMode: valueName === 'name' ? 'name' : 'value',
      showThresholdMarkers: bool(gauge['thresholdMarkers'], true),
    },
  };
}

/** The old table's column styles become overrides. */
function oldTable(panel: Obj): Obj {
  const overrides = objs(panel['styles']).map((style) => {
    const pattern = str(style['pattern']);
    const properties: Obj[] = [];
    if (str(style['alias']) !== '') properties.push({ id: 'displayName', value: str(style['alias']) });
    if (style['type'] === 'hidden') properties.push({ id: 'custom.hidden', value: true });
    if (style['type'] === 'date') properties.push({ id: 'unit', value: `time: ${str(style['dateFormat'], 'YYYY-MM-DD HH:mm:ss')}` });
    if (style['type'] === 'number') {
      if (str(style['unit']) !== '') properties.push({ id: 'unit', value: str(style['unit']) });
      if (num(style['decimals']) !== undefined) properties.push({ id: 'decimals', value: num(style['decimals']) });
      const limits = arr(style['thresholds']).map(num);
      if (limits.length > 0 && str(style['colorMode']) !== '') {
        const steps = strs(style['colors']).map((color, index) => ({ value: index === 0 ? null : limits[index - 1], color }));
        properties.push({ id: 'thresholds', value: { mode: 'absolute', steps } });
        properties.push({ id: 'custom.cellOptions', value: { type: style['colorMode'] === 'value' ? 'color-text' : 'color-background' } });
      }
    }
    return { matcher: { id: pattern.startsWith('/') ? 'byRegexp' : 'byName', options: pattern }, properties };
  });
  const merge = str(panel['transform']) === 'table' ? [{ id: 'merge', options: {} }] : [];
  const given = Array.isArray(panel['transformations']) ? panel['transformations'].filter(isObj) : [];
  return { ...panel, type: 'table', fieldConfig: { defaults: {}, overrides }, transformations: [...merge, ...given], options: { showHeader: true } };
}
