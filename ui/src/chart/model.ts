// What a chart draws, free of the drawing library: series with styles, axes, and the stacking arithmetic.

import { bool, num, obj, str, word } from '../core/json';
import { join } from '../core/grid';
import { reduceNumber, type Value } from '../core/reduce';
import { formatValue } from '../core/units/format';
import { increments } from '../core/units/increments';
import { resolveColor } from '../core/color';
import { seriesColor, show, type FieldOptions } from '../dashboard/field';
import { numberFields, numbers, type Frame } from '../dashboard/frames';

export interface ChartSeries {
  name: string;
  color: string;
  values: Value[];
  draw: 'line' | 'bars' | 'points';
  interpolation: 'linear' | 'smooth' | 'stepBefore' | 'stepAfter';
  lineWidth: number;
  /** 0 to 1. */
  fill: number;
  gradient: boolean;
  dash: number[] | undefined;
  /** Whether lines cross gaps; a number is the longest gap crossed, milliseconds. */
  spanNulls: boolean | number;
  points: 'auto' | 'never' | 'always';
  pointSize: number;
  /** Series with the same text are stacked; empty is not stacked. */
  stack: string;
  percent: boolean;
  scale: string;
  /** Name of the series below, to fill up to. */
  fillBelowTo: string;
  hidden: boolean;
  inLegend: boolean;
  inTooltip: boolean;
  format: (value: Value) => string;
}

export interface ChartAxis {
  scale: string;
  right: boolean;
  hidden: boolean;
  label: string;
  min: number | undefined;
  max: number | undefined;
  softMin: number | undefined;
  softMax: number | undefined;
  logBase: number;
  grid: boolean;
  centeredZero: boolean;
  /** Bars, stacks and fills are measured from zero. */
  fromZero: boolean;
  format: (value: number) => string;
  /** Distances between ticks that make round labels in the axis' unit; undefined: 1, 2, 5 and their tens. */
  increments: number[] | undefined;
}

export interface ChartLimit {
  scale: string;
  value: number;
  color: string;
  line: boolean;
  area: boolean;
  dashed: boolean;
}

export interface ChartModel {
  /** Seconds. */
  times: number[];
  series: ChartSeries[];
  axes: ChartAxis[];
  limits: ChartLimit[];
  range: { from: number; to: number };
  utc: boolean;
}

export interface Stacked {
  rows: Value[][];
  /** [upper, lower] indices into the rows. */
  bands: [number, number][];
}

/** Sums the visible series of each stack, positive and negative values apart. */
export function stack(series: readonly ChartSeries[], hidden: ReadonlySet<string>): Stacked {
  const length = series[0]?.values.length ?? 0;
  const bands: [number, number][] = [];
  const sums = new Map<string, { total: number[]; before: number | undefined }>();
  const totals = new Map<string, number[]>();
  const keyOf = (one: ChartSeries): string => {
    const negative = one.values.some((value) => value !== null && value < 0) && !one.values.some((value) => value !== null && value > 0);
    return `${one.scale}/${one.stack}/${negative ? '-' : '+'}`;
  };
  for (const one of series) {
    if (one.stack === '' || !one.percent || hidden.has(one.name)) continue;
    const total = totals.get(keyOf(one)) ?? new Array<number>(length).fill(0);
    one.values.forEach((value, index) => (total[index] = (total[index] ?? 0) + Math.abs(value ?? 0)));
    totals.set(keyOf(one), total);
  }
  // Where no series of a stack has a value there is nothing to draw, not even zero.
  const known = new Map<string, boolean[]>();
  for (const one of series) {
    if (one.stack === '' || hidden.has(one.name) || one.hidden) continue;
    const some = known.get(keyOf(one)) ?? new Array<boolean>(length).fill(false);
    one.values.forEach((value, at) => (some[at] ||= value !== null));
    known.set(keyOf(one), some);
  }
  const rows = series.map((one, index) => {
    if (one.stack === '' || hidden.has(one.name) || one.hidden) return one.values;
    const key = keyOf(one);
    const whole = one.percent ? totals.get(key) : undefined;
    const state = sums.get(key) ?? { total: new Array<number>(length).fill(0), before: undefined };
    const anything = one.values.some((value) => value !== null);
    const some = known.get(key);
    const row = one.values.map((value, at) => {
      const share = whole === undefined ? (value ?? 0) : (value ?? 0) / (whole[at] || 1);
      const sum = (state.total[at] ?? 0) + (Number.isFinite(share) ? share : 0);
      state.total[at] = sum;
      // A gap in one series must not tear a hole into those above it.
      return value === null && (!anything || some?.[at] !== true) ? null : sum;
    });
    if (state.before !== undefined) bands.push([index, state.before]);
    state.before = index;
    sums.set(key, state);
    return row;
  });
  series.forEach((one, index) => {
    const lower = one.fillBelowTo === '' ? -1 : series.findIndex((candidate) => candidate.name === one.fillBelowTo);
    if (lower >= 0) bands.push([index, lower]);
  });
  return { rows, bands };
}

