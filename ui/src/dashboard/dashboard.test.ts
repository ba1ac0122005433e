import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { chartOf, stack } from '../chart/model';
import type { QueryResult } from '../core/api';
import { findMapping, fieldOptions, matches, parseFieldOptions, show } from './field';
import { configure, framesOf, type Answer } from './frames';
import { builtIns, interpolate, type Choice, type Scope } from './interpolate';
import { compact, heightPx, layout } from './layout';
import { parseDashboard, parsePanel, type Panel } from './model';
import { bestGrid, singles, sparkline } from './single';
import { columns } from './table';
import { transform } from './transform';
import { ALL, choose, customOptions, dependencyOrder, finishOptions, parseVariable, parseVariableQuery } from './variables';

const RANGE = { fromMs: 0, toMs: 3_600_000 };

function choice(name: string, value: string[], more: Partial<Choice> = {}): [string, Choice] {
  return [name, { name, value, options: [{ text: 'A', value: 'a.b' }, { text: 'B', value: 'c' }], allValue: '', many: true, ...more }];
}

function scope(...choices: [string, Choice][]): Scope {
  return { choices: new Map(choices), fixed: {}, range: RANGE };
}

test('interpolation', () => {
  const some = scope(choice('one', ['a.b']), choice('two', ['a.b', 'c']), choice('all', [ALL]), choice('any', [ALL], { allValue: '.*' }), choice('single', ["a.b'"], { many: false }));
  for (const [text, expected] of [
    ['x{j=~"$one"}', 'x{j=~"a\\\\.b"}'],
    ['x{j=~"$two"}', 'x{j=~"(a\\\\.b|c)"}'],
    ['$all', '(a\\\\.b|c)'],
    ['$any', '.*'],
    ['$single', "a.b\\\\'"],
    ['${two:csv} ${two:pipe} ${two:raw}', 'a.b,c a.b|c a.b,c'],
    ['${two:regex}', '(a\\.b|c)'],
    ['${two:json} ${one:json}', '["a.b","c"] "a.b"'],
    ['${two:text}', 'A + B'],
    ['[[two:glob]] ${two:nothing}', '{a.b,c} {a.b,c}'],
    ['$unknown ${unknown} [[unknown]]', '$unknown ${unknown} [[unknown]]'],
    ['$__to ${__from:date:seconds}', '3600000 0'],
  ] as const) expect(interpolate(text, some, 'expr'), text).toBe(expected);
  expect(interpolate('of $two', some, 'text')).toBe('of A + B');
  const fixed = { ...some, fixed: builtIns(RANGE, { stepMs: 30_000, intervalMs: 30_000, rateIntervalMs: 60_000 }) };
  expect(interpolate('rate(x[$__rate_interval]) $__interval $__interval_ms $__range ${__range_s}', fixed, 'expr')).toBe('rate(x[1m]) 30s 30000 3600s 3600');
  expect(interpolate('x{c="$one"}', { ...some, fixed: { one: 'c' } }, 'expr')).toBe('x{c="c"}');
});

test('variable queries', () => {
  expect(parseVariableQuery('label_values(up{a="1",b=~"x,y"}, job)')).toEqual({ kind: 'labelValues', match: 'up{a="1",b=~"x,y"}', label: 'job' });
  expect(parseVariableQuery('label_values(job)')).toEqual({ kind: 'labelValues', match: '', label: 'job' });
  expect(parseVariableQuery('label_names()')).toEqual({ kind: 'labelNames', match: '' });
  expect(parseVariableQuery('metrics(node_.*)')).toEqual({ kind: 'metrics', pattern: 'node_.*' });
  expect(parseVariableQuery('query_result(topk(5, sum(x)))')).toEqual({ kind: 'queryResult', expr: 'topk(5, sum(x))' });
  expect(parseVariableQuery('up{job="x"}')).toEqual({ kind: 'series', match: 'up{job="x"}' });
});

