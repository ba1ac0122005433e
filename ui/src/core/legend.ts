// The names of series: PromQL's own notation, `{{label}}` templates and the automatic short form.

import type { Labels } from './api';

function quote(value: string): string {
  return `"${value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"')}"`;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** `name{a="b", c="d"}`; names that PromQL would not take bare are quoted inside the braces. */
export function seriesName(labels: Labels, separator = ', '): string {
  const name = labels['__name__'] ?? '';
  const pairs = Object.entries(labels)
    .filter(([label]) => label !== '__name__')
    .map(([label, value]) => `${LABEL.test(label) ? label : quote(label)}=${quote(value)}`);
  if (name !== '' && !NAME.test(name)) return `{${[quote(name), ...pairs].join(separator)}}`;
  return pairs.length === 0 ? name || '{}' : `${name}{${pairs.join(separator)}}`;
}

export function fillTemplate(template: string, labels: Labels): string {
  return template.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label: string) => labels[label] ?? '');
}

/** Names for all series of one query, in order. */
export function legendNames(all: readonly Labels[], legendFormat: string | undefined, expr: string): string[] {
  const format = legendFormat ?? '';
  if (format === '__auto') return automaticNames(all, expr);
  return all.map((labels) => {
    if (format !== '') return fillTemplate(format, labels);
    return Object.keys(labels).length === 0 ? expr : seriesName(labels);
  });
}

function automaticNames(all: readonly Labels[], expr: string): string[] {
  if (all.length <= 1) return all.map((labels) => (Object.keys(labels).length === 0 ? expr : seriesName(labels)));
  const names = new Set(all.flatMap((labels) => Object.keys(labels)));
  const differing = [...names].filter((name) => new Set(all.map((labels) => labels[name])).size > 1);
  return all.map((labels) => {
    const own = differing.filter((name) => labels[name] !== undefined);
    if (own.length === 0) return Object.keys(labels).length === 0 ? expr : seriesName(labels);
    if (differing.length === 1) return labels[own[0] ?? ''] ?? '';
    return seriesName(Object.fromEntries(own.map((name) => [name, labels[name] ?? ''])));
  });
}
