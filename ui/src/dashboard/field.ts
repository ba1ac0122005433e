// Field options: the panel's defaults with the overrides that match a field, and how a value is shown with them.

import { colorByName, paletteColor, resolveColor, schemeColor } from '../core/color';
import { isObj, num, obj, objs, str, type Obj } from '../core/json';
import type { Value } from '../core/reduce';
import { reduceNumber } from '../core/reduce';
import { formatParts, type Formatted } from '../core/units/format';
import { parseLinks, type Link, type Override } from './model';
import { parseRegex } from './variables';

export interface Step {
  /** −Infinity for the base. */
  value: number;
  color: string;
}

export interface Thresholds {
  percentage: boolean;
  steps: Step[];
}

export interface Mapping {
  kind: 'value' | 'range' | 'regex' | 'special';
  /** Value: the text compared; special: the word; regex: the pattern. */
  match: string;
  from: number;
  to: number;
  text: string | undefined;
  color: string | undefined;
}

export interface FieldOptions {
  unit: string;
  decimals: number | undefined;
  min: number | undefined;
  max: number | undefined;
  displayName: string;
  noValue: string;
  colorMode: string;
  fixedColor: string;
  seriesBy: string;
  thresholds: Thresholds;
  mappings: Mapping[];
  links: Link[];
  custom: Obj;
}

/** What an override matches against. */
export interface FieldIdentity {
  name: string;
  type: 'number' | 'time' | 'string' | 'boolean';
  refId: string;
  values: readonly unknown[];
}

function parseThresholds(raw: unknown): Thresholds {
  const source = obj(raw);
  const steps = objs(source['steps']).map((step, index) => ({
    value: index === 0 ? -Infinity : (num(step['value']) ?? -Infinity),
    color: str(step['color'], 'green'),
  }));
  return {
    percentage: source['mode'] === 'percentage',
    steps: steps.length > 0 ? steps.sort((a, b) => a.value - b.value) : [{ value: -Infinity, color: 'green' }, { value: 80, color: 'red' }],
  };
}

function parseMappings(raw: unknown): Mapping[] {
  const out: (Mapping & { order: number })[] = [];
  for (const item of objs(raw)) {
    const options = obj(item['options']);
    const kind = str(item['type']);
    const result = obj(options['result']);
    const base = { from: -Infinity, to: Infinity, match: '', text: textOf(result['text']), color: textOf(result['color']), order: num(result['index']) ?? out.length };
    if (kind === 'value') {
      for (const [match, value] of Object.entries(options)) {
        if (!isObj(value)) continue;
        out.push({ ...base, kind, match, text: textOf(value['text']), color: textOf(value['color']), order: num(value['index']) ?? out.length });
      }
    } else if (kind === 'range') {
      out.push({ ...base, kind, from: num(options['from']) ?? -Infinity, to: num(options['to']) ?? Infinity });
    } else if (kind === 'regex') out.push({ ...base, kind, match: str(options['pattern']) });
    else if (kind === 'special') out.push({ ...base, kind, match: String(options['match'] ?? '') });
  }
  return out.sort((a, b) => a.order - b.order);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : undefined;
}

export function parseFieldOptions(raw: Obj): FieldOptions {
  const color = obj(raw['color']);
  return {
    unit: str(raw['unit']),
    decimals: num(raw['decimals']),
    min: num(raw['min']),
    max: num(raw['max']),
    displayName: str(raw['displayName']),
    noValue: str(raw['noValue']),
    colorMode: str(color['mode']),
    fixedColor: str(color['fixedColor']),
    seriesBy: str(color['seriesBy'], 'last'),
    thresholds: parseThresholds(raw['thresholds']),
    mappings: parseMappings(raw['mappings']),
    links: parseLinks(raw['links']),
    custom: obj(raw['custom']),
  };
}

function compare(op: string, a: number, b: number): boolean {
  switch (op) {
    case 'gt': return a > b;
    case 'gte': return a >= b;
    case 'lt': return a < b;
    case 'lte': return a <= b;
    case 'neq': return a !== b;
    default: return a === b;
  }
}

export function matches(matcher: Override['matcher'], field: FieldIdentity): boolean {
  const options = matcher.options;
  switch (matcher.id) {
    case 'byName':
      return field.name === options;
    case 'byRegexp':
      return typeof options === 'string' && (parseRegex(options)?.test(field.name) ?? false);
    case 'byRegexpOrNames': {
      const source = obj(options);
      const pattern = str(source['pattern']);
      return (Array.isArray(source['names']) && source['names'].includes(field.name)) || (pattern !== '' && (parseRegex(pattern)?.test(field.name) ?? false));
    }
    case 'byNames': {
      const source = obj(options);
      const listed = Array.isArray(source['names']) && source['names'].includes(field.name);
      return source['mode'] === 'exclude' ? !listed && field.type !== 'time' : listed;
    }
    case 'byType':
      return field.type === options;
    case 'byTypes':
      return Array.isArray(options) && options.includes(field.type);
    case 'numeric':
      return field.type === 'number';
    case 'time':
      return field.type === 'time';
    case 'byFrameRefID':
      return field.refId === options;
    case 'byValue': {
      const source = obj(options);
      if (field.type !== 'number') return false;
      const reduced = reduceNumber(str(source['reducer'], 'lastNotNull'), field.values as Value[]);
      return reduced !== null && compare(str(source['op'], 'gte'), reduced, num(source['value']) ?? 0);
    }
    case 'alwaysMatch':
      return true;
    default:
      return false;
  }
}

