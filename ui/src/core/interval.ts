// Query resolution: the rounding of Grafana and the variables made from it (`$__interval`, `$__rate_interval`).

import { parseDuration } from './duration';

/** [upper bound of the raw value, result], milliseconds. */
const ROUNDING: readonly (readonly [number, number])[] = [
  [10, 1], [15, 10], [35, 20], [75, 50], [150, 100], [350, 200], [750, 500],
  [1500, 1000], [3500, 2000], [7500, 5000], [12_500, 10_000], [17_500, 15_000], [25_000, 20_000], [45_000, 30_000],
  [90_000, 60_000], [210_000, 120_000], [450_000, 300_000], [750_000, 600_000], [1_050_000, 900_000],
  [1_500_000, 1_200_000], [2_700_000, 1_800_000], [5_400_000, 3_600_000], [9_000_000, 7_200_000],
  [16_200_000, 10_800_000], [32_400_000, 21_600_000], [86_400_000, 43_200_000], [604_800_000, 86_400_000],
  [1_814_400_000, 604_800_000], [3_628_800_000, 2_592_000_000],
];

export function roundInterval(ms: number): number {
  for (const [upper, result] of ROUNDING) if (ms < upper) return result;
  return 31_536_000_000;
}

export interface ResolutionInput {
  /** Length of the time range. */
  rangeMs: number;
  maxDataPoints: number;
  /** The panel's "min interval", if it has one. */
  panelInterval?: string;
  /** The target's own min step, variables already put in; `$__rate_interval` and `$__interval` are passed as written. */
  targetInterval?: string;
  intervalFactor?: number;
  /** The data source's scrape interval; 15 s when unknown. */
  scrapeMs?: number;
}

export interface Resolution {
  stepMs: number;
  /** What `$__interval` stands for. */
  intervalMs: number;
  /** What `$__rate_interval` stands for. */
  rateIntervalMs: number;
}

export function resolution(input: ResolutionInput): Resolution {
  const scrape = input.scrapeMs ?? 15_000;
  const floor = parseDuration((input.panelInterval ?? '').replace(/^>/, '')) ?? scrape;
  const points = Math.max(1, input.maxDataPoints);
  const raw = input.rangeMs / points;
  const frontEnd = Math.max(roundInterval(raw), floor);
  const target = input.targetInterval?.trim() ?? '';
  const literal = target === '' || target.startsWith('$') ? undefined : parseDuration(target.replace(/^>/, ''));

  const min = literal ?? frontEnd;
  const calculated = raw < min ? min : roundInterval(raw);
  const safe = roundInterval(input.rangeMs / 11_000);
  let step = Math.max(calculated, safe) * Math.max(1, Math.floor(input.intervalFactor ?? 1));
  const rateBase = literal ?? (/^\$\{?__interval\}?$/.test(target) ? step : scrape);
  const rate = Math.max(frontEnd + rateBase, 4 * rateBase);
  if (/^\$\{?__rate_interval\}?$/.test(target)) step = Math.max(step + scrape, 4 * scrape);
  return { stepMs: step, intervalMs: step, rateIntervalMs: rate };
}
