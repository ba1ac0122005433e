// A chart in the page: mounts the plot, follows size, data, theme and hidden series.

import { createEffect, on, onCleanup, onMount, type JSX } from 'solid-js';
import 'uplot/dist/uPlot.min.css';
import type { ChartModel } from '../chart/model';
import { Plot } from '../chart/plot';
import { isDark } from './theme';

export interface ChartProps {
  model: ChartModel;
  hidden: ReadonlySet<string>;
  label: string;
  tooltip?: 'single' | 'multi' | 'none';
  tooltipSort?: 'none' | 'asc' | 'desc';
  syncKey?: string | undefined;
  onZoom: (fromMs: number, toMs: number) => void;
  onZoomOut?: () => void;
}

export function Chart(props: ChartProps): JSX.Element {
  let root: HTMLDivElement | undefined;
  let plot: Plot | undefined;
  onMount(() => {
    if (root === undefined) return;
    const element = root;
    const size = (): { width: number; height: number } => ({ width: element.clientWidth, height: element.clientHeight });
    const observer = new ResizeObserver(() => {
      const { width, height } = size();
      if (width < 20 || height < 20) return;
      if (plot === undefined) {
        plot = new Plot(element, props.model, {
          width,
          height,
          tooltip: props.tooltip ?? 'multi',
          tooltipSort: props.tooltipSort ?? 'none',
          syncKey: props.syncKey,
          onZoom: (from, to) => props.onZoom(from, to),
          onZoomOut: () => props.onZoomOut?.(),
        });
        plot.update(props.model, props.hidden);
      } else plot.resize(width, height);
    });
    observer.observe(element);
    onCleanup(() => {
      observer.disconnect();
      plot?.destroy();
    });
  });
  createEffect(on([() => props.model, () => props.hidden], ([model, hidden]) => plot?.update(model, hidden)));
  // The style change must be in force before colours are read.
  createEffect(on(isDark, () => requestAnimationFrame(() => plot?.redraw()), { defer: true }));
  return <div class="chart" ref={(element) => (root = element)} role="img" aria-label={props.label} />;
}

/** Legend clicks: alone isolates (or shows all again), with Ctrl or Cmd toggles one. */
export function toggleHidden(hidden: ReadonlySet<string>, names: readonly string[], name: string, single: boolean): Set<string> {
  if (single) {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    return next;
  }
  const isolated = !hidden.has(name) && names.every((other) => other === name || hidden.has(other));
  return isolated ? new Set() : new Set(names.filter((other) => other !== name));
}
