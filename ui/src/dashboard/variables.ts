// Template variables: their definitions, the options a definition yields, and what is chosen.

import { arr, bool, num, obj, objs, str, type Obj } from '../core/json';

export interface Option {
  text: string;
  value: string;
}

export type VariableType = 'query' | 'custom' | 'constant' | 'interval' | 'datasource' | 'textbox' | 'adhoc' | 'other';

export interface Variable {
  name: string;
  label: string;
  type: VariableType;
  /** The query, the comma-separated list, the constant or the default text. */
  query: string;
  regex: string;
  sort: number;
  refresh: number;
  /** 0 shown, 1 without label, 2 hidden. */
  hide: number;
  multi: boolean;
  includeAll: boolean;
  allValue: string;
  auto: boolean;
  autoCount: number;
  autoMin: string;
  /** What the file says is chosen. */
  current: string[];
  /** Options kept in the file (custom variables of old exports have no query). */
  fileOptions: Option[];
}

export const ALL = '$__all';

function values(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return value === undefined || value === null || typeof value === 'object' ? [] : [String(value)];
}

const TYPES: readonly string[] = ['query', 'custom', 'constant', 'interval', 'datasource', 'textbox', 'adhoc'];

export function parseVariable(raw: Obj): Variable {
  const query = raw['query'];
  const type = str(raw['type']);
  return {
    name: str(raw['name']),
    label: str(raw['label']),
    type: (TYPES.includes(type) ? type : 'other') as VariableType,
    query: typeof query === 'string' ? query : str(obj(query)['query']) || str(raw['definition']),
    regex: str(raw['regex']),
    sort: num(raw['sort']) ?? 0,
    refresh: num(raw['refresh']) ?? (raw['refresh'] === true ? 1 : 0),
    hide: num(raw['hide']) ?? 0,
    multi: bool(raw['multi']),
    includeAll: bool(raw['includeAll']),
    allValue: str(raw['allValue']),
    auto: bool(raw['auto']),
    autoCount: num(raw['auto_count']) ?? 30,
    autoMin: str(raw['auto_min'], '10s'),
    current: values(obj(raw['current'])['value']),
    fileOptions: objs(raw['options'])
      .map((option) => ({ text: String(arr(option['text'])[0] ?? option['text'] ?? ''), value: values(option['value'])[0] ?? '' }))
      .filter((option) => option.value !== ALL && option.value !== ''),
  };
}

/** "a, b : label, c\,d" or a JSON list of `{text, value}`. A pair is "key : value" with spaces around the colon. */
export function customOptions(query: string): Option[] {
  const trimmed = query.trim();
  if (trimmed.startsWith('[')) {
    try {
      return objs(JSON.parse(trimmed)).map((item) => ({ text: String(item['text'] ?? item['value'] ?? ''), value: String(item['value'] ?? '') }));
    } catch {
      // Not JSON after all: a list whose first entry begins with a bracket.
    }
  }
  return (trimmed.match(/(?:\\,|[^,])+/g) ?? [])
    .map((part) => part.replace(/\\,/g, ',').trim())
    .filter((part) => part !== '')
    .map((part) => {
      const pair = /^\s*(.+)\s:\s(.+)$/.exec(part);
      return pair === null ? { text: part, value: part } : { text: (pair[1] ?? '').trim(), value: (pair[2] ?? '').trim() };
    });
}

export type VariableQuery =
  | { kind: 'labelNames'; match: string }
  | { kind: 'labelValues'; label: string; match: string }
  | { kind: 'metrics'; pattern: string }
  | { kind: 'queryResult'; expr: string }
  | { kind: 'series'; match: string };