test('variable options', () => {
  expect(customOptions('a, b : label, c\\,d')).toEqual([{ text: 'a', value: 'a' }, { text: 'b', value: 'label' }, { text: 'c,d', value: 'c,d' }]);
  expect(customOptions('[{"text":"T","value":"v"}]')).toEqual([{ text: 'T', value: 'v' }]);
  expect(finishOptions(['up{i="h1:1"} 1', 'up{i="h2:1"} 1', 'other'], '/i="([^:]+)/', 2).map((o) => o.value)).toEqual(['h2', 'h1']);
  expect(finishOptions(['n10', 'n9', 'n9'], '', 3).map((o) => o.value)).toEqual(['n9', 'n10']);
  expect(finishOptions(['x=1'], '/(?<text>\\w)=(?<value>\\d)/', 0)).toEqual([{ text: 'x', value: '1' }]);
  expect(finishOptions(['kept'], '/(broken/', 0)).toEqual([{ text: 'kept', value: 'kept' }]);
  const variable = parseVariable({ name: 'v', type: 'query', multi: true, includeAll: true, query: { query: 'label_values(x)' } });
  const options = [{ text: 'A', value: 'a' }, { text: 'B', value: 'b' }];
  expect(variable.query).toBe('label_values(x)');
  expect(choose(variable, ['b', 'gone'], options)).toEqual(['b']);
  expect(choose(variable, ['gone'], options)).toEqual([ALL]);
  expect(choose({ ...variable, includeAll: false }, ['gone'], options)).toEqual(['a']);
  const order = dependencyOrder([parseVariable({ name: 'b', type: 'query', query: 'label_values(x{a="$a"}, b)' }), parseVariable({ name: 'a', type: 'query', query: 'label_values(a)' })]);
  expect(order.map((one) => one.name)).toEqual(['a', 'b']);
});

function panelOf(raw: { [key: string]: unknown }): Panel {
  return parsePanel({ type: 'timeseries', title: 't', gridPos: { x: 0, y: 0, w: 12, h: 8 }, ...raw }, 0);
}

function result(series: { labels: { [name: string]: string }; values: number[] }[]): QueryResult {
  return { type: 'matrix', text: '', warnings: [], infos: [], tookMs: 1, series: series.map((one) => ({ labels: one.labels, times: one.values.map((_, i) => i * 10), values: one.values, histograms: [] })) };
}

function answer(panel: Panel, series: Parameters<typeof result>[0], legendFormat = '{{a}}'): Answer {
  const target = panel.targets[0] ?? { refId: 'A', expr: 'x', legendFormat, instant: false, range: true, hide: false, interval: '', intervalFactor: 1, format: 'time_series' as const };
  return { target, expr: 'x', legendFormat, result: result(series), grid: { start: 0, end: 20, step: 10 } };
}

test('overrides apply in order', () => {
  const overrides = panelOf({
    fieldConfig: {
      defaults: { unit: 'short', custom: { lineWidth: 1, fillOpacity: 10 } },
      overrides: [
        { matcher: { id: 'byName', options: 'x' }, properties: [{ id: 'unit', value: 's' }, { id: 'custom.lineWidth', value: 3 }] },
        { matcher: { id: 'byRegexp', options: '/^x/i' }, properties: [{ id: 'custom.fillOpacity', value: 50 }] },
        { matcher: { id: 'byFrameRefID', options: 'B' }, properties: [{ id: 'decimals', value: 2 }] },
        { matcher: { id: 'byType', options: 'number' }, properties: [{ id: 'min', value: 0 }] },
      ],
    },
  });
  const identity = { name: 'x', type: 'number' as const, refId: 'A', values: [1, 5] };
  const options = fieldOptions(overrides.fieldDefaults, overrides.fieldOverrides, identity);
  expect(options).toMatchObject({ unit: 's', decimals: undefined, min: 0, custom: { lineWidth: 3, fillOpacity: 50 } });
  expect(overrides.fieldDefaults['unit']).toBe('short');
  expect(fieldOptions(overrides.fieldDefaults, overrides.fieldOverrides, { ...identity, name: 'y', refId: 'B' })).toMatchObject({ unit: 'short', decimals: 2 });
  expect(matches({ id: 'byValue', options: { reducer: 'max', op: 'gte', value: 5 } }, identity)).toBe(true);
  expect(matches({ id: 'byNames', options: { mode: 'exclude', names: ['z'] } }, identity)).toBe(true);
  expect(matches({ id: 'fromTheFuture', options: {} }, identity)).toBe(false);
});

