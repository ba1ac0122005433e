// Distances between an axis' ticks that are round in its unit: 512 MiB and not 477, 5 min and not 4.17.

import { BINARY } from './table';

/** 1, 2, 5 and their tens from `low` up to below `high`, exponents of ten. */
function tens(low: number, high: number): number[] {
  const out: number[] = [];
  for (let exponent = low; exponent < high; exponent += 1) for (const digit of [1, 2, 5]) out.push(Number(`${digit}e${exponent}`));
  return out;
}

const TWOS = [...tens(-9, 0), ...Array.from({ length: 70 }, (_, exponent) => 2 ** exponent)];
const CLOCK = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200];
const DAY = 86_400;
const SECONDS = [...tens(-9, 0), ...CLOCK, ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000].map((days) => days * DAY)];

/** undefined where tens are right. */
export function increments(unit: string): number[] | undefined {
  if (unit === 's') return SECONDS;
  return unit in BINARY ? TWOS : undefined;
}
