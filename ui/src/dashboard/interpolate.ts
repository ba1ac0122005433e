// `$name`, `${name:format}` and `[[name]]` in expressions, titles and links.

import type { AbsoluteRange } from '../core/timerange';
import { formatInterval } from '../core/duration';
import { formatDate } from '../core/units/date';
import { ALL, type Option } from './variables';

export interface Choice {
  name: string;
  /** The chosen values; `[ALL]` for all. */
  value: readonly string[];
  options: readonly Option[];
  allValue: string;
  /** Whether the variable may hold several values: decides the escaping. */
  many: boolean;
}

export interface Scope {
  choices: ReadonlyMap<string, Choice>;
  /** Values of a repeated panel or of the built-ins; they win. */
  fixed: { readonly [name: string]: string };
  range: AbsoluteRange;
}

export function builtIns(range: AbsoluteRange, resolution: { stepMs: number; intervalMs: number; rateIntervalMs: number }): { [name: string]: string } {
  const length = range.toMs - range.fromMs;
  return {
    __interval: formatInterval(resolution.intervalMs),
    __interval_ms: String(resolution.intervalMs),
    __rate_interval: formatInterval(resolution.rateIntervalMs),
    __rate_interval_ms: String(resolution.rateIntervalMs),
    __range: `${Math.round(length / 1000)}s`,
    __range_s: String(Math.round(length / 1000)),
    __range_ms: String(length),
  };
}

function escapeRegex(value: string): string {
  return value.replace(/[\\^$*+?.()|[\]{}/]/g, '\\$&');
}

/** For a regex inside a PromQL string: the backslashes are doubled. */
function escapePromRegex(value: string): string {
  return value.replace(/\\/g, '\\\\\\\\').replace(/[$^*{}[\]'+?.()|]/g, '\\\\$&');
}

function promql(values: readonly string[], many: boolean): string {
  if (!many) return (values[0] ?? '').replace(/\\/g, '\\\\').replace(/'/g, "\\\\'");
  const escaped = values.map(escapePromRegex);
  return escaped.length === 1 ? (escaped[0] ?? '') : `(${escaped.join('|')})`;
}

function formatted(format: string, name: string, values: readonly string[], texts: readonly string[]): string {
  const [kind = '', argument = ''] = format.split(/:(.*)/s);
  const one = values.length === 1 ? (values[0] ?? '') : undefined;
  switch (kind) {
    case 'raw':
    case 'csv':
      return values.join(',');
    case 'pipe':
      return values.join('|');
    case 'regex':
      return one !== undefined ? escapeRegex(one) : `(${values.map(escapeRegex).join('|')})`;
    case 'json':
      return one !== undefined ? JSON.stringify(one) : JSON.stringify(values);
    case 'text':
      return texts.join(' + ');
    case 'join':
      return values.join(argument || ',');
    case 'doublequote':
      return values.map((value) => `"${value.replace(/"/g, '\\"')}"`).join(',');
    case 'singlequote':
      return values.map((value) => `'${value.replace(/'/g, "\\'")}'`).join(',');
    case 'sqlstring':
      return values.map((value) => `'${value.replace(/'/g, "''")}'`).join(',');
    case 'distributed':
      return values.map((value, index) => (index === 0 ? value : `${name}=${value}`)).join(',');
    case 'lucene': {
      const escaped = values.map((value) => value.replace(/([!*+\-=<>\s&|()[\]{}^~?:\\/"])/g, '\\$1'));
      return one !== undefined ? (escaped[0] ?? '') : `(${escaped.map((value) => `"${value}"`).join(' OR ')})`;
    }
    case 'percentencode':
    case 'uriencode':
      return encodeURIComponent(one ?? `{${values.join(',')}}`);
    case 'queryparam':
      return values.map((value) => `var-${name}=${encodeURIComponent(value)}`).join('&');
    case 'html':
      return values.join(', ').replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
    default:
      return one ?? `{${values.join(',')}}`;
  }
}

export type Target = 'expr' | 'text' | 'url';

function resolve(scope: Scope, name: string, format: string | undefined, target: Target): string | undefined {
  const fixed = scope.fixed[name];
  const choice = scope.choices.get(name);
  if (fixed !== undefined) {
    if (format !== undefined) return formatted(format, name, [fixed], [fixed]);
    return target === 'expr' && !name.startsWith('__') ? promql([fixed], choice?.many ?? false) : fixed;
  }
  if (name === '__from' || name === '__to') return time(name === '__from' ? scope.range.fromMs : scope.range.toMs, format);
  if (choice === undefined) return undefined;
  const all = choice.value.includes(ALL);
  // A custom "all" value is the author's own regex: as it is, never escaped.
  if (all && choice.allValue !== '' && format !== 'text') return choice.allValue;
  const values = all ? choice.options.map((option) => option.value).filter((value) => value !== ALL) : choice.value;
  const texts = all ? ['All'] : choice.value.map((value) => choice.options.find((option) => option.value === value)?.text ?? value);
  if (format !== undefined) return formatted(format, name, values, texts);
  if (target === 'text') return texts.join(' + ');
  if (target === 'url') return formatted('percentencode', name, values, texts);
  return promql(values, choice.many);
}

function time(ms: number, format: string | undefined): string {
  if (format === undefined) return String(ms);
  const [kind = '', argument = ''] = format.split(/:(.*)/s);
  if (kind !== 'date') return String(ms);
  if (argument === '' || argument === 'iso') return new Date(ms).toISOString();
  if (argument === 'seconds') return String(Math.floor(ms / 1000));
  return formatDate(ms, argument, false);
}

/** Unknown names stay as they are written. */
export function interpolate(text: string, scope: Scope, target: Target): string {
  if (!text.includes('$') && !text.includes('[[')) return text;
  return text.replace(
    /\$(\w+)|\$\{(\w+)(?:\.[^:^}]+)?(?::([^}]+))?\}|\[\[(\w+)(?::(\w+))?\]\]/g,
    (whole, bare?: string, braced?: string, format?: string, old?: string, oldFormat?: string) =>
      resolve(scope, bare ?? braced ?? old ?? '', format ?? oldFormat, target) ?? whole,
  );
}
