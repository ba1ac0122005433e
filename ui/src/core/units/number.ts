// How a number becomes digits: automatic decimals and scaling by thousands or 1024.

export interface Formatted {
  prefix: string;
  text: string;
  suffix: string;
}

export function plain(text: string, suffix = '', prefix = ''): Formatted {
  return { prefix, text, suffix };
}

/** Decimals that leave about three significant digits; none for integers. */
export function autoDecimals(value: number): number {
  if (value % 1 === 0) return 0;
  const size = Math.abs(value);
  const exponent = Math.floor(Math.log(size) / Math.LN10);
  const decimals = 1 - exponent;
  return Math.max(0, size * 10 ** decimals > 2.25 ? decimals + 1 : decimals);
}

export function digits(value: number, decimals: number | undefined): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞';
  const count = Math.max(0, decimals ?? autoDecimals(value));
  if (value === 0) return (0).toFixed(Math.min(count, 100));
  const factor = 10 ** count;
  const rounded = Math.round(value * factor) / factor;
  const text = String(rounded);
  if (text.includes('e')) return text;
  const point = text.indexOf('.');
  const have = point === -1 ? 0 : text.length - point - 1;
  if (have >= count) return text;
  return `${have === 0 ? `${text}.` : text}${'0'.repeat(count - have)}`;
}

/** Divides by powers of `base` and picks the suffix; `offset` is the place of the value's own unit in `suffixes`. */
export function scaled(
  value: number,
  decimals: number | undefined,
  base: number,
  suffixes: readonly string[],
  offset = 0,
): Formatted {
  if (!Number.isFinite(value)) return plain(digits(value, decimals));
  const power = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)) / Math.log10(base));
  const place = Math.min(Math.max(offset + power, 0), suffixes.length - 1);
  return plain(digits(value / base ** (place - offset), decimals), suffixes[place] ?? '');
}

/** A scaled time: the longer units take an `s` after one. */
export function timed(value: number, decimals: number | undefined, unit: string, plural: boolean): Formatted {
  return plain(digits(value, decimals), ` ${unit}${plural && Math.abs(value) > 1 ? 's' : ''}`);
}
