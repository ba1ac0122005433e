// The drawing library behind a small imperative interface: mount a model, update it, hide series, destroy.

import uPlot from 'uplot';
import { fade } from '../core/color';
import { formatTime } from '../core/timerange';
import type { Value } from '../core/reduce';
import { drawnCount, stack, type ChartAxis, type ChartModel, type ChartSeries } from './model';
import { Tooltip, type TooltipRow } from './tooltip';

export interface PlotOptions {
  width: number;
  height: number;
  tooltip: 'single' | 'multi' | 'none';
  tooltipSort: 'none' | 'asc' | 'desc';
  /** Charts with the same key share their crosshair. */
  syncKey: string | undefined;
  onZoom: (fromMs: number, toMs: number) => void;
  onZoomOut: () => void;
}

/** A CSS colour as the canvas takes it. Variables hold `light-dark(…)`, which only an element's own colour resolves. */
function css(element: HTMLElement, color: string): string {
  if (!color.includes('var(') && !color.includes('light-dark(')) return color;
  const probe = document.createElement('i');
  probe.style.color = color;
  element.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved || '#888888';
}

const FONT = '11px system-ui, -apple-system, "Segoe UI", sans-serif';

export class Plot {
  #plot: uPlot | undefined;
  #model: ChartModel;
  #options: PlotOptions;
  #hidden: ReadonlySet<string> = new Set();
  #shape = '';
  readonly #root: HTMLElement;
  readonly #tooltip: Tooltip;

  constructor(root: HTMLElement, model: ChartModel, options: PlotOptions) {
    this.#root = root;
    this.#model = model;
    this.#options = options;
    this.#tooltip = new Tooltip();
    this.update(model, new Set());
  }

  /** New data keeps the chart when its series and axes are the same. */
  update(model: ChartModel, hidden: ReadonlySet<string>): void {
    this.#model = model;
    this.#hidden = hidden;
    const shape = JSON.stringify([model.series.map((one) => ({ ...one, values: 0, format: 0 })), model.axes, model.limits, model.utc]);
    if (this.#plot === undefined || shape !== this.#shape) {
      this.#shape = shape;
      this.#create();
      return;
    }
    this.#apply(this.#plot);
  }

  resize(width: number, height: number): void {
    this.#options = { ...this.#options, width, height };
    this.#plot?.setSize({ width, height });
  }

  /** Colours come from the page's theme: after a change all is drawn anew. */
  redraw(): void {
    this.#create();
  }

