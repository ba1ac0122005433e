// The Prometheus HTTP API as both applications use it. Replies are checked as they are read; a reply that is not what
// the API promises is an error with a text, never an exception deep in a view.

import { arr, isObj, obj, objs, str, strs, type Obj } from './json';

export type Labels = { readonly [name: string]: string };

export interface Series {
  labels: Labels;
  /** Seconds since the epoch, ascending; as long as `values`. */
  times: number[];
  values: number[];
  /** Native histograms are shown as text: "count:3, sum:1.5". */
  histograms: string[];
}

export type ResultType = 'vector' | 'matrix' | 'scalar' | 'string';

export interface QueryResult {
  type: ResultType;
  series: Series[];
  /** The value of a string result. */
  text: string;
  warnings: string[];
  infos: string[];
  /** Round trip, milliseconds. */
  tookMs: number;
}

export class ApiError extends Error {
  readonly status: number;
  readonly kind: string;
  constructor(message: string, status: number, kind: string) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

export function parseSample(text: unknown): number {
  if (typeof text === 'number') return text;
  switch (text) {
    case '+Inf':
      return Infinity;
    case '-Inf':
      return -Infinity;
    case 'NaN':
      return NaN;
    default:
      return Number(text);
  }
}

function labelsOf(value: unknown): Labels {
  const out: { [name: string]: string } = {};
  for (const [name, text] of Object.entries(obj(value))) out[name] = String(text);
  return out;
}

function histogramText(value: unknown): string {
  const data = obj(value);
  return `count:${str(data['count'])}, sum:${str(data['sum'])}`;
}

function seriesOf(item: Obj): Series {
  const out: Series = { labels: labelsOf(item['metric']), times: [], values: [], histograms: [] };
  const points = Array.isArray(item['value']) ? [item['value']] : arr(item['values']);
  for (const point of points) {
    if (!Array.isArray(point)) continue;
    out.times.push(Number(point[0]));
    out.values.push(parseSample(point[1]));
  }
  const histograms = Array.isArray(item['histogram']) ? [item['histogram']] : arr(item['histograms']);
  for (const point of histograms) {
    if (!Array.isArray(point)) continue;
    out.histograms.push(histogramText(point[1]));
    if (points.length === 0) {
      // What a graph can draw of a native histogram is its count.
      out.times.push(Number(point[0]));
      out.values.push(parseSample(obj(point[1])['count']));
    }
  }
  return out;
}

/** The `data` of a query reply. */
export function parseQueryData(data: unknown): Pick<QueryResult, 'type' | 'series' | 'text'> {
  const body = obj(data);
  const type = str(body['resultType']);
  const result = body['result'];
  if (type === 'scalar' || type === 'string') {
    const pair = arr(result);
    if (type === 'string') return { type, series: [], text: String(pair[1] ?? '') };
    return { type, text: '', series: [{ labels: {}, times: [Number(pair[0])], values: [parseSample(pair[1])], histograms: [] }] };
  }
  if (type !== 'vector' && type !== 'matrix') throw new ApiError(`unexpected result type "${type}"`, 200, 'bad_response');
  return { type, text: '', series: objs(result).map(seriesOf) };
}

export interface Reply {
  data: unknown;
  warnings: string[];
  infos: string[];
  tookMs: number;
}

export interface RangeQuery {
  expr: string;
  /** Seconds. */
  start: number;
  end: number;
  step: number;
}

/** A Prometheus API below `base` ("" or "/api/datasources/proxy/uid/…"). */
export class PrometheusApi {
  readonly base: string;
  constructor(base: string) {
    this.base = base;
  }

  async call(path: string, params: Iterable<readonly [string, string]>, options: { post?: boolean; signal?: AbortSignal | undefined } = {}): Promise<Reply> {
    const form = new URLSearchParams();
    for (const [name, value] of params) form.append(name, value);
    const encoded = form.toString();
    const began = performance.now();
    let response: Response;
    try {
      response = options.post
        ? await fetch(`${this.base}/api/v1/${path}`, { method: 'POST', body: form, signal: options.signal ?? null, credentials: 'same-origin' })
        : await fetch(`${this.base}/api/v1/${path}${encoded === '' ? '' : `?${encoded}`}`, { signal: options.signal ?? null, credentials: 'same-origin' });
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') throw error;
      throw new ApiError('the server cannot be reached', 0, 'network');
    }
    const text = await response.text();
    let body: unknown;
    try {
      body = text === '' ? {} : JSON.parse(text);
    } catch {
      throw new ApiError(text.trim().slice(0, 300) || `HTTP ${response.status}`, response.status, 'http');
    }
    const reply = obj(body);
    if (!response.ok || reply['status'] === 'error') {
      const message = str(reply['error']) || str(reply['message']) || `HTTP ${response.status}`;
      throw new ApiError(message, response.status, str(reply['errorType'], 'http'));
    }
    return {
      data: reply['data'],
      warnings: strs(reply['warnings']),
      infos: strs(reply['infos']),
      tookMs: performance.now() - began,
    };
  }

  async instant(expr: string, timeS: number | undefined, signal?: AbortSignal, limit?: number): Promise<QueryResult> {
    const params: [string, string][] = [['query', expr]];
    if (timeS !== undefined) params.push(['time', String(timeS)]);
    if (limit !== undefined) params.push(['limit', String(limit)]);
    const reply = await this.call('query', params, { post: true, signal });
    return { ...parseQueryData(reply.data), warnings: reply.warnings, infos: reply.infos, tookMs: reply.tookMs };
  }

  async range(query: RangeQuery, signal?: AbortSignal): Promise<QueryResult> {
    const params: [string, string][] = [
      ['query', query.expr],
      ['start', String(query.start)],
      ['end', String(query.end)],
      ['step', String(query.step)],
    ];
    const reply = await this.call('query_range', params, { post: true, signal });
    return { ...parseQueryData(reply.data), warnings: reply.warnings, infos: reply.infos, tookMs: reply.tookMs };
  }

  async get(path: string, params: Iterable<readonly [string, string]> = [], signal?: AbortSignal): Promise<unknown> {
    return (await this.call(path, params, { signal })).data;
  }

  async strings(path: string, params: Iterable<readonly [string, string]> = []): Promise<string[]> {
    return strs(await this.get(path, params));
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

export function errorText(error: unknown): string {
  if (error instanceof Error) return error.message;
  return isObj(error) ? JSON.stringify(error) : String(error);
}