test('thresholds and mappings', () => {
  const options = parseFieldOptions({
    unit: 'percent',
    thresholds: { mode: 'absolute', steps: [{ value: null, color: '#00ff00' }, { value: 80, color: '#ff0000' }] },
    mappings: [
      { type: 'value', options: { 0: { text: 'Down', color: '#123456' } } },
      { type: 'range', options: { from: 90, to: null, result: { text: 'Full' } } },
      { type: 'special', options: { match: 'null', result: { text: 'N/A' } } },
      { type: 'regex', options: { pattern: '/v(\\d)/', result: { text: 'version $1' } } },
    ],
  });
  const place = { index: 0, name: 'x', bounds: { min: 0, max: 100 } };
  expect(show(50, options, place, true)).toMatchObject({ text: '50', suffix: '%', color: '#00ff00' });
  expect(show(85, options, place, true).color).toBe('#ff0000');
  expect(show(0, options, place, true)).toMatchObject({ text: 'Down', suffix: '', color: '#123456' });
  expect(show(95, options, place, true).text).toBe('Full');
  expect(show(null, options, place, true).text).toBe('N/A');
  expect(show('v7', options, place, true).text).toBe('version 7');
  expect(findMapping(options.mappings, 50)).toBeUndefined();
});

test('frames, charts and stacks', () => {
  const panel = panelOf({ fieldConfig: { defaults: { custom: { stacking: { mode: 'normal' } } }, overrides: [{ matcher: { id: 'byName', options: 'p' }, properties: [{ id: 'displayName', value: 'Paris ${__field.labels.a}' }] }] } });
  const frames = configure(framesOf([answer(panel, [{ labels: { a: 'p' }, values: [1, 2, 3] }, { labels: { a: 'q' }, values: [4, 5] }])]), panel);
  expect(frames.map((frame) => frame.fields[1]?.display)).toEqual(['Paris p', 'q']);
  const model = chartOf(frames, { from: 0, to: 20 }, true);
  expect(model.times).toEqual([0, 10, 20]);
  expect(model.series.map((one) => one.values)).toEqual([[1, 2, 3], [4, 5, null]]);
  expect(stack(model.series, new Set())).toEqual({ rows: [[1, 2, 3], [5, 7, 3]], bands: [[1, 0]] });
  expect(stack(model.series, new Set(['Paris p'])).rows[1], 'nothing is drawn where nothing is known').toEqual([4, 5, null]);
  const other = panelOf({ fieldConfig: { defaults: { unit: 'bytes' }, overrides: [{ matcher: { id: 'byName', options: 'q' }, properties: [{ id: 'unit', value: 's' }, { id: 'custom.transform', value: 'negative-Y' }] }] } });
  const two = chartOf(configure(framesOf([answer(other, [{ labels: { a: 'p' }, values: [1024] }, { labels: { a: 'q' }, values: [2] }])]), other), { from: 0, to: 20 }, true);
  expect(two.axes.map((axis) => axis.right)).toEqual([false, true]);
  expect(two.axes[0]?.format(1024)).toBe('1 KiB');
  expect(two.series[1]?.values[0]).toBe(-2);
});