function customSeries(options: FieldOptions): Omit<ChartSeries, 'name' | 'color' | 'values' | 'scale' | 'format'> {
  const custom = options.custom;
  const hide = obj(custom['hideFrom']);
  const stacking = obj(custom['stacking']);
  const mode = str(stacking['mode'], 'none');
  const lineStyle = obj(custom['lineStyle']);
  const dash = lineStyle['fill'] === 'dash' ? [10, 10] : lineStyle['fill'] === 'dot' ? [1, 6] : undefined;
  const given = Array.isArray(lineStyle['dash']) ? lineStyle['dash'].filter((part): part is number => typeof part === 'number') : [];
  const spanNulls = custom['spanNulls'];
  return {
    draw: word(custom['drawStyle'], ['line', 'bars', 'points']),
    interpolation: word(custom['lineInterpolation'], ['linear', 'smooth', 'stepBefore', 'stepAfter']),
    lineWidth: num(custom['lineWidth']) ?? 1,
    fill: (num(custom['fillOpacity']) ?? 0) / 100,
    gradient: custom['gradientMode'] === 'opacity' || custom['gradientMode'] === 'hue',
    dash: dash === undefined ? undefined : given.length > 0 ? given : dash,
    spanNulls: typeof spanNulls === 'number' ? spanNulls : bool(spanNulls),
    points: word(custom['showPoints'], ['auto', 'never', 'always']),
    pointSize: num(custom['pointSize']) ?? 5,
    stack: mode === 'none' || mode === 'false' ? '' : str(stacking['group'], 'A') || 'A',
    percent: mode === 'percent',
    fillBelowTo: str(custom['fillBelowTo']),
    hidden: bool(hide['viz']),
    inLegend: !bool(hide['legend']),
    inTooltip: !bool(hide['tooltip']),
  };
}

