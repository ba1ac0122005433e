// The starter alert rules as the server gives them, and what can be said of each: loaded or not, and whether the metrics it
// reads are there. Loaded with its page only, since it brings the PromQL grammar.

import { parser } from '@prometheus-io/lezer-promql';
import { bool, obj, objs, str } from '../core/json';
import { found, labelText, parseRule, type Rule, type RuleGroup } from '../query/status';

export interface Subject {
  /** Names the file and the heading: "host". */
  name: string;
  file: string;
  /** The whole rule file. */
  text: string;
  groups: { name: string; rules: Rule[] }[];
}

export interface Starters {
  /** Whether the server offers them at all. */
  enabled: boolean;
  subjects: Subject[];
}

export function parseStarters(data: unknown): Starters {
  return {
    enabled: bool(obj(data)['enabled']),
    subjects: objs(obj(data)['subjects']).map((subject) => ({
      name: str(subject['subject']),
      file: str(subject['file']),
      text: str(subject['text']),
      groups: objs(subject['groups']).map((group) => ({ name: str(group['name']), rules: objs(group['rules']).map(parseRule) })),
    })),
  };
}

/** The names of the metrics that an expression reads, each once, in its order. */
export function metricNames(expr: string): string[] {
  const names = new Set<string>();
  parser.parse(expr).iterate({
    enter: ({ name, node }) => {
      if (name !== 'VectorSelector') return;
      const identifier = node.getChild('Identifier');
      const matched = /__name__\s*=\s*"([^"]+)"/.exec(expr.slice(node.from, node.to))?.[1];
      const metric = identifier === null ? matched : expr.slice(identifier.from, identifier.to);
      if (metric !== undefined) names.add(metric);
    },
  });
  return [...names];
}

/** `all`: each metric it reads is there; `some`: an alternative or a part of it has none; `none`: it cannot fire now. */
export type Data = 'all' | 'some' | 'none';

export interface Standing {
  data: Data;
  missing: string[];
  /** The state of the loaded rule of this name; undefined where none is loaded. */
  state: string | undefined;
}

/** What is in the store, and what is loaded, as far as known. */
export interface Surroundings {
  metrics: ReadonlySet<string>;
  loaded: readonly RuleGroup[];
}

export function standing(rule: Rule, group: string, around: Surroundings): Standing {
  const names = metricNames(rule.query);
  const missing = names.filter((name) => !around.metrics.has(name));
  const same = around.loaded.filter((one) => one.name === group).flatMap((one) => one.rules);
  return {
    data: missing.length === 0 ? 'all' : missing.length === names.length ? 'none' : 'some',
    missing,
    state: same.find((one) => one.name === rule.name)?.state,
  };
}

export interface Tally {
  rules: number;
  withData: number;
  loaded: number;
}

export function tally(subject: Subject, around: Surroundings): Tally {
  const all = subject.groups.flatMap((group) => group.rules.map((rule) => standing(rule, group.name, around)));
  return { rules: all.length, withData: all.filter((one) => one.data !== 'none').length, loaded: all.filter((one) => one.state !== undefined).length };
}

/** The subjects with the rules that hold every word of the search; those without any are left out. */
export function matching(subjects: readonly Subject[], search: string): Subject[] {
  return subjects
    .map((subject) => ({
      ...subject,
      groups: subject.groups.map((group) => ({
        ...group,
        rules: group.rules.filter((rule) => found(search, subject.name, rule.name, rule.query, labelText(rule.labels), ...Object.values(rule.annotations))),
      })),
    }))
    .filter((subject) => subject.groups.some((group) => group.rules.length > 0));
}

/** The lines for prometheus.yml that load these files. */
export function ruleFilesText(subjects: readonly Subject[]): string {
  return `rule_files: [${subjects.map((subject) => subject.file).join(', ')}]`;
}

/** A template as a reader wants it: `{{ $labels.instance }}` as ‹instance›, `{{ $value | … }}` as ‹value›; of `with … else … end` the first way. */
export function plain(template: string): string {
  return template
    .replace(/\{\{\s*with[^}]*\}\}(.*?)(?:\{\{\s*else\s*\}\}.*?)?\{\{\s*end\s*\}\}/gs, '$1')
    .replace(/\{\{\s*\$labels\.(\w+)\s*\}\}/g, '‹$1›')
    .replace(/\{\{\s*\$value\b[^}]*\}\}/g, '‹value›')
    .replace(/\{\{\s*\.\s*\}\}/g, '‹name›');
}