test('tables and transformations', () => {
  const panel = panelOf({ type: 'table', targets: [{ refId: 'A', expr: 'x', format: 'table', instant: true }], transformations: [{ id: 'organize', options: { excludeByName: { Time: true }, renameByName: { a: 'City' }, indexByName: { Value: 0, a: 1 } } }, { id: 'later', options: {} }] });
  const frames = framesOf([{ ...answer(panel, [{ labels: { a: 'p' }, values: [1] }, { labels: { a: 'q' }, values: [3] }]), grid: undefined }]);
  const done = transform(frames, panel.transformations);
  expect(done.unknown).toEqual(['later']);
  const frame = configure(done.frames, panel)[0];
  expect(frame && columns(frame, true).map((column) => [column.title, ...column.cells.map((cell) => cell.text)])).toEqual([['Value', '1', '3'], ['City', 'p', 'q']]);
  const reduced = transform(framesOf([answer(panelOf({}), [{ labels: { a: 'p' }, values: [1, 5, 3] }])]), [{ id: 'reduce', options: { reducers: ['max', 'mean'] }, disabled: false }]);
  expect(reduced.frames[0]?.fields.map((field) => [field.name, field.values[0]])).toEqual([['Field', 'p'], ['Max', 5], ['Mean', 3]]);
});

test('merging tables', () => {
  const panel = panelOf({ type: 'table', targets: [{ refId: 'A', expr: 'x', format: 'table', instant: true }, { refId: 'B', expr: 'y', format: 'table', instant: true }] });
  const answers = panel.targets.map((target, index) => ({ ...answer(panel, [{ labels: { a: 'p' }, values: [index + 1] }, { labels: { a: 'q' }, values: [index + 10] }]), target, grid: undefined }));
  const merged = transform(framesOf(answers), [{ id: 'merge', options: {}, disabled: false }]).frames;
  expect(merged).toHaveLength(1);
  expect(merged[0]?.fields.map((field) => [field.name, ...field.values])).toEqual([['Time', 0, 0], ['a', 'p', 'q'], ['Value #A', 1, 10], ['Value #B', 2, 11]]);
});

test('single values', () => {
  const panel = panelOf({ type: 'stat', options: { reduceOptions: { calcs: ['max'] } }, fieldConfig: { defaults: { unit: 'bytes' }, overrides: [] } });
  const list = singles(panel, configure(framesOf([answer(panel, [{ labels: { a: 'p' }, values: [1024, 2048, 1536] }])]), panel), true);
  expect(list.map((one) => [one.name, one.value, one.shown.text + one.shown.suffix])).toEqual([['p', 2048, '2 KiB']]);
  expect(bestGrid(3, 600, 100, 'auto')).toEqual({ columns: 3, rows: 1 });
  expect(bestGrid(4, 200, 200, 'horizontal')).toEqual({ columns: 1, rows: 4 });
  expect(sparkline([null, 5, null])).toBeUndefined();
  expect(sparkline([1, 2])?.line).toBe('M0.00,28.00 L100.00,2.00');
});

test('layout', () => {
  expect(heightPx(8)).toBe(296);
  const panels = parseDashboard({
    panels: [
      { id: 1, type: 'stat', gridPos: { x: 0, y: 0, w: 12, h: 4 } },
      { id: 2, type: 'row', title: 'R', collapsed: true, gridPos: { x: 0, y: 4, w: 24, h: 1 }, panels: [{ id: 3, type: 'stat', gridPos: { x: 0, y: 5, w: 24, h: 3 } }] },
      { id: 4, type: 'row', title: 'S', collapsed: false, gridPos: { x: 0, y: 5, w: 24, h: 1 } },
      { id: 5, type: 'stat', repeat: 'v', maxPerRow: 2, gridPos: { x: 0, y: 6, w: 24, h: 2 } },
    ],
  }).panels;
  const at = (toggled: string[], values: string[]): string[] => layout(panels, new Set(toggled), () => values).map((item) => `${item.panel.id}@${item.pos.x},${item.pos.y} ${item.pos.w}x${item.pos.h}`);
  expect(at([], ['a'])).toEqual(['1@0,0 12x4', '2@0,4 24x1', '4@0,5 24x1', '5@0,6 24x2']);
  expect(at(['row-2'], ['a', 'b', 'c'])).toEqual(['1@0,0 12x4', '2@0,4 24x1', '3@0,5 24x3', '4@0,8 24x1', '5@0,9 12x2', '5@12,9 12x2', '5@0,11 12x2']);
  expect(at(['row-4'], ['a'])).toEqual(['1@0,0 12x4', '2@0,4 24x1', '4@0,5 24x1']);
  expect(compact([])).toEqual([]);
});

