// Range results on one common time axis, with gaps where a series has no sample at a step.

import type { Series } from './api';
import type { Value } from './reduce';

export interface Aligned {
  /** Seconds, ascending. */
  times: number[];
  /** One row per series, each as long as `times`. */
  rows: Value[][];
}

/** Places range results with the same step on their grid from `start` to `end` (seconds). */
export function onGrid(series: readonly Series[], start: number, end: number, step: number): Aligned {
  const count = Math.max(0, Math.min(Math.floor((end - start) / step + 1e-6) + 1, 11_001));
  const times = Array.from({ length: count }, (_, index) => start + index * step);
  const rows = series.map((one) => {
    const row = new Array<Value>(count).fill(null);
    one.times.forEach((time, index) => {
      const place = Math.round((time - start) / step);
      const value = one.values[index];
      if (place >= 0 && place < count && value !== undefined) row[place] = value;
    });
    return row;
  });
  return { times, rows };
}

/** Joins rows that have axes of their own: the union of all times, gaps elsewhere. */
export function join(parts: readonly { times: readonly number[]; values: readonly Value[] }[]): Aligned {
  const first = parts[0];
  if (first === undefined) return { times: [], rows: [] };
  const same = parts.every((part) => part.times === first.times || sameTimes(part.times, first.times));
  if (same) return { times: [...first.times], rows: parts.map((part) => [...part.values]) };
  const times = [...new Set(parts.flatMap((part) => part.times))].sort((a, b) => a - b);
  const place = new Map(times.map((time, index) => [time, index]));
  const rows = parts.map((part) => {
    const row = new Array<Value>(times.length).fill(null);
    part.times.forEach((time, index) => {
      row[place.get(time) ?? 0] = part.values[index] ?? null;
    });
    return row;
  });
  return { times, rows };
}

function sameTimes(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((time, index) => time === b[index]);
}
