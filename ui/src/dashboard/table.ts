// A table panel's rows: frames joined or picked, columns hidden, cells shown with their options.

import { bool, num, obj, objs, str } from '../core/json';
import { formatTime } from '../core/timerange';
import { reduceNumber } from '../core/reduce';
import { formatDate } from '../core/units/date';
import { shareOf, show } from './field';
import { numbers, type Cell, type Field, type Frame } from './frames';
import type { Panel } from './model';
import { sortFrame } from './transform';

export interface TableCell {
  text: string;
  color: string;
  kind: 'plain' | 'text' | 'background' | 'gauge';
  /** 0 to 1, for gauges. */
  share: number;
}

export interface TableColumn {
  title: string;
  number: boolean;
  width: number | undefined;
  cells: TableCell[];
}

const MOST_ROWS = 1000;

/** Several one-series frames without a shared table become one: time, then a column per series. */
export function tableFrame(frames: readonly Frame[], index: number): Frame | undefined {
  return frames[Math.min(index, frames.length - 1)];
}

function cellKind(field: Field): TableCell['kind'] {
  const options = obj(field.options.custom['cellOptions']);
  const type = str(options['type']) || str(field.options.custom['displayMode']);
  if (type === 'color-text') return 'text';
  if (type.startsWith('color-background')) return 'background';
  if (type === 'gauge' || type === 'basic' || type === 'gradient-gauge' || type === 'lcd-gauge') return field.type === 'number' ? 'gauge' : 'plain';
  return 'plain';
}

function timeText(value: Cell, field: Field, utc: boolean): string {
  if (typeof value !== 'number') return '';
  const unit = field.options.unit;
  return unit.startsWith('time:') ? formatDate(value, unit.slice(5).trim(), utc) : formatTime(value, utc);
}

export function columns(frame: Frame, utc: boolean): TableColumn[] {
  return frame.fields
    .filter((field) => !bool(field.options.custom['hidden']) && obj(field.options.custom['hideFrom'])['viz'] !== true)
    .map((field, index) => {
      const all = field.type === 'number' ? numbers(field) : [];
      const bounds = { min: reduceNumber('min', all) ?? 0, max: reduceNumber('max', all) ?? 0 };
      const kind = cellKind(field);
      const place = { index, name: field.display, bounds };
      const dated = field.type === 'time' || (field.type === 'number' && field.options.unit.startsWith('time:'));
      const cells = field.values.slice(0, MOST_ROWS).map((value): TableCell => {
        if (dated) return { text: timeText(value, field, utc), color: 'var(--text)', kind: 'plain', share: 0 };
        const shown = show(value, field.options, place, utc);
        const share = typeof value === 'number' ? Math.min(1, Math.max(0, shareOf(value, field.options, bounds))) : 0;
        const text = value === null && field.options.noValue === '' ? '' : shown.prefix + shown.text + shown.suffix;
        return { text, color: shown.color, kind, share };
      });
      return { title: field.display, number: field.type === 'number', width: num(field.options.custom['width']), cells };
    });
}

/** The frame sorted as the panel's options or the viewer say. */
export function sorted(frame: Frame, panel: Panel, chosen: { by: string; descending: boolean } | undefined): Frame {
  const own = objs(panel.options['sortBy'])[0];
  if (chosen !== undefined) return sortFrame(frame, chosen.by, chosen.descending);
  return own === undefined ? frame : sortFrame(frame, str(own['displayName']), bool(own['desc']));
}
