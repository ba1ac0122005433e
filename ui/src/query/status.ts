// The replies of the status endpoints, read into what the pages show.

import { arr, num, obj, objs, str, type Obj } from '../core/json';
import type { Labels } from '../core/api';

export interface Target {
  pool: string;
  url: string;
  health: string;
  labels: Labels;
  discovered: Labels;
  lastError: string;
  lastScrape: string;
  durationS: number;
  interval: string;
}

export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: string;
  activeAt: string;
  value: string;
}

export interface Rule {
  kind: 'alerting' | 'recording';
  name: string;
  query: string;
  state: string;
  health: string;
  lastError: string;
  forS: number;
  labels: Labels;
  annotations: Labels;
  alerts: Alert[];
  evaluationS: number;
  lastEvaluation: string;
}

export interface RuleGroup {
  name: string;
  file: string;
  intervalS: number;
  evaluationS: number;
  lastEvaluation: string;
  rules: Rule[];
}

function labels(value: unknown): Labels {
  return Object.fromEntries(Object.entries(obj(value)).map(([name, text]) => [name, String(text)]));
}

export function parseTargets(data: unknown): Target[] {
  return objs(obj(data)['activeTargets']).map((item) => ({
    pool: str(item['scrapePool']),
    url: str(item['scrapeUrl']),
    health: str(item['health'], 'unknown'),
    labels: labels(item['labels']),
    discovered: labels(item['discoveredLabels']),
    lastError: str(item['lastError']),
    lastScrape: str(item['lastScrape']),
    durationS: num(item['lastScrapeDuration']) ?? 0,
    interval: str(item['scrapeInterval']),
  }));
}

function parseAlert(item: Obj): Alert {
  return { labels: labels(item['labels']), annotations: labels(item['annotations']), state: str(item['state']), activeAt: str(item['activeAt']), value: str(item['value']) };
}

export function parseRule(item: Obj): Rule {
  return {
    kind: item['type'] === 'recording' ? 'recording' : 'alerting',
    name: str(item['name']),
    query: str(item['query']),
    state: str(item['state'], 'unknown'),
    health: str(item['health'], 'unknown'),
    lastError: str(item['lastError']),
    forS: num(item['duration']) ?? 0,
    labels: labels(item['labels']),
    annotations: labels(item['annotations']),
    alerts: objs(item['alerts']).map(parseAlert),
    evaluationS: num(item['evaluationTime']) ?? 0,
    lastEvaluation: str(item['lastEvaluation']),
  };
}

export function parseGroups(data: unknown): RuleGroup[] {
  return objs(obj(data)['groups']).map((group) => ({
    name: str(group['name']),
    file: str(group['file']),
    intervalS: num(group['interval']) ?? 0,
    evaluationS: num(group['evaluationTime']) ?? 0,
    lastEvaluation: str(group['lastEvaluation']),
    rules: objs(group['rules']).map(parseRule),
  }));
}

/** Name and value pairs of an object, values as text. */
export function pairs(data: unknown): [string, string][] {
  return Object.entries(obj(data)).map(([name, value]) => [name, String(value)]);
}

export interface Count {
  name: string;
  value: number;
}

export function counts(data: unknown): Count[] {
  return objs(arr(data)).map((item) => ({ name: str(item['name']), value: num(item['value']) ?? 0 }));
}

/** Whether every word of the search is somewhere in the texts. */
export function found(search: string, ...texts: readonly string[]): boolean {
  const hay = texts.join('\u0000').toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => hay.includes(word));
}

export function labelText(set: Labels): string {
  return Object.entries(set).map(([name, value]) => `${name}="${value}"`).join(' ');
}

/** Seconds since an RFC 3339 time; undefined for Go's zero time and for what is no time. */
export function ageS(time: string, nowMs: number): number | undefined {
  const ms = Date.parse(time);
  return Number.isNaN(ms) || ms <= 0 ? undefined : Math.max(0, (nowMs - ms) / 1000);
}
