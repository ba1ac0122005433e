import { expect, test } from 'vitest';
import { automaticStep, encodePanels, nextRange, parsePanels } from './state';
import { ageS, found, parseGroups, parseTargets } from './status';

test('the address round-trips', () => {
  const text = 'g0.expr=up&g0.tab=graph&g0.range_input=2h&g0.end_input=2026-01-02 03:04:05&g0.step_input=15&g0.display_mode=stacked&g1.expr=x&g1.tab=1';
  const panels = parsePanels(new URLSearchParams(text));
  expect(panels).toEqual([
    { expr: 'up', tab: 'graph', rangeMs: 7_200_000, endMs: Date.UTC(2026, 0, 2, 3, 4, 5), momentMs: undefined, stepS: 15, stacked: true },
    { expr: 'x', tab: 'table', rangeMs: 3_600_000, endMs: undefined, momentMs: undefined, stepS: undefined, stacked: false },
  ]);
  expect(parsePanels(new URLSearchParams(encodePanels(panels)))).toEqual(panels);
  expect(parsePanels(new URLSearchParams('g0.tab=0'))).toHaveLength(1);
  expect(parsePanels(new URLSearchParams('g0.expr=a&g0.tab=0&g0.range_input=bad'))[0]).toMatchObject({ tab: 'graph', rangeMs: 3_600_000 });
});

test('ranges and steps', () => {
  expect(automaticStep(3_600_000)).toBe(14);
  expect(automaticStep(1000)).toBe(1);
  expect(nextRange(3_600_000, 1)).toBe(7_200_000);
  expect(nextRange(3_600_000, -1)).toBe(1_800_000);
  expect(nextRange(10_000, -1)).toBe(10_000);
});

test('status replies', () => {
  expect(parseTargets({ activeTargets: [{ scrapePool: 'p', health: 'up', labels: { a: 'b' } }, 3] })).toMatchObject([{ pool: 'p', health: 'up', labels: { a: 'b' }, lastError: '' }]);
  expect(parseTargets(null)).toEqual([]);
  expect(parseGroups({ groups: [{ name: 'g', rules: [{ type: 'alerting', name: 'A', alerts: [{ state: 'firing' }] }] }] })[0]?.rules[0]).toMatchObject({ kind: 'alerting', state: 'unknown', alerts: [{ state: 'firing' }] });
  expect(ageS('0001-01-01T00:00:00Z', 1000)).toBeUndefined();
  expect(ageS(new Date(0 + 5000).toISOString(), 8000)).toBe(3);
  expect(found('node 9100', 'http://localhost:9100', 'job="node"')).toBe(true);
  expect(found('redis', 'http://localhost:9100')).toBe(false);
});
