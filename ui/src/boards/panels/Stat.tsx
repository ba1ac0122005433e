// Big numbers: stat, and the dials and bars of gauge and bar gauge.

import { createMemo, createSignal, For, onCleanup, onMount, Show, type JSX } from 'solid-js';
import { fade, resolveColor } from '../../core/color';
import { bool, obj, str, word } from '../../core/json';
import { shareOf, thresholdAt } from '../../dashboard/field';
import { bestGrid, singles, sparkline, type Single } from '../../dashboard/single';
import type { PanelProps } from './context';

function createSize(): { ref: (element: HTMLElement) => void; size: () => { width: number; height: number } } {
  const [size, setSize] = createSignal({ width: 300, height: 150 });
  let root: HTMLElement | undefined;
  onMount(() => {
    if (root === undefined) return;
    const element = root;
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    onCleanup(() => observer.disconnect());
  });
  return { ref: (element) => (root = element), size };
}

/** As big as fits: `share` of the height, and the text within the width. */
function fontSize(text: string, share: number, most: number): string {
  return `min(${share}cqh, ${Math.round(150 / Math.max(2, text.length))}cqw, ${most}px)`;
}

export function Stat(props: PanelProps): JSX.Element {
  const items = createMemo(() => singles(props.panel, props.data.frames, props.utc));
  const { ref, size } = createSize();
  const grid = createMemo(() => bestGrid(items().length, size().width, size().height, str(props.panel.options['orientation'], 'auto')));
  return (
    <div class="stats" ref={ref} style={{ 'grid-template-columns': `repeat(${grid().columns}, 1fr)`, 'grid-template-rows': `repeat(${grid().rows}, 1fr)` }}>
      <For each={items()}>{(item) => <StatTile item={item} many={items().length > 1} props={props} />}</For>
    </div>
  );
}

function StatTile(tile: { item: Single; many: boolean; props: PanelProps }): JSX.Element {
  const { item } = tile;
  const options = tile.props.panel.options;
  const colorMode = word(options['colorMode'], ['value', 'background', 'background_solid', 'none']);
  const textMode = str(options['textMode'], 'auto');
  const value = item.shown.prefix + item.shown.text + item.shown.suffix;
  const showName = textMode === 'name' || textMode === 'value_and_name' || (textMode === 'auto' && tile.many);
  const showValue = textMode !== 'name' && textMode !== 'none';
  const spark = options['graphMode'] === 'none' ? undefined : sparkline(item.history);
  const ground = colorMode.startsWith('background');
  const color = item.shown.color;
  const style = (): JSX.CSSProperties =>
    ground && color !== 'var(--text)'
      ? { background: colorMode === 'background' ? `linear-gradient(120deg, ${color}, color-mix(in srgb, ${color} 78%, #000))` : color, color: '#fff', 'text-shadow': '0 0 3px rgb(0 0 0 / 0.35)' }
      : {};
  return (
    <div class="stat" classList={{ sparked: spark !== undefined }} style={style()} data-value={value}>
      <Show when={spark}>
        {(paths) => (
          <svg class="spark" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
            <path d={paths().area} fill={ground ? 'rgb(255 255 255 / 0.22)' : fade(color, 0.2)} />
            <path d={paths().line} fill="none" stroke={ground ? 'rgb(255 255 255 / 0.75)' : color} stroke-width="1.5" vector-effect="non-scaling-stroke" />
          </svg>
        )}
      </Show>
      <Show when={showName}>
        <div class="what" style={{ 'font-size': fontSize(item.name, showValue ? 20 : 40, showValue ? 18 : 40) }} title={item.name}>
          {item.name}
        </div>
      </Show>
      <Show when={showValue}>
        <div class="big" style={{ 'font-size': fontSize(value, spark !== undefined ? 40 : showName ? 44 : 58, 72), color: colorMode === 'value' ? color : undefined }}>
          {value}
        </div>
      </Show>
    </div>
  );
}

function arc(from: number, to: number, radius: number): string {
  // 240 degrees, open at the bottom.
  const point = (share: number): string => {
    const angle = ((150 + 240 * share) * Math.PI) / 180;
    return `${(60 + radius * Math.cos(angle)).toFixed(2)} ${(56 + radius * Math.sin(angle)).toFixed(2)}`;
  };
  return `M ${point(from)} A ${radius} ${radius} 0 ${to - from > 0.75 ? 1 : 0} 1 ${point(to)}`;
}