/** A time series panel's frames as a chart. Each unit gets an axis of its own; the second goes right. */
export function chartOf(frames: readonly Frame[], range: { from: number; to: number }, utc: boolean): ChartModel {
  const found = numberFields(frames).map(({ frame, field }) => ({
    field,
    times: (frame.fields.find((candidate) => candidate.type === 'time')?.values ?? []).map((time) => Number(time) / 1000),
    values: numbers(field),
  }));
  const aligned = join(found);
  const axes = new Map<string, ChartAxis>();
  const limits: ChartLimit[] = [];
  const series = found.map(({ field }, index): ChartSeries => {
    const { options } = field;
    const custom = options.custom;
    const style = customSeries(options);
    const log = obj(custom['scaleDistribution']);
    const unit = style.percent ? 'percentunit' : options.unit;
    const placement = str(custom['axisPlacement'], 'auto');
    const scale = `${unit}|${placement === 'right' ? 'right' : ''}|${style.percent ? '' : (options.min ?? '')}|${style.percent ? '' : (options.max ?? '')}`;
    if (!axes.has(scale)) {
      axes.set(scale, {
        scale,
        right: placement === 'right' || (placement === 'auto' && axes.size > 0),
        hidden: placement === 'hidden',
        label: str(custom['axisLabel']),
        min: options.min,
        max: style.percent ? 1 : options.max,
        softMin: num(custom['axisSoftMin']),
        softMax: num(custom['axisSoftMax']),
        logBase: log['type'] === 'log' ? (num(log['log']) ?? 2) : 0,
        grid: bool(custom['axisGridShow'], axes.size === 0),
        centeredZero: bool(custom['axisCenteredZero']),
        fromZero: style.stack !== '' || style.draw === 'bars',
        format: (value) => formatValue(unit, value, { decimals: options.decimals, utc }),
        increments: increments(unit),
      });
      limits.push(...thresholdLimits(options, scale));
    }
    const raw = aligned.rows[index] ?? [];
    const values = custom['transform'] === 'negative-Y' ? raw.map((value) => (value === null ? null : -value)) : raw;
    const bounds = { min: reduceNumber('min', raw) ?? 0, max: reduceNumber('max', raw) ?? 0 };
    const place = { index, name: field.display, bounds };
    const by = reduceNumber(options.seriesBy === 'last' ? 'lastNotNull' : options.seriesBy, raw);
    return {
      ...style,
      name: field.display,
      color: seriesColor(options, place, by),
      values,
      scale,
      format: (value) => {
        const shown = show(value, options, place, utc);
        return shown.prefix + shown.text + shown.suffix;
      },
    };
  });
  return { times: aligned.times, series, axes: [...axes.values()], limits, range, utc };
}

function thresholdLimits(options: FieldOptions, scale: string): ChartLimit[] {
  const mode = str(obj(options.custom['thresholdsStyle'])['mode'], 'off');
  if (mode === 'off' || mode === 'series') return [];
  const { percentage, steps } = options.thresholds;
  const min = options.min ?? 0;
  const max = options.max ?? 100;
  return steps.map((step) => ({
    scale,
    value: percentage ? min + ((max - min) * step.value) / 100 : step.value,
    color: resolveColor(step.color),
    line: mode !== 'area',
    area: mode.includes('area'),
    dashed: mode.startsWith('dashed'),
  }));
}

/** The plainest chart: one axis, lines. What the query page draws. */
export function plainChart(names: readonly string[], colors: readonly string[], times: number[], rows: Value[][], range: { from: number; to: number }, stacked: boolean, utc: boolean): ChartModel {
  const format = (value: number): string => formatValue('short', value, { utc });
  return {
    times,
    range,
    utc,
    limits: [],
    axes: [{ scale: 'y', right: false, hidden: false, label: '', min: undefined, max: undefined, softMin: undefined, softMax: undefined, logBase: 0, grid: true, centeredZero: false, fromZero: stacked, format, increments: undefined }],
    series: names.map((name, index) => ({
      name,
      color: colors[index] ?? '#5592ee',
      values: rows[index] ?? [],
      draw: 'line',
      interpolation: 'linear',
      lineWidth: stacked ? 1 : 1.5,
      fill: stacked ? 0.35 : 0,
      gradient: false,
      dash: undefined,
      spanNulls: false,
      points: 'auto',
      pointSize: 5,
      stack: stacked ? 'A' : '',
      percent: false,
      scale: 'y',
      fillBelowTo: '',
      hidden: false,
      inLegend: true,
      inTooltip: true,
      format: (value) => (value === null ? '' : String(Number(value.toPrecision(12)))),
    })),
  };
}

/** How many series have at least one value to draw. */
export function drawnCount(model: ChartModel): number {
  return model.series.filter((one) => !one.hidden && one.values.some((value) => value !== null && !Number.isNaN(value))).length;
}
