// Values with units, by Grafana's unit ids.

import { formatDate, namedDate } from './date';
import { digits, plain, scaled, type Formatted } from './number';
import { BINARY, BOOLEAN, COUNT, CURRENCY, FIXED, SI } from './table';
import { automatic, clock, hms, inWords, timeticks } from './time';

export type { Formatted } from './number';

const SHORT = ['', ' K', ' Mil', ' Bil', ' Tri', ' Quadr', ' Quint', ' Sext', ' Sept'];
const SI_PREFIXES = ['f', 'p', 'n', 'µ', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const SI_BASE = SI_PREFIXES.indexOf('');
const BINARY_PREFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi'];
const COUNTS = ['', 'K', 'M', 'B', 'T'];

export interface FormatContext {
  /** Digits behind the point; undefined lets the value decide. */
  decimals?: number | undefined;
  utc?: boolean;
  nowMs?: number;
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function si(value: number, decimals: number | undefined, symbol: string, power: number): Formatted {
  return scaled(value, decimals, 1000, SI_PREFIXES.map((prefix) => ` ${prefix}${symbol}`), SI_BASE + power);
}

function currency(value: number, decimals: number | undefined, symbol: string, behind: boolean): Formatted {
  const out = scaled(Math.abs(value), decimals, 1000, COUNTS);
  const sign = value < 0 ? '-' : '';
  return behind ? { ...out, prefix: sign, suffix: out.suffix + symbol } : { ...out, prefix: sign + symbol };
}

function count(value: number, decimals: number | undefined, symbol: string): Formatted {
  const out = scaled(value, decimals, 1000, COUNTS);
  return { ...out, suffix: `${out.suffix} ${symbol}` };
}

/** Units written `kind:rest`; undefined when the kind is unknown. */
function custom(unit: string, value: number, context: FormatContext): Formatted | undefined {
  const colon = unit.indexOf(':');
  if (colon <= 0) return undefined;
  const kind = unit.slice(0, colon);
  const rest = unit.slice(colon + 1);
  const { decimals } = context;
  switch (kind) {
    case 'prefix':
      return plain(digits(value, decimals), '', rest);
    case 'suffix':
      return plain(digits(value, decimals), rest === '' ? '' : ` ${rest}`);
    case 'time':
      return plain(formatDate(value, rest, context.utc ?? false));
    case 'si': {
      const place = SI_PREFIXES.indexOf((rest[0] ?? '').replace('μ', 'µ'));
      return place < 0 || place === SI_BASE ? si(value, decimals, rest, 0) : si(value, decimals, rest.slice(1), place - SI_BASE);
    }
    case 'count':
      return count(value, decimals, rest);
    case 'currency': {
      const [first, symbol, where] = rest.split(':');
      if (first !== 'financial' || symbol === undefined) return currency(value, decimals, rest, false);
      if (symbol === '') return plain(digits(value, decimals));
      const text = new Intl.NumberFormat(undefined, {
        minimumFractionDigits: decimals ?? 0,
        maximumFractionDigits: decimals ?? 1,
      }).format(value);
      return where === 'suffix' ? plain(text, symbol) : plain(text, '', symbol);
    }
    case 'bool': {
      const slash = rest.indexOf('/');
      const [yes, no] = slash >= 0 ? [rest.slice(0, slash), rest.slice(slash + 1)] : [rest, '-'];
      return plain(value ? yes : no);
    }
    default:
      return undefined;
  }
}

/** The parts of a value in a unit. Unknown ids are a suffix after a space, as in Grafana. */
export function formatParts(unit: string, value: number | null, context: FormatContext = {}): Formatted {
  const { decimals } = context;
  if (value === null) return plain('');
  const fixed = own(FIXED, unit);
  if (fixed !== undefined || unit === '') return plain(digits(value, decimals), fixed ? ` ${fixed}` : '');
  const siUnit = own(SI, unit);
  if (siUnit !== undefined) return si(value, decimals, siUnit[0], siUnit[1]);
  const binary = own(BINARY, unit);
  if (binary !== undefined) {
    return scaled(value, decimals, 1024, BINARY_PREFIXES.map((prefix) => ` ${prefix}${binary[0]}`), binary[1]);
  }
  const counted = own(COUNT, unit);
  if (counted !== undefined) return count(value, decimals, counted);
  const money = own(CURRENCY, unit);
  if (money !== undefined) return currency(value, decimals, money[0], money[1]);
  const words = own(BOOLEAN, unit);
  if (words !== undefined) return plain(value ? words[0] : words[1]);
  const time = automatic(unit, value, decimals);
  if (time !== undefined) return time;
  switch (unit) {
    case 'string':
      return plain(String(value));
    case 'short':
      return scaled(value, decimals, 1000, SHORT);
    case 'sishort':
      return si(value, decimals, '', 0);
    case 'percent':
      return plain(digits(value, decimals), '%');
    case 'percentunit':
      return plain(digits(100 * value, decimals), '%');
    case 'pressurepsi':
      return scaled(value, decimals, 1000, ['psi', 'ksi', 'Mpsi']);
    case 'farenheit':
      return plain(digits(value, decimals), ' °F');
    case 'hex':
    case 'hex0x': {
      const text = parseFloat(digits(value, decimals)).toString(16).toUpperCase();
      if (unit === 'hex') return plain(text);
      return plain(text.startsWith('-') ? `-0x${text.slice(1)}` : `0x${text}`);
    }
    case 'sci':
      return plain(value.toExponential(decimals));
    case 'locale':
      return plain(value.toLocaleString(undefined, decimals === undefined ? {} : { maximumFractionDigits: decimals }));
    case 'dtdurations':
      return inWords(value, 'second', decimals);
    case 'dtdurationms':
      return inWords(value, 'millisecond', decimals);
    case 'dthms':
      return hms(value, false);
    case 'dtdhms':
      return hms(value, true);
    case 'timeticks':
      return timeticks(value, decimals);
    case 'clockms':
      return clock(value, decimals);
    case 'clocks':
      return clock(value * 1000, decimals);
  }
  const date = unit.startsWith('dateTime') ? namedDate(unit, value, context.nowMs ?? Date.now(), context.utc ?? false) : undefined;
  if (date !== undefined) return plain(date);
  return custom(unit, value, context) ?? plain(digits(value, decimals), ` ${unit}`);
}

export function formatValue(unit: string, value: number | null, context: FormatContext = {}): string {
  const parts = formatParts(unit, value, context);
  return parts.prefix + parts.text + parts.suffix;
}
