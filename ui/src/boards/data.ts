// What a panel asks the server, and its answers as frames.

import { PrometheusApi, errorText, isAbort, type QueryResult } from '../core/api';
import { parseDuration } from '../core/duration';
import { resolution } from '../core/interval';
import { isObj, str } from '../core/json';
import type { AbsoluteRange } from '../core/timerange';
import { configure, framesOf, type Answer, type Frame } from '../dashboard/frames';
import { builtIns, interpolate, type Scope } from '../dashboard/interpolate';
import type { Panel, Target } from '../dashboard/model';
import { transform } from '../dashboard/transform';

export interface PanelData {
  frames: Frame[];
  errors: string[];
  warnings: string[];
  /** Transformations that were not applied. */
  unknown: string[];
  range: AbsoluteRange;
  /** The first expression, as sent. */
  expr: string;
  empty: boolean;
}

/** Every data source of an imported dashboard is the built-in store; its uid only names the way to it. */
export function apiFor(datasource: unknown, scope: Scope): PrometheusApi {
  const named = isObj(datasource) ? str(datasource['uid']) : str(datasource);
  const uid = interpolate(named, scope, 'text');
  return new PrometheusApi(`/api/datasources/proxy/uid/${/^[\w.-]+$/.test(uid) ? uid : 'prometheus'}`);
}

/** `timeFrom` replaces the range's length, `timeShift` moves it back. */
export function panelRange(panel: Panel, range: AbsoluteRange): AbsoluteRange {
  const length = parseDuration(panel.timeFrom.replace(/^now-/, ''));
  const shift = parseDuration(panel.timeShift) ?? 0;
  const fromMs = length === undefined ? range.fromMs : range.toMs - length;
  return { fromMs: fromMs - shift, toMs: range.toMs - shift };
}

async function ask(target: Target, panel: Panel, scope: Scope, range: AbsoluteRange, widthPx: number, api: PrometheusApi, signal: AbortSignal): Promise<Answer[]> {
  const reserved = /^\$\{?__(rate_)?interval\}?$/.test(target.interval.trim());
  const resolved = resolution({
    rangeMs: range.toMs - range.fromMs,
    maxDataPoints: panel.maxDataPoints ?? Math.max(100, Math.floor(widthPx)),
    panelInterval: interpolate(panel.interval, scope, 'text'),
    targetInterval: reserved ? target.interval : interpolate(target.interval, scope, 'text'),
    intervalFactor: target.intervalFactor,
  });
  const full: Scope = { ...scope, range, fixed: { ...scope.fixed, ...builtIns(range, resolved) } };
  const expr = interpolate(target.expr, full, 'expr');
  const legendFormat = target.legendFormat === undefined ? undefined : interpolate(target.legendFormat, full, 'text');
  const out: Promise<Answer>[] = [];
  const answer = (result: QueryResult, grid: Answer['grid']): Answer => ({ target, expr, legendFormat, result, grid });
  if (target.instant) out.push(api.instant(expr, range.toMs / 1000, signal).then((result) => answer(result, undefined)));
  if (target.range) {
    const step = resolved.stepMs / 1000;
    // Both ends on the step's grid: panels then agree, and the next refresh asks for the same points.
    const start = Math.floor(range.fromMs / 1000 / step) * step;
    const end = Math.floor(range.toMs / 1000 / step) * step;
    out.push(api.range({ expr, start, end, step }, signal).then((result) => answer(result, { start, end, step })));
  }
  return Promise.all(out);
}

export async function fetchPanel(panel: Panel, scope: Scope, dashboardRange: AbsoluteRange, widthPx: number, signal: AbortSignal): Promise<PanelData> {
  const range = panelRange(panel, dashboardRange);
  const own: Scope = { ...scope, fixed: { ...scope.fixed, ...panel.scoped } };
  const api = apiFor(panel.datasource, own);
  const targets = panel.targets.filter((target) => !target.hide && target.expr.trim() !== '');
  const errors: string[] = [];
  const settled = await Promise.allSettled(targets.map((target) => ask(target, panel, own, range, widthPx, api, signal)));
  const answers: Answer[] = [];
  for (const one of settled) {
    if (one.status === 'fulfilled') answers.push(...one.value);
    else if (isAbort(one.reason)) throw one.reason;
    else errors.push(errorText(one.reason));
  }
  const transformed = transform(framesOf(answers), panel.transformations);
  const frames = configure(transformed.frames, panel);
  return {
    frames,
    errors: [...new Set(errors)],
    warnings: [...new Set(answers.flatMap((answer) => answer.result.warnings))],
    unknown: transformed.unknown,
    range,
    expr: answers[0]?.expr ?? '',
    empty: frames.every((frame) => frame.fields.every((field) => field.values.length === 0 || (field.type !== 'time' && field.values.every((value) => value === null)) || field.type === 'time')),
  };
}