test('old dashboards are brought up to date', () => {
  const old = parseDashboard({
    rows: [
      { height: '250px', panels: [{ id: 1, type: 'graph', span: 6, stack: true, fill: 2, yaxes: [{ format: 'bytes', min: '0' }, { format: 's' }], seriesOverrides: [{ alias: '/idle/', yaxis: 2 }], targets: [{ expr: 'x' }] }, { id: 2, type: 'singlestat', span: 6, format: 'percent', valueName: 'current', thresholds: '50,80', colors: ['green', 'orange', 'red'], gauge: { show: true, maxValue: 100 } }] },
    ],
  });
  expect(old.panels.map((panel) => [panel.type, panel.gridPos.x, panel.gridPos.w, panel.gridPos.h])).toEqual([['timeseries', 0, 12, 7], ['gauge', 12, 12, 7]]);
  expect(old.panels[0]?.fieldDefaults).toMatchObject({ unit: 'bytes', min: 0, custom: { fillOpacity: 20, stacking: { mode: 'normal' } } });
  expect(old.panels[0]?.fieldOverrides[0]).toMatchObject({ matcher: { id: 'byRegexp', options: '/idle/' } });
  expect(old.panels[1]?.fieldDefaults).toMatchObject({ unit: 'percent', thresholds: { steps: [{ value: null, color: 'green' }, { value: 50, color: 'orange' }, { value: 80, color: 'red' }] } });
});

test('odd input is read, not refused', () => {
  for (const odd of [null, 3, 'x', [], {}, { panels: 3, templating: [], time: { from: 4 } }, { panels: [null, 3, { gridPos: { x: 99, w: -3, h: 'y' } }] }]) expect(() => layout(parseDashboard(odd).panels, new Set(), () => [])).not.toThrow();
});

// Real dashboards, where the checkout lies beside the conformance data.
const start = dirname(fileURLToPath(import.meta.url));
const folder = Array.from({ length: 10 }, (_, up) => join(start, ...new Array<string>(up).fill('..'), 'shared/conformance/dashboards')).find((path) => existsSync(path));
test('public dashboards', () => {
  if (folder === undefined) {
    console.log('SKIPPED: no conformance dashboards beside the checkout');
    return;
  }
  const known = new Set(['timeseries', 'stat', 'gauge', 'bargauge', 'table', 'text', 'row']);
  let panels = 0;
  let drawn = 0;
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.json'))) {
    const dashboard = parseDashboard(JSON.parse(readFileSync(join(folder, name), 'utf8')));
    const placed = layout(dashboard.panels, new Set(), () => ['a', 'b']);
    expect(placed.length, name).toBeGreaterThan(0);
    for (const { pos } of placed) expect(pos.x + pos.w, name).toBeLessThanOrEqual(24);
    const all = dashboard.panels.flatMap((panel) => [panel, ...panel.panels]);
    panels += all.length;
    drawn += all.filter((panel) => known.has(panel.type)).length;
  }
  console.log(`${drawn} of ${panels} panels of public dashboards are of a type we draw`);
  expect(drawn / panels).toBeGreaterThan(0.8);
});