  destroy(): void {
    this.#tooltip.remove();
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  #data(): { data: uPlot.AlignedData; bands: [number, number][] } {
    const { rows, bands } = stack(this.#model.series, this.#hidden);
    const clean = rows.map((row) => row.map((value) => (value === null || !Number.isFinite(value) ? null : value)));
    return { data: [this.#model.times, ...clean] as uPlot.AlignedData, bands };
  }

  #apply(plot: uPlot): void {
    const { data, bands } = this.#data();
    plot.batch(() => {
      plot.delBand(null);
      for (const [upper, lower] of bands) plot.addBand({ series: [upper + 1, lower + 1] });
      this.#model.series.forEach((one, index) => {
        const visible = !one.hidden && !this.#hidden.has(one.name);
        if (plot.series[index + 1]?.show !== visible) plot.setSeries(index + 1, { show: visible });
      });
      plot.setData(data, true);
      // setScale keeps the asked range where the data is shorter.
      plot.setScale('x', { min: this.#model.range.from, max: this.#model.range.to });
    });
    this.#mark();
  }

  #mark(): void {
    const canvas = this.#root.querySelector('canvas');
    canvas?.setAttribute('data-series-count', String(drawnCount(this.#model)));
  }

  #create(): void {
    this.#plot?.destroy();
    const { data, bands } = this.#data();
    const text = css(this.#root, 'var(--muted)');
    const grid = css(this.#root, 'var(--grid)');
    const model = this.#model;
    const axes: uPlot.Axis[] = [
      {
        stroke: text,
        font: FONT,
        grid: { stroke: grid, width: 1 },
        ticks: { stroke: grid, size: 4, width: 1 },
        space: 70,
        size: 28,
        values: (_, splits, __, ___, increment) => splits.map((seconds) => timeLabel(seconds, increment, model.utc)),
      },
      ...model.axes.map((axis) => this.#axis(axis, text, grid)),
    ];
    const scales: { [key: string]: uPlot.Scale } = { x: { time: true, min: model.range.from, max: model.range.to, auto: false } };
    for (const axis of model.axes) scales[axis.scale] = scaleOf(axis);
    const options: uPlot.Options = {
      width: Math.max(40, this.#options.width),
      height: Math.max(40, this.#options.height),
      padding: [8, model.axes.some((axis) => axis.right && !axis.hidden) ? 0 : 18, 0, model.axes.every((axis) => axis.hidden) ? 10 : 0],
      legend: { show: false },
      scales,
      axes,
      series: [{}, ...model.series.map((one) => this.#series(one))],
      bands: bands.map(([upper, lower]) => ({ series: [upper + 1, lower + 1] as [number, number] })),
      cursor: {
        drag: { x: true, y: false, setScale: false },
        points: { size: 7, width: 2 },
        focus: { prox: 24 },
        ...(this.#options.syncKey === undefined ? {} : { sync: { key: this.#options.syncKey, setSeries: false, scales: ['x', null] as [string, null] } }),
        bind: {
          dblclick: () => () => {
            this.#options.onZoomOut();
            return null;
          },
        },
      },
      focus: { alpha: 1 },
      hooks: {
        setSelect: [
          (plot) => {
            const { left, width } = plot.select;
            if (width < 4) return;
            const from = plot.posToVal(left, 'x') * 1000;
            const to = plot.posToVal(left + width, 'x') * 1000;
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            this.#options.onZoom(Math.round(from), Math.round(to));
          },
        ],
        setCursor: [(plot) => this.#hover(plot)],
        drawAxes: [(plot) => this.#drawLimits(plot)],
      },
    };
    this.#plot = new uPlot(options, data, this.#root);
    this.#mark();
  }

  #axis(axis: ChartAxis, text: string, grid: string): uPlot.Axis {
    return {
      scale: axis.scale,
      show: !axis.hidden,
      side: axis.right ? 1 : 3,
      stroke: text,
      font: FONT,
      ...(axis.label === '' ? {} : { label: axis.label, labelFont: FONT, labelSize: 18, labelGap: 0 }),
      grid: { show: axis.grid, stroke: grid, width: 1 },
      ticks: { show: false },
      gap: 6,
      space: 34,
      ...(axis.increments === undefined ? {} : { incrs: axis.increments }),
      size: (_, values) => 14 + 6.3 * Math.max(2, ...(values ?? []).map((value) => value?.length ?? 0)),
      values: (_, splits) => splits.map((value) => (value === null ? '' : axis.format(value))),
    };
  }

  #series(one: ChartSeries): uPlot.Series {
    const stroke = css(this.#root, one.color);
    const bars = one.draw === 'bars';
    const fill = bars ? Math.max(one.fill, 0.1) : one.fill;
    const paths = bars
      ? uPlot.paths.bars?.({ size: [0.6, 100], align: 0 })
      : one.draw === 'points'
        ? (): null => null
        : one.interpolation === 'smooth'
          ? uPlot.paths.spline?.()
          : one.interpolation === 'linear'
            ? uPlot.paths.linear?.()
            : uPlot.paths.stepped?.({ align: one.interpolation === 'stepAfter' ? 1 : -1 });
    const visible = !one.hidden && !this.#hidden.has(one.name);
    return {
      label: one.name,
      scale: one.scale,
      show: visible,
      stroke,
      width: one.draw === 'points' ? 0 : one.lineWidth,
      ...(one.dash === undefined ? {} : { dash: one.dash }),
      ...(fill > 0 && one.draw !== 'points' ? { fill: one.gradient ? gradient(stroke, fill) : fade(stroke, fill) } : {}),
      ...(paths ? { paths } : {}),
      spanGaps: one.spanNulls === true,
      ...(typeof one.spanNulls === 'number' ? { gaps: longGaps(one.spanNulls / 1000) } : {}),
      points: {
        size: one.pointSize,
        fill: stroke,
        stroke,
        width: 0,
        ...(one.draw === 'points' || one.points === 'always' ? { show: true } : one.points === 'never' || bars ? { show: false } : {}),
      },
    };
  }

  #drawLimits(plot: uPlot): void {
    const { ctx } = plot;
    const { left, top, width, height } = plot.bbox;
    this.#model.limits.forEach((limit, index) => {
      const scale = plot.scales[limit.scale];
      if (scale?.min === undefined || scale.max === undefined || scale.min === null || scale.max === null) return;
      const at = (value: number): number => Math.min(Math.max(plot.valToPos(value, limit.scale, true), top), top + height);
      const color = css(this.#root, limit.color);
      ctx.save();
      if (limit.area) {
        const next = this.#model.limits[index + 1];
        const lower = at(Math.max(limit.value, scale.min));
        const upper = next !== undefined && next.scale === limit.scale ? at(next.value) : top;
        ctx.fillStyle = fade(color, 0.12);
        ctx.fillRect(left, upper, width, lower - upper);
      }
      if (limit.line && Number.isFinite(limit.value) && limit.value >= scale.min && limit.value <= scale.max) {
        ctx.strokeStyle = fade(color, 0.8);
        ctx.lineWidth = devicePixelRatio;
        if (limit.dashed) ctx.setLineDash([8 * devicePixelRatio, 6 * devicePixelRatio]);
        ctx.beginPath();
        ctx.moveTo(left, at(limit.value));
        ctx.lineTo(left + width, at(limit.value));
        ctx.stroke();
      }
      ctx.restore();
    });
  }

  #hover(plot: uPlot): void {
    const { idx, left, top } = plot.cursor;
    // A cursor moved by another chart has no event here: the crosshair shows, the tooltip does not.
    const own = plot.over.matches(':hover');
    if (this.#options.tooltip === 'none' || idx === null || idx === undefined || left === undefined || left < 0 || top === undefined || !own) {
      this.#tooltip.hide();
      return;
    }
    const stacked = plot.data;
    let nearest = -1;
    let distance = Infinity;
    const rows: (TooltipRow & { index: number; raw: Value })[] = [];
    this.#model.series.forEach((one, index) => {
      const raw = one.values[idx] ?? null;
      if (one.hidden || !one.inTooltip || this.#hidden.has(one.name) || raw === null) return;
      const drawn = stacked[index + 1]?.[idx];
      const away = typeof drawn === 'number' ? Math.abs(plot.valToPos(drawn, one.scale) - top) : Infinity;
      if (away < distance) {
        distance = away;
        nearest = index;
      }
      rows.push({ index, raw, name: one.name, color: css(this.#root, one.color), value: one.format(raw), strong: false });
    });
    if (this.#options.tooltipSort !== 'none') {
      const sign = this.#options.tooltipSort === 'asc' ? 1 : -1;
      rows.sort((a, b) => sign * ((a.raw ?? 0) - (b.raw ?? 0)));
    }
    for (const row of rows) row.strong = row.index === nearest;
    const shown = this.#options.tooltip === 'single' ? rows.filter((row) => row.strong) : rows;
    const time = this.#model.times[idx];
    const box = plot.over.getBoundingClientRect();
    this.#tooltip.show(time === undefined ? '' : formatTime(time * 1000, this.#model.utc), shown, box.left + left, box.top + top);
  }
}

function scaleOf(axis: ChartAxis): uPlot.Scale {
  const log = axis.logBase > 1;
  return {
    ...(log ? { distr: 3 as const, log: axis.logBase === 2 ? (2 as const) : (10 as const) } : {}),
    range: (_, low, high) => {
      if (low === null || high === null || low === undefined || high === undefined) return [axis.min ?? 0, axis.max ?? 1];
      if (log) return uPlot.rangeLog(low, high, axis.logBase === 2 ? 2 : 10, true);
      const withZero = axis.fromZero;
      const soft = (value: number | undefined): { soft: number; mode: 1 | 3 } => (value === undefined ? { soft: 0, mode: withZero ? 1 : 3 } : { soft: value, mode: 1 });
      const [min, max] = uPlot.rangeNum(low, high, {
        min: { pad: 0.1, hard: axis.min ?? -Infinity, ...soft(axis.softMin) },
        max: { pad: 0.1, hard: axis.max ?? Infinity, ...soft(axis.softMax) },
      });
      let from = axis.min ?? min ?? low;
      let to = axis.max ?? max ?? high;
      if (axis.centeredZero) {
        to = Math.max(Math.abs(from), Math.abs(to));
        from = -to;
      }
      return to > from ? [from, to] : [from, from + 1];
    },
  };
}

function gradient(color: string, opacity: number) {
  return (plot: uPlot): CanvasGradient => {
    const { top, height } = plot.bbox;
    // Before the first layout the box has no numbers yet.
    const fill = plot.ctx.createLinearGradient(0, top || 0, 0, (top || 0) + (height || 1));
    fill.addColorStop(0, fade(color, opacity));
    fill.addColorStop(1, fade(color, 0));
    return fill;
  };
}

/** Keeps only gaps longer than `seconds`. */
function longGaps(seconds: number): uPlot.Series.GapsRefiner {
  return (plot, _series, _from, _to, gaps) =>
    gaps.filter(([start, end]) => (plot.posToVal(end / devicePixelRatio, 'x') - plot.posToVal(start / devicePixelRatio, 'x')) > seconds);
}

function timeLabel(seconds: number, increment: number, utc: boolean): string {
  const text = formatTime(seconds * 1000, utc);
  if (increment >= 86_400) return text.slice(5, 10);
  const clock = increment < 60 ? text.slice(11) : text.slice(11, 16);
  return clock === '00:00' ? text.slice(5, 10) : clock;
}
