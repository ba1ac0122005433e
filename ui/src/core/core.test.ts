import { expect, test } from 'vitest';
import { parseQueryData } from './api';
import { formatDuration, formatInterval, parseDuration } from './duration';
import { binaryParts, topExpression } from './explain';
import { join, onGrid } from './grid';
import { resolution, roundInterval } from './interval';
import { legendNames, seriesName } from './legend';
import { mismatch, suggestions } from './matching';
import { parseTime, resolveRange } from './timerange';

test('durations', () => {
  for (const [text, ms] of [['15s', 15_000], ['1h30m', 5_400_000], ['90', 90_000], ['250ms', 250], ['1M', 2_592_000_000]] as const) expect(parseDuration(text)).toBe(ms);
  for (const text of ['', 'x', '1x', '5m3', '-5m']) expect(parseDuration(text)).toBeUndefined();
  expect(formatDuration(5_400_000)).toBe('1h30m');
  expect(formatInterval(120_000)).toBe('2m');
  expect(formatInterval(1500)).toBe('1500ms');
});

test('relative times', () => {
  const now = new Date(2026, 2, 31, 12, 34, 56).getTime();
  expect(parseTime('now', now, false)).toBe(now);
  expect(parseTime('now-6h', now, false)).toBe(now - 21_600_000);
  expect(parseTime('now-1h-30m', now, false)).toBe(now - 5_400_000);
  expect(parseTime('now/d', now, false)).toBe(new Date(2026, 2, 31).getTime());
  expect(parseTime('now/d', now, true)).toBe(new Date(2026, 3, 1).getTime() - 1);
  expect(parseTime('now-1M', now, false)).toBe(new Date(2026, 1, 28, 12, 34, 56).getTime());
  expect(parseTime('now-1d/d', now, true)).toBe(new Date(2026, 2, 31).getTime() - 1);
  expect(parseTime('1700000000000', now, false)).toBe(1_700_000_000_000);
  expect(parseTime('2026-01-02 03:04:05', now, false)).toBe(new Date(2026, 0, 2, 3, 4, 5).getTime());
  for (const text of ['', 'nowish', 'now-', 'now-5', 'yesterday']) expect(parseTime(text, now, false)).toBeUndefined();
  expect(resolveRange({ from: 'now', to: 'now-1h' }, now)).toEqual({ fromMs: now - 21_600_000, toMs: now });
});

test('resolution', () => {
  expect(roundInterval(9)).toBe(1);
  expect(roundInterval(14_999)).toBe(15_000);
  expect(roundInterval(3_600_000)).toBe(3_600_000);
  // An hour on 800 points: raw 4.5 s, held up by the scrape interval.
  expect(resolution({ rangeMs: 3_600_000, maxDataPoints: 800 })).toEqual({ stepMs: 15_000, intervalMs: 15_000, rateIntervalMs: 60_000 });
  // A day on 800 points: raw 108 s becomes 2 m.
  expect(resolution({ rangeMs: 86_400_000, maxDataPoints: 800 })).toEqual({ stepMs: 120_000, intervalMs: 120_000, rateIntervalMs: 135_000 });
  expect(resolution({ rangeMs: 3_600_000, maxDataPoints: 800, targetInterval: '1m' }).stepMs).toBe(60_000);
  expect(resolution({ rangeMs: 3_600_000, maxDataPoints: 800, targetInterval: '$__rate_interval' }).stepMs).toBe(60_000);
  expect(resolution({ rangeMs: 3_600_000, maxDataPoints: 800, intervalFactor: 2 }).stepMs).toBe(30_000);
});

test('names', () => {
  expect(seriesName({ __name__: 'up', job: 'a"b' })).toBe('up{job="a\\"b"}');
  expect(seriesName({})).toBe('{}');
  expect(seriesName({ __name__: 'my.metric', x: '1' })).toBe('{"my.metric", x="1"}');
  const all = [{ __name__: 'm', job: 'a', i: '1' }, { __name__: 'm', job: 'a', i: '2' }];
  expect(legendNames(all, '{{job}}-{{ i }}{{none}}', 'm')).toEqual(['a-1', 'a-2']);
  expect(legendNames(all, '__auto', 'm')).toEqual(['1', '2']);
  expect(legendNames([{}], '', 'sum(m)')).toEqual(['sum(m)']);
});

test('grids', () => {
  const series = [{ labels: {}, times: [10, 30], values: [1, 3], histograms: [] }];
  expect(onGrid(series, 10, 40, 10)).toEqual({ times: [10, 20, 30, 40], rows: [[1, null, 3, null]] });
  expect(join([{ times: [1, 2], values: [5, 6] }, { times: [2, 3], values: [7, 8] }])).toEqual({ times: [1, 2, 3], rows: [[5, 6, null], [null, 7, 8]] });
});

test('replies', () => {
  const read = parseQueryData({ resultType: 'vector', result: [{ metric: { a: 'b' }, value: [1, '+Inf'] }, { metric: {}, histogram: [2, { count: '3', sum: '1.5' }] }] });
  expect(read.series[0]).toEqual({ labels: { a: 'b' }, times: [1], values: [Infinity], histograms: [] });
  expect(read.series[1]?.histograms).toEqual(['count:3, sum:1.5']);
  expect(() => parseQueryData({ resultType: 'odd' })).toThrow('unexpected result type');
});

test('binary expressions are taken apart', () => {
  const text = '((a - b)) / on (job, "x y") group_left sum(c)';
  const node = topExpression(text);
  const parts = node === undefined ? undefined : binaryParts(node, text);
  expect(parts?.op).toBe('/');
  expect(parts?.rule).toEqual({ kind: 'on', labels: ['job', 'x y'] });
  expect(text.slice(parts?.left.from, parts?.left.to)).toBe('((a - b))');
  expect(text.slice(parts?.right.from, parts?.right.to)).toBe('sum(c)');
  const compare = topExpression('a > bool 3');
  expect(compare && binaryParts(compare, 'a > bool 3')?.opText).toBe('> bool');
  const all = 'a + b and c';
  const top = topExpression(all);
  expect(top && binaryParts(top, all)?.op).toBe('and');
});

test('label sets that do not match are explained', () => {
  const left = ['paris', 'lyon'].map((city) => ({ __name__: 'listings_scraped_total', job: 's', city }));
  const right = ['timeout', 'parse'].map((type) => ({ __name__: 'errors_total', job: 's', type }));
  const found = mismatch(left, right, { kind: 'all', labels: [] });
  expect(found).toMatchObject({ onlyLeft: ['city'], onlyRight: ['type'], disjoint: [], leftUnique: false, rightUnique: false });
  // Neither on() nor ignoring() can match many to many: only sums are offered.
  expect(found && suggestions('listings_scraped_total', '-', 'errors_total', found)).toEqual([{ kind: 'sum', expr: 'sum by (job) (listings_scraped_total) - sum by (job) (errors_total)' }]);
  expect(mismatch(left, right, { kind: 'on', labels: ['job'] })).toBeUndefined();
  const one = mismatch(left, [{ job: 's' }], { kind: 'all', labels: [] });
  expect(one && suggestions('(a)', '/', 'b', one).map((item) => item.expr)).toEqual(['sum by (job) (a) / b', '(a) / on (job) group_left b', '(a) / ignoring (city) group_left b']);
  const values = mismatch([{ job: 'a' }], [{ job: 'b' }], { kind: 'all', labels: [] });
  expect(values?.disjoint).toEqual([{ label: 'job', left: ['a'], right: ['b'] }]);
});
