// Reducers: one value out of a series, by Grafana's ids and with its treatment of gaps (null) and NaN.

export type Value = number | null;
export type Reduced = number | boolean | null;

function present(values: readonly Value[]): number[] {
  return values.filter((value): value is number => value !== null && !Number.isNaN(value));
}

/** `count`, `mean` and their like skip gaps; only `countAll` and `last`/`first` see them. */
function known(values: readonly Value[]): number[] {
  return values.filter((value): value is number => value !== null);
}

function fold(values: readonly Value[], pick: (a: number, b: number) => number): Value {
  let out: Value = null;
  for (const value of values) if (value !== null && !Number.isNaN(value)) out = out === null ? value : pick(out, value);
  return out;
}

function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function quantile(values: readonly Value[], share: number): Value {
  const sorted = known(values).sort((a, b) => a - b);
  return sorted[Math.round((sorted.length - 1) * share)] ?? null;
}

function median(values: readonly Value[]): Value {
  const sorted = known(values).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) return null;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

function variance(values: readonly Value[]): number {
  const all = present(values);
  if (all.length === 0) return 0;
  const mean = sum(all) / all.length;
  return sum(all.map((value) => (value - mean) ** 2)) / all.length;
}

/** What a counter went up by: a fall is a reset, and the first rise after it is not counted. */
function delta(values: readonly Value[]): number {
  let total = 0;
  let rising = true;
  let before: number | undefined;
  for (const value of present(values)) {
    if (before !== undefined) {
      if (value < before) rising = false;
      else {
        if (rising) total += value - before;
        rising = true;
      }
    }
    before = value;
  }
  return total;
}

function steps(values: readonly Value[]): number[] {
  const all = present(values);
  return all.slice(1).map((value, index) => value - (all[index] ?? value));
}

function span(values: readonly Value[]): Value {
  const all = present(values);
  const first = all[0];
  const last = all[all.length - 1];
  return first === undefined || last === undefined ? null : last - first;
}

const REDUCERS: Readonly<Record<string, (values: readonly Value[]) => Reduced>> = {
  lastNotNull: (v) => v.findLast((value) => value !== null && !Number.isNaN(value)) ?? null,
  last: (v) => v[v.length - 1] ?? null,
  firstNotNull: (v) => v.find((value) => value !== null && !Number.isNaN(value)) ?? null,
  first: (v) => v[0] ?? null,
  min: (v) => fold(v, Math.min),
  max: (v) => fold(v, Math.max),
  mean: (v) => {
    const all = present(v);
    return all.length === 0 ? null : sum(all) / all.length;
  },
  median,
  sum: (v) => sum(present(v)),
  count: (v) => known(v).length,
  countAll: (v) => v.length,
  range: (v) => {
    const max = fold(v, Math.max);
    const min = fold(v, Math.min);
    return max === null || min === null ? null : max - min;
  },
  delta,
  step: (v) => fold(steps(v), Math.min),
  diff: span,
  diffperc: (v) => {
    const difference = span(v);
    const first = present(v)[0];
    return difference === null || first === undefined ? null : (difference / first) * 100;
  },
  logmin: (v) => fold(v.map((value) => (value !== null && value > 0 ? value : null)), Math.min),
  allIsZero: (v) => known(v).length > 0 && present(v).every((value) => value === 0),
  allIsNull: (v) => present(v).length === 0,
  changeCount: (v) => known(v).filter((value, index, all) => index > 0 && value !== all[index - 1]).length,
  distinctCount: (v) => new Set(known(v)).size,
  variance,
  stdDev: (v) => Math.sqrt(variance(v)),
};

/** Names of before Grafana 7. */
const ALIASES: Readonly<Record<string, string>> = { current: 'lastNotNull', avg: 'mean', total: 'sum', lastTime: 'lastNotNull' };

/** An unknown id reduces as `lastNotNull`: a dashboard with a newer reducer still shows a value. */
export function reduce(id: string, values: readonly Value[]): Reduced {
  const percentile = /^p(\d{1,2}(?:\.\d+)?)$/.exec(id);
  if (percentile !== null) return quantile(values, Number(percentile[1]) / 100);
  const name = ALIASES[id] ?? id;
  const reducer = Object.hasOwn(REDUCERS, name) ? REDUCERS[name] : undefined;
  return (reducer ?? REDUCERS['lastNotNull'] ?? (() => null))(values);
}

export function reduceNumber(id: string, values: readonly Value[]): Value {
  const out = reduce(id, values);
  return typeof out === 'boolean' ? Number(out) : out;
}

const TITLES: Readonly<Record<string, string>> = {
  lastNotNull: 'Last *', last: 'Last', firstNotNull: 'First *', first: 'First', min: 'Min', max: 'Max', mean: 'Mean', median: 'Median',
  sum: 'Total', count: 'Count', countAll: 'Count all', range: 'Range', delta: 'Delta', step: 'Step', diff: 'Difference',
  diffperc: 'Difference %', logmin: 'Min (above zero)', allIsZero: 'All zeros', allIsNull: 'All nulls',
  changeCount: 'Change count', distinctCount: 'Distinct count', variance: 'Variance', stdDev: 'StdDev',
};

/** The column title of a reducer, as Grafana's legends have it. */
export function reducerTitle(id: string): string {
  const name = ALIASES[id] ?? id;
  return TITLES[name] ?? (/^p\d/.test(name) ? `${name.slice(1)}th %` : name);
}

export function isCountReducer(id: string): boolean {
  return ['count', 'countAll', 'changeCount', 'distinctCount', 'allIsZero', 'allIsNull'].includes(id);
}
