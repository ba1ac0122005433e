// Query results as frames: columns with names, labels and options. Graphs read the numeric ones, tables all.

import type { QueryResult, Series } from '../core/api';
import { onGrid } from '../core/grid';
import { legendNames } from '../core/legend';
import type { Value } from '../core/reduce';
import { applyDisplayName, fieldOptions, type FieldOptions } from './field';
import type { Panel, Target } from './model';

export type Cell = number | string | boolean | null;

export interface Field {
  name: string;
  type: 'number' | 'time' | 'string' | 'boolean';
  labels: { readonly [label: string]: string };
  /** Times are epoch milliseconds. */
  values: Cell[];
  /** From the query's legend; wins over the field's name. */
  legend: string | undefined;
  display: string;
  options: FieldOptions;
}

export interface Frame {
  refId: string;
  fields: Field[];
}

export interface Answer {
  target: Target;
  /** Variables put in. */
  expr: string;
  legendFormat: string | undefined;
  result: QueryResult;
  /** Seconds; the grid of a range query. */
  grid: { start: number; end: number; step: number } | undefined;
}

const NO_OPTIONS: FieldOptions = {
  unit: '', decimals: undefined, min: undefined, max: undefined, displayName: '', noValue: '', colorMode: '', fixedColor: '',
  seriesBy: 'last', thresholds: { percentage: false, steps: [] }, mappings: [], links: [], custom: {},
};

export function makeField(name: string, type: Field['type'], values: Cell[], labels: Field['labels'] = {}, legend?: string): Field {
  return { name, type, values, labels, legend, display: legend ?? name, options: NO_OPTIONS };
}

function seriesFrames(answer: Answer): Frame[] {
  const { series } = answer.result;
  const names = legendNames(series.map((one) => one.labels), answer.legendFormat, answer.expr);
  const grid = answer.grid;
  if (grid !== undefined) {
    const aligned = onGrid(series, grid.start, grid.end, grid.step);
    const times = aligned.times.map((seconds) => seconds * 1000);
    return series.map((one, index) => frameOf(answer, one, times, aligned.rows[index] ?? [], names[index] ?? ''));
  }
  return series.map((one, index) => frameOf(answer, one, one.times.map((time) => time * 1000), one.values, names[index] ?? ''));
}

function frameOf(answer: Answer, series: Series, times: number[], values: Value[], legend: string): Frame {
  return { refId: answer.target.refId, fields: [makeField('Time', 'time', times), makeField('Value', 'number', values, series.labels, legend)] };
}

/** One frame per target: Time, a column per label, then the value. Range results give a row per sample. */
function tableFrame(answer: Answer, valueName: string): Frame {
  const { series } = answer.result;
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.labels)))].sort();
  const times: Cell[] = [];
  const values: Cell[] = [];
  const columns = labels.map((): Cell[] => []);
  for (const one of series) {
    one.times.forEach((time, index) => {
      times.push(time * 1000);
      values.push(one.values[index] ?? null);
      labels.forEach((label, column) => columns[column]?.push(one.labels[label] ?? ''));
    });
  }
  return {
    refId: answer.target.refId,
    fields: [
      makeField('Time', 'time', times),
      ...labels.map((label, column) => makeField(label, 'string', columns[column] ?? [])),
      makeField(valueName, 'number', values),
    ],
  };
}

/** A row for each bucket boundary, ready for a heatmap: differences between neighbouring `le`. */
function heatmapFrames(answer: Answer): Frame[] {
  const frames = seriesFrames(answer)
    .map((frame) => ({ frame, le: Number(String(frame.fields[1]?.labels['le'] ?? '').replace('+Inf', 'Infinity')) }))
    .filter((item) => !Number.isNaN(item.le))
    .sort((a, b) => a.le - b.le);
  return frames.map(({ frame }, index) => {
    const own = frame.fields[1];
    const below = frames[index - 1]?.frame.fields[1];
    if (own === undefined) return frame;
    const values = own.values.map((value, at) => {
      const lower = below?.values[at];
      return typeof value === 'number' ? Math.max(0, value - (typeof lower === 'number' ? lower : 0)) : null;
    });
    return { ...frame, fields: [frame.fields[0] ?? own, { ...own, values, legend: own.labels['le'] ?? '' }] };
  });
}

export function framesOf(answers: readonly Answer[]): Frame[] {
  const tables = answers.filter((answer) => answer.target.format === 'table').length;
  return answers.flatMap((answer) => {
    if (answer.target.format === 'table') return [tableFrame(answer, tables > 1 ? `Value #${answer.target.refId}` : 'Value')];
    if (answer.target.format === 'heatmap') return heatmapFrames(answer);
    return seriesFrames(answer);
  });
}

/** Options by defaults and overrides, then the names to show. Duplicate names are numbered. */
export function configure(frames: readonly Frame[], panel: Panel): Frame[] {
  const taken = new Map<string, number>();
  return frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field) => {
      const automatic = field.legend ?? field.name;
      const identity = { name: automatic, type: field.type, refId: frame.refId, values: field.values };
      const options = fieldOptions(panel.fieldDefaults, panel.fieldOverrides, identity);
      const named = options.displayName === '' ? automatic : applyDisplayName(options.displayName, automatic, field.labels);
      if (field.type !== 'number' || field.legend === undefined) return { ...field, options, display: named };
      const count = (taken.get(named) ?? 0) + 1;
      taken.set(named, count);
      return { ...field, options, display: count > 1 ? `${named} ${count}` : named };
    }),
  }));
}

export function numberFields(frames: readonly Frame[]): { frame: Frame; field: Field }[] {
  return frames.flatMap((frame) => frame.fields.filter((field) => field.type === 'number').map((field) => ({ frame, field })));
}

export function numbers(field: Field): Value[] {
  return field.values.map((value) => (typeof value === 'number' ? value : null));
}
