// Time ranges as Grafana writes them: "now-6h", "now/d", epoch milliseconds, ISO dates.

export interface TimeRange {
  from: string;
  to: string;
}

export interface AbsoluteRange {
  fromMs: number;
  toMs: number;
}

type Unit = 's' | 'm' | 'h' | 'd' | 'w' | 'M' | 'Q' | 'y';
const FIXED_MS: Partial<Record<Unit, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

export const QUICK_RANGES: readonly TimeRange[] = [
  ...['5m', '15m', '30m', '1h', '3h', '6h', '12h', '24h', '2d', '7d', '30d', '90d', '6M', '1y', '2y', '5y'].map((n) => ({
    from: `now-${n}`,
    to: 'now',
  })),
  { from: 'now-1d/d', to: 'now-1d/d' },
  { from: 'now-2d/d', to: 'now-2d/d' },
  { from: 'now-7d/d', to: 'now-7d/d' },
  { from: 'now-1w/w', to: 'now-1w/w' },
  { from: 'now-1M/M', to: 'now-1M/M' },
  { from: 'now/d', to: 'now/d' },
  { from: 'now/d', to: 'now' },
  { from: 'now/w', to: 'now' },
  { from: 'now/M', to: 'now' },
  { from: 'now/y', to: 'now' },
];

function shift(date: Date, count: number, unit: Unit): void {
  const fixed = FIXED_MS[unit];
  if (fixed !== undefined) date.setTime(date.getTime() + count * fixed);
  else if (unit === 'd') date.setDate(date.getDate() + count);
  else if (unit === 'w') date.setDate(date.getDate() + 7 * count);
  else if (unit === 'y') date.setFullYear(date.getFullYear() + count);
  else {
    // A month later than 31 January is the last day of February, not 3 March.
    const day = date.getDate();
    date.setDate(1);
    date.setMonth(date.getMonth() + count * (unit === 'Q' ? 3 : 1));
    const last = new Date(date.getFullYear(), date.getMonth() + 1, 0).getDate();
    date.setDate(Math.min(day, last));
  }
}

function startOf(date: Date, unit: Unit): void {
  if (unit === 's') date.setMilliseconds(0);
  else if (unit === 'm') date.setSeconds(0, 0);
  else if (unit === 'h') date.setMinutes(0, 0, 0);
  else {
    date.setHours(0, 0, 0, 0);
    if (unit === 'w') date.setDate(date.getDate() - ((date.getDay() + 6) % 7));
    if (unit === 'M') date.setDate(1);
    if (unit === 'Q') date.setMonth(Math.floor(date.getMonth() / 3) * 3, 1);
    if (unit === 'y') date.setMonth(0, 1);
  }
}

/** Epoch milliseconds of one end of a range, or undefined when it cannot be read. `roundUp` is for the `to` end. */
export function parseTime(text: string, nowMs: number, roundUp: boolean): number | undefined {
  const trimmed = text.trim();
  if (/^-?\d{9,}$/.test(trimmed)) return Number(trimmed);
  let date: Date;
  let math: string;
  if (trimmed.startsWith('now')) {
    date = new Date(nowMs);
    math = trimmed.slice(3);
  } else {
    const [base = '', rest = ''] = trimmed.split('||');
    // "2026-01-02 03:04:05" is local time, as typed.
    const parsed = Date.parse(base.replace(/^(\d{4}-\d{2}-\d{2})$/, '$1T00:00:00').replace(' ', 'T'));
    if (Number.isNaN(parsed)) return undefined;
    date = new Date(parsed);
    math = rest;
  }
  while (math !== '') {
    const match = /^(?:([+-])(\d+)|(\/)f?)([smhdwMQy])/.exec(math);
    if (match === null) return undefined;
    const unit = match[4] as Unit;
    if (match[3] === '/') {
      startOf(date, unit);
      if (roundUp) {
        shift(date, 1, unit);
        date.setTime(date.getTime() - 1);
      }
    } else shift(date, Number(match[2]) * (match[1] === '-' ? -1 : 1), unit);
    math = math.slice(match[0].length);
  }
  return date.getTime();
}

/** Both ends in milliseconds; an unreadable or reversed range becomes the last six hours. */
export function resolveRange(range: TimeRange, nowMs: number): AbsoluteRange {
  const fromMs = parseTime(range.from, nowMs, false);
  const toMs = parseTime(range.to, nowMs, true);
  if (fromMs === undefined || toMs === undefined || toMs <= fromMs) return { fromMs: nowMs - 6 * 3_600_000, toMs: nowMs };
  return { fromMs, toMs };
}

export function isRelative(range: TimeRange): boolean {
  return range.from.startsWith('now') || range.to.startsWith('now');
}

/** Twice as long, same middle; what "zoom out" does. */
export function zoomOut(range: AbsoluteRange): AbsoluteRange {
  const half = (range.toMs - range.fromMs) / 2;
  return { fromMs: Math.round(range.fromMs - half), toMs: Math.round(range.toMs + half) };
}

export function shiftRange(range: AbsoluteRange, direction: -1 | 1): AbsoluteRange {
  const half = Math.round((range.toMs - range.fromMs) / 2) * direction;
  return { fromMs: range.fromMs + half, toMs: range.toMs + half };
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** "2026-01-02 03:04:05", local time or UTC. */
export function formatTime(ms: number, utc = false): string {
  const d = new Date(ms);
  if (Number.isNaN(d.getTime())) return '';
  return utc
    ? `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`
    : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}
