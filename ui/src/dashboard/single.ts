// One value per series, as stat, gauge and bar gauge show them.

import { bool, num, obj, str, strs } from '../core/json';
import { reduceNumber, type Value } from '../core/reduce';
import { show, type FieldOptions, type Place, type Shown } from './field';
import { numbers, type Field, type Frame } from './frames';
import type { Panel } from './model';
import { parseRegex } from './variables';

export interface Single {
  name: string;
  value: number | string | null;
  shown: Shown;
  options: FieldOptions;
  place: Place;
  /** For the sparkline. */
  history: Value[];
}

/** The fields that `reduceOptions.fields` picks: "" numbers, or a pattern or name. */
function wanted(fields: string, field: Field): boolean {
  if (fields === '') return field.type === 'number';
  if (fields.startsWith('/')) return parseRegex(fields)?.test(field.display) ?? false;
  return field.display === fields || field.name === fields;
}

export function singles(panel: Panel, frames: readonly Frame[], utc: boolean): Single[] {
  const reduce = obj(panel.options['reduceOptions']);
  const calc = strs(reduce['calcs'])[0] ?? 'lastNotNull';
  const limit = num(reduce['limit']) ?? 100;
  const fields = frames.flatMap((frame) => frame.fields.filter((field) => wanted(str(reduce['fields']), field)));
  const all = fields.flatMap((field) => numbers(field)).filter((value): value is number => value !== null && Number.isFinite(value));
  const bounds = { min: reduceNumber('min', all) ?? 0, max: reduceNumber('max', all) ?? 100 };
  const out: Single[] = [];
  for (const field of fields) {
    const history = numbers(field);
    const values: (number | string | null)[] = bool(reduce['values'])
      ? field.values.map((value) => (typeof value === 'boolean' ? String(value) : value))
      : field.type === 'number' || field.type === 'time'
        ? [reduceNumber(calc, history)]
        : [field.values.length > 0 ? String(field.values[field.values.length - 1]) : null];
    for (const value of values) {
      if (out.length >= limit) return out;
      const place = { index: out.length, name: field.display, bounds };
      const options = ['count', 'countAll', 'changeCount', 'distinctCount'].includes(calc) ? { ...field.options, unit: 'none' } : field.options;
      out.push({ name: field.display, value, shown: show(value, options, place, utc), options, place, history });
    }
  }
  return out;
}

/** How many columns and rows fill a box of this shape best. */
export function bestGrid(count: number, width: number, height: number, orientation: string): { columns: number; rows: number } {
  if (count <= 1) return { columns: 1, rows: 1 };
  if (orientation === 'horizontal') return { columns: 1, rows: count };
  if (orientation === 'vertical') return { columns: count, rows: 1 };
  let best = { columns: count, rows: 1 };
  let score = 0;
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    // A tile reads well when it is about twice as wide as high.
    const side = Math.min(width / columns / 2, height / rows);
    if (side > score) {
      score = side;
      best = { columns, rows };
    }
  }
  return best;
}

/** An SVG path of the last values in a box of 100 by 30; undefined with fewer than two. */
export function sparkline(history: readonly Value[]): { line: string; area: string } | undefined {
  const known = history.map((value, index) => ({ value, index })).filter((point): point is { value: number; index: number } => point.value !== null && Number.isFinite(point.value));
  if (known.length < 2) return undefined;
  const low = Math.min(...known.map((point) => point.value));
  const high = Math.max(...known.map((point) => point.value));
  const last = history.length - 1;
  const text = known
    .map((point) => `${((point.index / last) * 100).toFixed(2)},${(high === low ? 15 : 28 - ((point.value - low) / (high - low)) * 26).toFixed(2)}`)
    .join(' L');
  const first = known[0]?.index ?? 0;
  const end = known[known.length - 1]?.index ?? last;
  return { line: `M${text}`, area: `M${((first / last) * 100).toFixed(2)},30 L${text} L${((end / last) * 100).toFixed(2)},30 Z` };
}