/** Which question a variable's query asks. Variables in it are already put in. */
export function parseVariableQuery(query: string): VariableQuery {
  const text = query.trim();
  const names = /^label_names\((?:([^)]+))?\)\s*$/.exec(text);
  if (names !== null) return { kind: 'labelNames', match: (names[1] ?? '').trim() };
  // Greedy: the last comma parts selector and label, so matchers may hold commas.
  const labelled = /^label_values\((?:(.+),\s*)?([a-zA-Z_$][a-zA-Z0-9_.:]*|"[^"]+")\s*\)\s*$/s.exec(text);
  if (labelled !== null) return { kind: 'labelValues', match: (labelled[1] ?? '').trim(), label: (labelled[2] ?? '').replace(/"/g, '') };
  const metrics = /^metrics\((.*)\)\s*$/s.exec(text);
  if (metrics !== null) return { kind: 'metrics', pattern: (metrics[1] ?? '').trim() };
  const result = /^query_result\((.+)\)\s*$/s.exec(text);
  if (result !== null) return { kind: 'queryResult', expr: (result[1] ?? '').trim() };
  return { kind: 'series', match: text };
}

/** `/pattern/flags` or a bare pattern; undefined when it is no regular expression. */
export function parseRegex(text: string): RegExp | undefined {
  const delimited = /^\/(.*)\/([gimsuy]*)$/s.exec(text);
  try {
    return delimited === null ? new RegExp(text) : new RegExp(delimited[1] ?? '', delimited[2] ?? '');
  } catch {
    return undefined;
  }
}

/** Filters and picks apart the raw answers with the variable's regex, drops repetitions, sorts. */
export function finishOptions(raw: readonly string[], regexText: string, sort: number): Option[] {
  const regex = regexText === '' ? undefined : parseRegex(regexText);
  const out: Option[] = [];
  for (const value of raw) {
    if (regex === undefined) {
      out.push({ text: value, value });
      continue;
    }
    const global = regex.flags.includes('g') ? regex : new RegExp(regex.source, `${regex.flags}g`);
    const matches = [...value.matchAll(global)];
    for (const match of regex.flags.includes('g') ? matches : matches.slice(0, 1)) {
      const picked = match.groups?.['value'] ?? match.groups?.['text'] ?? match[1] ?? match[0];
      out.push({ text: match.groups?.['text'] ?? picked, value: picked });
    }
  }
  const seen = new Set<string>();
  return sortOptions(out.filter((option) => option.value !== '' && !seen.has(option.value) && seen.add(option.value)), sort);
}

function firstNumber(text: string): number {
  const match = /\d+(?:\.\d+)?/.exec(text);
  return match === null ? -1 : Number(match[0]);
}

export function sortOptions(options: readonly Option[], sort: number): Option[] {
  if (sort <= 0 || sort > 8) return [...options];
  const compare = (a: Option, b: Option): number => {
    if (sort <= 2) return a.text < b.text ? -1 : a.text > b.text ? 1 : 0;
    if (sort <= 4) return firstNumber(a.text) - firstNumber(b.text);
    if (sort <= 6) return a.text.toLowerCase() < b.text.toLowerCase() ? -1 : a.text.toLowerCase() > b.text.toLowerCase() ? 1 : 0;
    return a.text.localeCompare(b.text, undefined, { numeric: true, sensitivity: 'base' });
  };
  const sorted = [...options].sort(compare);
  return sort % 2 === 0 ? sorted.reverse() : sorted;
}

/** What stays chosen when the options are new: what still exists, else All (if offered and nothing fits), else the first. */
export function choose(variable: Variable, wanted: readonly string[], options: readonly Option[]): string[] {
  const all = wanted.some((value) => value === ALL || value === 'All');
  if (all && variable.includeAll) return [ALL];
  const kept = wanted.filter((value) => options.some((option) => option.value === value));
  const texts = wanted.flatMap((value) => options.filter((option) => option.text === value).map((option) => option.value));
  const found = kept.length > 0 ? kept : texts;
  if (found.length > 0) return variable.multi ? found : found.slice(0, 1);
  if (variable.includeAll) return [ALL];
  const first = options[0];
  return first === undefined ? [] : [first.value];
}

/** The names of variables that a text refers to, known ones only. */
export function references(text: string, names: ReadonlySet<string>): string[] {
  const found = new Set<string>();
  for (const match of text.matchAll(/\$(\w+)|\$\{(\w+)[^}]*\}|\[\[(\w+)[^\]]*\]\]/g)) {
    const name = match[1] ?? match[2] ?? match[3] ?? '';
    if (names.has(name)) found.add(name);
  }
  return [...found];
}

/** Variables so that each comes after those it refers to; a cycle keeps the file's order. */
export function dependencyOrder(variables: readonly Variable[]): Variable[] {
  const names = new Set(variables.map((variable) => variable.name));
  const done = new Set<string>();
  const out: Variable[] = [];
  const visit = (variable: Variable, path: ReadonlySet<string>): void => {
    if (done.has(variable.name) || path.has(variable.name)) return;
    const deeper = new Set(path).add(variable.name);
    for (const name of references(`${variable.query} ${variable.regex}`, names)) {
      const needed = variables.find((candidate) => candidate.name === name);
      if (needed !== undefined) visit(needed, deeper);
    }
    done.add(variable.name);
    out.push(variable);
  };
  for (const variable of variables) visit(variable, new Set());
  return out;
}