export function Gauge(props: PanelProps): JSX.Element {
  const items = createMemo(() => singles(props.panel, props.data.frames, props.utc));
  const { ref, size } = createSize();
  const grid = createMemo(() => bestGrid(items().length, size().width, size().height * 1.6, str(props.panel.options['orientation'], 'auto') === 'auto' ? 'auto' : 'auto'));
  return (
    <div class="stats" ref={ref} style={{ 'grid-template-columns': `repeat(${grid().columns}, 1fr)`, 'grid-template-rows': `repeat(${grid().rows}, 1fr)` }}>
      <For each={items()}>{(item) => <Dial item={item} named={items().length > 1} markers={bool(props.panel.options['showThresholdMarkers'], true)} />}</For>
    </div>
  );
}

function Dial(props: { item: Single; named: boolean; markers: boolean }): JSX.Element {
  const { item } = props;
  const options = { ...item.options, min: item.options.min ?? 0, max: item.options.max ?? (item.options.unit === 'percentunit' ? 1 : 100) };
  const number = typeof item.value === 'number' ? item.value : null;
  const share = number === null ? 0 : Math.min(1, Math.max(0, shareOf(number, options, item.place.bounds)));
  // The dial's own bounds decide what a percentage threshold means.
  const step = number === null ? undefined : thresholdAt(options.thresholds, number, share);
  const byThreshold = options.colorMode === '' || options.colorMode === 'thresholds';
  const color = byThreshold && step !== undefined ? resolveColor(step.color) : item.shown.color;
  const text = item.shown.prefix + item.shown.text + item.shown.suffix;
  const place = (value: number): number => (options.thresholds.percentage ? value / 100 : (value - options.min) / (options.max - options.min));
  const segments = options.thresholds.steps.map((one, index) => {
    const next = options.thresholds.steps[index + 1];
    const from = Math.min(1, Math.max(0, Number.isFinite(one.value) ? place(one.value) : 0));
    const to = Math.min(1, Math.max(0, next === undefined ? 1 : place(next.value)));
    return { from, to, color: resolveColor(one.color) };
  });
  return (
    <div class="gauge-box" data-value={text}>
      <svg viewBox="0 0 120 90" role="img" aria-label={`${item.name}: ${text}`}>
        <path d={arc(0, 1, 42)} fill="none" stroke="var(--track)" stroke-width="11" />
        <Show when={share > 0}>
          <path d={arc(0, share, 42)} fill="none" stroke={color} stroke-width="11" />
        </Show>
        <Show when={props.markers}>
          <For each={segments}>{(segment) => <Show when={segment.to > segment.from}><path d={arc(segment.from, segment.to, 51)} fill="none" stroke={segment.color} stroke-width="3" /></Show>}</For>
        </Show>
        <text x="60" y="64" text-anchor="middle" font-size={String(Math.min(20, 110 / Math.max(3, text.length)))} font-weight="600" fill={color}>
          {text}
        </text>
      </svg>
      <Show when={props.named}>
        <div class="what">{item.name}</div>
      </Show>
    </div>
  );
}

export function BarGauge(props: PanelProps): JSX.Element {
  const items = createMemo(() => singles(props.panel, props.data.frames, props.utc));
  const gradient = (): boolean => str(props.panel.options['displayMode'], 'gradient') === 'gradient';
  const hideNames = (): boolean => props.panel.options['namePlacement'] === 'hidden';
  const valueMode = (): string => str(props.panel.options['valueMode'], 'color');
  return (
    <div class="bars" style={obj(props.panel.options)['orientation'] === 'vertical' ? { 'align-content': 'end' } : {}}>
      <For each={items()}>
        {(item) => {
          const options = { ...item.options, min: item.options.min ?? Math.min(0, item.place.bounds.min) };
          const share = typeof item.value === 'number' ? Math.min(1, Math.max(0, shareOf(item.value, options, item.place.bounds))) : 0;
          const text = item.shown.prefix + item.shown.text + item.shown.suffix;
          const color = item.shown.color;
          return (
            <>
              <span class="name" title={item.name}>
                {hideNames() ? '' : item.name}
              </span>
              <div class="track" data-value={text}>
                <div class="fill" style={{ width: `${share * 100}%`, background: gradient() ? `linear-gradient(90deg, ${fade(color, 0.35)}, ${color})` : color }} />
              </div>
              <b style={{ color: valueMode() === 'color' ? color : undefined }}>{valueMode() === 'hidden' ? '' : text}</b>
            </>
          );
        }}
      </For>
    </div>
  );
}
