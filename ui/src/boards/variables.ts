// Filling the options of template variables from the server, in the order of their dependencies.

import type { PrometheusApi } from '../core/api';
import { seriesName } from '../core/legend';
import { parseDuration, formatInterval } from '../core/duration';
import { roundInterval } from '../core/interval';
import type { AbsoluteRange } from '../core/timerange';
import { interpolate, builtIns, type Choice, type Scope } from '../dashboard/interpolate';
import { ALL, choose, customOptions, dependencyOrder, finishOptions, parseVariableQuery, type Option, type Variable } from '../dashboard/variables';

async function raw(query: string, api: PrometheusApi, range: AbsoluteRange, signal: AbortSignal): Promise<string[]> {
  const parsed = parseVariableQuery(query);
  const times: [string, string][] = [
    ['start', String(Math.floor(range.fromMs / 1000))],
    ['end', String(Math.ceil(range.toMs / 1000))],
  ];
  const match = (selector: string): [string, string][] => (selector === '' ? [] : [['match[]', selector]]);
  switch (parsed.kind) {
    case 'labelNames':
      return (await api.strings('labels', times)).filter((name) => parsed.match === '' || new RegExp(parsed.match).test(name));
    case 'labelValues':
      return api.strings(`label/${encodeURIComponent(parsed.label)}/values`, [...match(parsed.match), ...times]);
    case 'metrics': {
      const names = await api.strings('label/__name__/values', times);
      const pattern = new RegExp(parsed.pattern);
      return names.filter((name) => pattern.test(name));
    }
    case 'queryResult': {
      const result = await api.instant(parsed.expr, range.toMs / 1000, signal);
      return result.series.map((one) => `${seriesName(one.labels, ',')} ${one.values[0] ?? ''} ${Math.round((one.times[0] ?? 0) * 1000)}`);
    }
    case 'series': {
      if (parsed.match === '') return [];
      const reply = await api.get('series', [...match(parsed.match), ...times], signal);
      return Array.isArray(reply) ? reply.map((labels) => seriesName(labels as { [name: string]: string }, ',')) : [];
    }
  }
}

export function intervalOptions(variable: Variable, range: AbsoluteRange): Option[] {
  const listed = variable.query.split(',').map((part) => part.trim().replace(/^"|"$/g, '')).filter((part) => part !== '' && part !== 'auto');
  const out = listed.map((text) => ({ text, value: text }));
  if (!variable.auto) return out;
  const step = Math.max(roundInterval((range.toMs - range.fromMs) / variable.autoCount), parseDuration(variable.autoMin) ?? 0);
  return [{ text: 'auto', value: formatInterval(step) }, ...out];
}

/** One variable's options; an error is the caller's to show. */
async function optionsOf(variable: Variable, scope: Scope, api: PrometheusApi, signal: AbortSignal): Promise<Option[]> {
  switch (variable.type) {
    case 'query': {
      const full: Scope = { ...scope, fixed: { ...builtIns(scope.range, { stepMs: 15_000, intervalMs: 15_000, rateIntervalMs: 60_000 }), ...scope.fixed } };
      const values = await raw(interpolate(variable.query, full, 'expr'), api, scope.range, signal);
      return finishOptions(values, interpolate(variable.regex, scope, 'text'), variable.sort);
    }
    case 'custom': {
      const options = customOptions(interpolate(variable.query, scope, 'text'));
      return options.length > 0 ? options : variable.fileOptions;
    }
    case 'interval':
      return intervalOptions(variable, scope.range);
    case 'datasource':
      // There is one: the built-in store.
      return [{ text: 'Vigie', value: 'vigie' }];
    case 'constant':
      return [{ text: variable.query, value: variable.query }];
    default:
      return variable.fileOptions;
  }
}

export interface Filled {
  choices: ReadonlyMap<string, Choice>;
  errors: string[];
}

/** Fills all variables. `wanted` are the values of the address; what is not there comes from the file. */
export async function fillVariables(
  variables: readonly Variable[],
  wanted: (name: string) => readonly string[],
  range: AbsoluteRange,
  api: PrometheusApi,
  signal: AbortSignal,
): Promise<Filled> {
  const choices = new Map<string, Choice>();
  const errors: string[] = [];
  for (const variable of dependencyOrder(variables)) {
    const scope: Scope = { choices, fixed: {}, range };
    let options: Option[] = [];
    try {
      options = await optionsOf(variable, scope, api, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      errors.push(`${variable.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
    const asked = wanted(variable.name);
    const first = asked.length > 0 ? asked : variable.current;
    const free = variable.type === 'textbox' || variable.type === 'constant' || variable.type === 'adhoc' || variable.type === 'other';
    let value: readonly string[];
    if (variable.type === 'constant') value = [variable.query];
    else if (variable.type === 'datasource') value = ['vigie'];
    else if (free) value = asked.length > 0 ? asked : variable.current.length > 0 ? variable.current : [variable.query];
    else if (variable.type === 'interval' && first[0]?.startsWith('$__auto')) value = options.slice(0, 1).map((option) => option.value);
    else value = choose(variable, first, options);
    choices.set(variable.name, { name: variable.name, value, options, allValue: variable.allValue, many: variable.multi || variable.includeAll });
  }
  return { choices, errors };
}

/** The values a repeat runs over. */
export function repeatValues(choice: Choice | undefined): readonly string[] {
  if (choice === undefined) return [];
  return choice.value.includes(ALL) ? choice.options.map((option) => option.value) : choice.value;
}
