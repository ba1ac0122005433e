// Where panels stand: Grafana's grid of 24 columns, rows that open and close, repeated rows and panels.

import type { GridPos, Panel } from './model';

export const COLUMNS = 24;
export const ROW_PX = 30;
export const GAP_PX = 8;

/** Height in pixels of `h` grid rows. */
export function heightPx(h: number): number {
  return h * ROW_PX + (h - 1) * GAP_PX;
}

export function topPx(y: number): number {
  return y * (ROW_PX + GAP_PX);
}

export interface Placed {
  key: string;
  panel: Panel;
  pos: GridPos;
}

interface Section {
  row: Panel | undefined;
  key: string;
  panels: Panel[];
}

/** Open rows own the panels behind them up to the next row; closed rows carry theirs inside. */
function sections(panels: readonly Panel[]): Section[] {
  const sorted = [...panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
  const out: Section[] = [{ row: undefined, key: '', panels: [] }];
  for (const panel of sorted) {
    if (panel.type === 'row') out.push({ row: panel, key: `row-${panel.id}`, panels: [...panel.panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x) });
    else out[out.length - 1]?.panels.push(panel);
  }
  return out;
}

function clone(panel: Panel, scoped: Panel['scoped'], suffix: string): Panel & { suffix: string } {
  return { ...panel, scoped: { ...panel.scoped, ...scoped }, panels: panel.panels, suffix };
}

/** A panel for each value of its `repeat` variable, with positions relative to the first. */
function repeatPanel(panel: Panel, values: (name: string) => readonly string[]): { panels: Panel[]; extra: number } {
  const list = panel.repeat === '' || panel.scoped[panel.repeat] !== undefined ? [] : values(panel.repeat);
  if (list.length === 0) return { panels: [panel], extra: 0 };
  const { x, y, w, h } = panel.gridPos;
  if (panel.repeatDirection === 'v') {
    const panels = list.map((value, index) => ({ ...clone(panel, { [panel.repeat]: value }, value), gridPos: { x, y: y + index * h, w, h } }));
    return { panels, extra: (list.length - 1) * h };
  }
  const perRow = Math.min(panel.maxPerRow, list.length);
  const width = Math.max(1, Math.floor(COLUMNS / perRow));
  const panels = list.map((value, index) => ({
    ...clone(panel, { [panel.repeat]: value }, value),
    gridPos: { x: (index % perRow) * width, y: y + Math.floor(index / perRow) * h, w: width, h },
  }));
  return { panels, extra: (Math.ceil(list.length / perRow) - 1) * h };
}

/** Removes empty space above panels: each slides up until it meets another. The clones of a repeat slide as one. */
export function compact(items: readonly Placed[]): Placed[] {
  const heights = new Array<number>(COLUMNS).fill(0);
  const groups = new Map<string, Placed[]>();
  for (const item of items) {
    const group = item.key.replace(/\/\d+$/, '');
    groups.set(group, [...(groups.get(group) ?? []), item]);
  }
  return [...groups.values()].flatMap((members) => {
    const top = Math.min(...members.map((item) => item.pos.y));
    const floor = Math.max(0, ...members.map((item) => Math.max(...heights.slice(item.pos.x, item.pos.x + item.pos.w)) - (item.pos.y - top)));
    const moved = members.map((item) => ({ ...item, pos: { ...item.pos, y: item.pos.y - top + floor } }));
    for (const { pos } of moved) {
      for (let column = pos.x; column < pos.x + pos.w; column += 1) heights[column] = Math.max(heights[column] ?? 0, pos.y + pos.h);
    }
    return moved;
  });
}

/**
 * The panels to draw and where. `toggled` holds the keys of rows the viewer opened or closed against the file;
 * `values` gives the chosen values of a variable (for repeats).
 */
export function layout(panels: readonly Panel[], toggled: ReadonlySet<string>, values: (name: string) => readonly string[]): Placed[] {
  const placed: Placed[] = [];
  let base = 0;
  const put = (panel: Panel, key: string, pos: GridPos): void => void placed.push({ key, panel, pos });
  const place = (section: Section, row: Panel | undefined, key: string, scoped: Panel['scoped']): void => {
    const open = row === undefined || row.collapsed === toggled.has(key);
    if (row !== undefined) {
      put({ ...row, collapsed: !open, scoped }, key, { x: 0, y: base, w: COLUMNS, h: 1 });
      base += 1;
    }
    if (!open) return;
    const origin = Math.min(...section.panels.map((panel) => panel.gridPos.y));
    let extra = 0;
    let bottom = 0;
    for (const panel of section.panels) {
      const repeated = repeatPanel({ ...panel, scoped: { ...panel.scoped, ...scoped } }, values);
      repeated.panels.forEach((one, index) => {
        const y = one.gridPos.y - origin + extra;
        bottom = Math.max(bottom, y + one.gridPos.h);
        put(one, `${key}/${panel.id}/${index}`, { ...one.gridPos, y: base + y });
      });
      extra += repeated.extra;
    }
    base += bottom;
  };
  for (const section of sections(panels)) {
    const { row } = section;
    const list = row === undefined || row.repeat === '' ? [] : values(row.repeat);
    if (row === undefined || list.length === 0) place(section, row, section.key, row?.scoped ?? {});
    else for (const value of list) place(section, row, `${section.key}:${value}`, { [row.repeat]: value });
  }
  return compact(placed);
}

export function gridRows(items: readonly Placed[]): number {
  return Math.max(0, ...items.map((item) => item.pos.y + item.pos.h));
}
