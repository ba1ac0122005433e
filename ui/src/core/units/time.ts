// Durations: automatic units, clocks and words.

import { digits, plain, timed, type Formatted } from './number';

interface Stage {
  /** Sizes below this, in the unit of the value, are written by this stage. */
  below: number;
  divisor: number;
  unit: string;
  plural?: boolean;
}

const YEAR_S = 31_536_000;
const MIN = { unit: 'min', plural: true };
const HOUR = { unit: 'hour', plural: true };
const DAY = { unit: 'day', plural: true };
const WEEK = { unit: 'week', plural: true };
const YEAR = { unit: 'year', plural: true, below: Infinity };

const STAGES: Readonly<Record<string, readonly Stage[]>> = {
  ns: [
    { below: 1e3, divisor: 1, unit: 'ns' },
    { below: 1e6, divisor: 1e3, unit: 'µs' },
    { below: 1e9, divisor: 1e6, unit: 'ms' },
    { below: 6e10, divisor: 1e9, unit: 's' },
    { below: 36e11, divisor: 6e10, ...MIN },
    { below: 864e11, divisor: 36e11, ...HOUR },
    { below: Infinity, divisor: 864e11, ...DAY },
  ],
  µs: [
    { below: 1e3, divisor: 1, unit: 'µs' },
    { below: 1e6, divisor: 1e3, unit: 'ms' },
    { below: Infinity, divisor: 1e6, unit: 's' },
  ],
  ms: [
    { below: 1e3, divisor: 1, unit: 'ms' },
    { below: 6e4, divisor: 1e3, unit: 's' },
    { below: 36e5, divisor: 6e4, ...MIN },
    { below: 864e5, divisor: 36e5, ...HOUR },
    { below: YEAR_S * 1e3, divisor: 864e5, ...DAY },
    { divisor: YEAR_S * 1e3, ...YEAR },
  ],
  s: [
    { below: 1e-6, divisor: 1e-9, unit: 'ns' },
    { below: 1e-3, divisor: 1e-6, unit: 'µs' },
    { below: 1, divisor: 1e-3, unit: 'ms' },
    { below: 60, divisor: 1, unit: 's' },
    { below: 3600, divisor: 60, ...MIN },
    { below: 86_400, divisor: 3600, ...HOUR },
    { below: 604_800, divisor: 86_400, ...DAY },
    { below: YEAR_S, divisor: 604_800, ...WEEK },
    { divisor: 31_556_900, ...YEAR },
  ],
  m: [
    { below: 60, divisor: 1, unit: 'min' },
    { below: 1440, divisor: 60, ...HOUR },
    { below: 10_080, divisor: 1440, ...DAY },
    { below: 604_800, divisor: 10_080, ...WEEK },
    { divisor: 525_948, ...YEAR },
  ],
  h: [
    { below: 24, divisor: 1, unit: 'hour' },
    { below: 168, divisor: 24, ...DAY },
    { below: 8760, divisor: 168, ...WEEK },
    { divisor: 8760, ...YEAR },
  ],
  d: [
    { below: 7, divisor: 1, ...DAY },
    { below: 365, divisor: 7, ...WEEK },
    { divisor: 365, ...YEAR },
  ],
};

/** Units by id "ns", "µs", "ms", "s", "m", "h", "d"; undefined for any other. */
export function automatic(id: string, value: number, decimals: number | undefined): Formatted | undefined {
  const stages = STAGES[id];
  if (stages === undefined) return undefined;
  if (id === 's' && value === 0) return plain('0', ' s');
  const size = Math.abs(value);
  // NaN is below nothing and takes the last stage, as a number that is too big does.
  const stage = stages.find((candidate) => size < candidate.below) ?? stages[stages.length - 1];
  if (stage === undefined) return undefined;
  // Dividing by 1e-9 is not multiplying by 1e9 in the last digit.
  const shown = stage.divisor < 1 ? value * Math.round(1 / stage.divisor) : value / stage.divisor;
  return timed(shown, decimals, stage.unit, stage.plural ?? false);
}

const WORDS: readonly (readonly [string, number])[] = [
  ['year', 31_536_000_000],
  ['month', 2_592_000_000],
  ['week', 604_800_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
  ['millisecond', 1],
];

/** "3 hours, 2 minutes": `decimals` is how many units follow the first. */
export function inWords(value: number, unit: 'second' | 'millisecond', decimals: number | undefined): Formatted {
  if (value === 0) return plain('0', ` ${unit}s`);
  if (value < 0) {
    const positive = inWords(-value, unit, decimals);
    return { ...positive, suffix: `${positive.suffix} ago` };
  }
  let rest = unit === 'second' ? value * 1000 : value;
  let left = decimals ?? 0;
  const parts: string[] = [];
  for (const [name, size] of WORDS) {
    if (left < 0) break;
    if (rest / size < 1 && parts.length === 0) continue;
    const count = Math.floor(rest / size);
    parts.push(`${count} ${name}${count === 1 ? '' : 's'}`);
    rest %= size;
    left -= 1;
  }
  return plain(parts.join(', '));
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** "01:02:03", with "4 d " before it when `days`. */
export function hms(value: number, days: boolean): Formatted {
  if (value < 0) {
    const positive = hms(-value, days);
    return { ...positive, suffix: `${positive.suffix} ago` };
  }
  const whole = days ? Math.floor(value / 86_400) : 0;
  const rest = value - whole * 86_400;
  const text = [rest / 3600, (rest % 3600) / 60, (rest % 3600) % 60].map((part) => two(Math.floor(part))).join(':');
  return plain(`${whole > 0 ? `${whole} d ` : ''}${text}`);
}

/** "02h:03m:04s:005ms"; `decimals` limits the parts after the first. */
export function clock(ms: number, decimals: number | undefined): Formatted {
  const whole = Math.floor(ms);
  const milli = `${String(((whole % 1000) + 1000) % 1000).padStart(3, '0')}ms`;
  const second = `${two(((Math.floor(whole / 1000) % 60) + 60) % 60)}s`;
  const minute = `${two(((Math.floor(whole / 60_000) % 60) + 60) % 60)}m`;
  let parts: string[];
  if (ms < 1000) return plain(milli);
  if (ms < 60_000) parts = [second, milli];
  else if (ms < 3_600_000) parts = [minute, second, milli];
  else parts = [`${Math.floor(ms / 3_600_000)}h`, minute, second, milli];
  const keep = decimals === undefined ? parts.length : Math.max(1, decimals + 1);
  return plain(parts.slice(0, keep).join(':'));
}

export function timeticks(value: number, decimals: number | undefined): Formatted {
  return automatic('s', value / 100, decimals) ?? plain(digits(value, decimals));
}
