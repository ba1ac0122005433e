// The query page's state in its address, by upstream's parameter names (`g0.expr`, `g0.tab`, …).

import { formatDuration, parseDuration } from '../core/duration';

export interface QueryPanel {
  expr: string;
  tab: 'table' | 'graph';
  rangeMs: number;
  /** End of the graph and time of the table, epoch ms; undefined is now. */
  endMs: number | undefined;
  momentMs: number | undefined;
  /** Seconds; undefined is automatic. */
  stepS: number | undefined;
  stacked: boolean;
}

export const DEFAULT_PANEL: QueryPanel = { expr: '', tab: 'table', rangeMs: 3_600_000, endMs: undefined, momentMs: undefined, stepS: undefined, stacked: false };

/** Times are written "2026-01-02 03:04:05", in UTC. */
export function parseInputTime(text: string): number | undefined {
  if (text.trim() === '') return undefined;
  if (/^\d{9,11}(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const ms = Date.parse(`${text.trim().replace(' ', 'T')}${/[Zz]|[+-]\d\d:?\d\d$/.test(text) ? '' : 'Z'}`);
  return Number.isNaN(ms) ? undefined : ms;
}

export function formatInputTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

export function parsePanels(query: URLSearchParams): QueryPanel[] {
  const out: QueryPanel[] = [];
  for (let index = 0; index < 50; index += 1) {
    const get = (name: string): string | null => query.get(`g${index}.${name}`);
    const expr = get('expr');
    if (expr === null) break;
    const tab = get('tab');
    const step = get('step_input') ?? get('res_step');
    const stepS = step === null || step === '' ? undefined : (parseDuration(step) ?? 0) / 1000;
    out.push({
      expr,
      // Upstream has written 0 (graph) and 1 (table) since long, later the words.
      tab: tab === 'graph' || tab === '0' ? 'graph' : 'table',
      rangeMs: Math.max(1000, parseDuration(get('range_input') ?? '') ?? DEFAULT_PANEL.rangeMs),
      endMs: parseInputTime(get('end_input') ?? ''),
      momentMs: parseInputTime(get('moment_input') ?? ''),
      stepS: stepS !== undefined && stepS > 0 ? stepS : undefined,
      stacked: get('display_mode') === 'stacked' || get('stacked') === '1',
    });
  }
  return out.length > 0 ? out : [DEFAULT_PANEL];
}

export function encodePanels(panels: readonly QueryPanel[]): string {
  const query = new URLSearchParams();
  panels.forEach((panel, index) => {
    const set = (name: string, value: string): void => query.set(`g${index}.${name}`, value);
    set('expr', panel.expr);
    set('tab', panel.tab);
    set('range_input', formatDuration(panel.rangeMs));
    if (panel.endMs !== undefined) set('end_input', formatInputTime(panel.endMs));
    if (panel.momentMs !== undefined) set('moment_input', formatInputTime(panel.momentMs));
    if (panel.stepS !== undefined) set('step_input', String(panel.stepS));
    set('display_mode', panel.stacked ? 'stacked' : 'lines');
  });
  return query.toString();
}

/** About 250 points, as upstream; at least a second. */
export function automaticStep(rangeMs: number): number {
  return Math.max(1, Math.floor(rangeMs / 250_000));
}

const RANGES_MS = [10_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000, 172_800_000, 604_800_000, 1_209_600_000, 2_419_200_000, 4_838_400_000, 15_724_800_000, 31_536_000_000];

export function nextRange(ms: number, direction: 1 | -1): number {
  if (direction === 1) return RANGES_MS.find((range) => range > ms) ?? ms;
  return RANGES_MS.findLast((range) => range < ms) ?? ms;
}