/** Sets `custom.lineWidth` and the like in a copy of the defaults. */
function setPath(target: Obj, path: string, value: unknown): void {
  const [head = '', ...rest] = path.split('.');
  if (rest.length === 0) {
    target[head] = value;
    return;
  }
  const child = { ...obj(target[head]) };
  setPath(child, rest.join('.'), value);
  target[head] = child;
}

export function fieldOptions(defaults: Obj, overrides: readonly Override[], field: FieldIdentity): FieldOptions {
  let raw = defaults;
  for (const override of overrides) {
    if (!matches(override.matcher, field)) continue;
    raw = { ...raw };
    for (const property of override.properties) setPath(raw, property.id, property.value);
  }
  return parseFieldOptions(raw);
}

export function findMapping(mappings: readonly Mapping[], value: unknown): Mapping | undefined {
  const number = typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : NaN;
  return mappings.find((mapping) => {
    switch (mapping.kind) {
      case 'value':
        return value !== null && value !== undefined && String(value) === mapping.match;
      case 'range':
        return !Number.isNaN(number) && number >= mapping.from && number <= mapping.to;
      case 'regex':
        return value !== null && value !== undefined && (parseRegex(mapping.match)?.test(String(value)) ?? false);
      case 'special':
        switch (mapping.match) {
          case 'null': return value === null || value === undefined;
          case 'nan': return typeof value === 'number' && Number.isNaN(value);
          case 'null+nan': return value === null || value === undefined || (typeof value === 'number' && Number.isNaN(value));
          case 'true': return value === true || value === 'true';
          case 'false': return value === false || value === 'false';
          case 'empty': return value === '';
          default: return false;
        }
    }
  });
}

/** The share of min..max, 0 to 1, as percentage thresholds and continuous colours use it. */
export function shareOf(value: number, options: FieldOptions, bounds: { min: number; max: number }): number {
  const min = options.min ?? bounds.min;
  const max = options.max ?? bounds.max;
  return max > min ? (value - min) / (max - min) : 0;
}

export function thresholdAt(thresholds: Thresholds, value: number, share: number): Step | undefined {
  const compared = thresholds.percentage ? share * 100 : value;
  return thresholds.steps.findLast((step) => compared >= step.value) ?? thresholds.steps[0];
}

export interface Shown extends Formatted {
  color: string;
  /** A mapping or threshold chose the colour. */
  byValue: boolean;
}

export interface Place {
  /** The series' number in the panel, for palette colours. */
  index: number;
  name: string;
  bounds: { min: number; max: number };
}

export function seriesColor(options: FieldOptions, place: Place, last: number | null): string {
  switch (options.colorMode) {
    case 'fixed':
    case 'shades':
      return resolveColor(options.fixedColor || 'green');
    case 'thresholds':
      return resolveColor(thresholdAt(options.thresholds, last ?? NaN, shareOf(last ?? 0, options, place.bounds))?.color ?? 'green');
    case 'palette-classic-by-name':
      return colorByName(place.name);
    default:
      if (options.colorMode.startsWith('continuous-')) return schemeColor(options.colorMode, shareOf(last ?? 0, options, place.bounds));
      return paletteColor(place.index);
  }
}

/** A value as text and colour: mapping first, then unit and thresholds. */
export function show(value: unknown, options: FieldOptions, place: Place, utc: boolean): Shown {
  const number = typeof value === 'number' ? value : null;
  const mapped = findMapping(options.mappings, value);
  let parts: Formatted;
  if (mapped?.text !== undefined && mapped.text !== '') parts = { prefix: '', text: mappedText(mapped, value), suffix: '' };
  else if (value === null || value === undefined) parts = { prefix: '', text: options.noValue || '-', suffix: '' };
  else if (typeof value === 'number') parts = formatParts(options.unit, value, { decimals: options.decimals, utc });
  else parts = { prefix: '', text: String(value), suffix: '' };
  if (mapped?.color !== undefined) return { ...parts, color: resolveColor(mapped.color), byValue: true };
  // Single values are coloured by thresholds unless the panel says otherwise.
  const mode = options.colorMode === '' ? 'thresholds' : options.colorMode;
  const byValue = mode === 'thresholds' || mode.startsWith('continuous-');
  if (number === null && byValue) return { ...parts, color: 'var(--text)', byValue: false };
  return { ...parts, color: seriesColor({ ...options, colorMode: mode }, place, number), byValue };
}

function mappedText(mapping: Mapping, value: unknown): string {
  const text = mapping.text ?? '';
  if (mapping.kind !== 'regex') return text;
  const regex = parseRegex(mapping.match);
  return regex === undefined ? text : String(value).replace(regex, text);
}

/** The automatic name after `displayName` with `${__field.labels.x}` and `${__field.name}` put in. */
export function applyDisplayName(template: string, name: string, labels: { readonly [label: string]: string }): string {
  return template.replace(/\$\{__(field|series)\.(?:labels\.([\w]+)|labels\["?([^"\]]+)"?\]|(name|displayName))\}/g, (_, __, label?: string, quoted?: string) => {
    const wanted = label ?? quoted;
    return wanted === undefined ? name : (labels[wanted] ?? '');
  });
}
