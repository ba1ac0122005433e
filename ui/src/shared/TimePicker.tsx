// The time range: quick ranges, absolute ends, steps back and forth, zoom out.

import { createSignal, For, Show, type JSX } from 'solid-js';
import { formatTime, isRelative, parseTime, QUICK_RANGES, resolveRange, shiftRange, zoomOut, type TimeRange } from '../core/timerange';
import { t, type Key } from '../i18n';
import { Menu } from './Menu';

const NAMED: Readonly<Record<string, Key>> = {
  'now-1d/d|now-1d/d': 'rangeYesterday',
  'now-2d/d|now-2d/d': 'rangeDayBefore',
  'now-7d/d|now-7d/d': 'rangeThisDayLastWeek',
  'now-1w/w|now-1w/w': 'rangePrevWeek',
  'now-1M/M|now-1M/M': 'rangePrevMonth',
  'now/d|now/d': 'rangeToday',
  'now/d|now': 'rangeTodaySoFar',
  'now/w|now': 'rangeThisWeek',
  'now/M|now': 'rangeThisMonth',
  'now/y|now': 'rangeThisYear',
};

function amount(count: number, unit: string): string {
  if (unit === 'm') return t('minutes', { n: count });
  if (unit === 'h') return count === 1 ? t('hour') : t('hours', { n: count });
  if (unit === 'd') return t('days', { n: count });
  if (unit === 'M') return t('months', { n: count });
  if (unit === 'y') return count === 1 ? t('year') : t('years', { n: count });
  return `${count}${unit}`;
}

export function describeRange(range: TimeRange, utc: boolean): string {
  const named = NAMED[`${range.from}|${range.to}`];
  if (named !== undefined) return t(named);
  const last = /^now-(\d+)([smhdwMy])$/.exec(range.from);
  if (last !== null && range.to === 'now') return t('last', { n: amount(Number(last[1]), last[2] ?? '') });
  const text = (end: string, up: boolean): string => {
    if (end.startsWith('now')) return end;
    const ms = parseTime(end, Date.now(), up);
    return ms === undefined ? end : formatTime(ms, utc);
  };
  return `${text(range.from, false)} – ${text(range.to, true)}`;
}

export function TimePicker(props: { range: TimeRange; utc: boolean; onChange: (range: TimeRange) => void }): JSX.Element {
  const absolute = (next: { fromMs: number; toMs: number }): void => props.onChange({ from: String(next.fromMs), to: String(next.toMs) });
  const current = (): { fromMs: number; toMs: number } => resolveRange(props.range, Date.now());
  return (
    <div class="group">
      <button type="button" title={t('earlier')} aria-label={t('earlier')} onClick={() => absolute(shiftRange(current(), -1))}>
        ‹
      </button>
      <Menu class="time" align="right" title={t('timeRange')} label={<span class="range-label">{describeRange(props.range, props.utc)}</span>}>
        {(close) => <Picker {...props} close={close} />}
      </Menu>
      <button type="button" title={t('later')} aria-label={t('later')} onClick={() => absolute(shiftRange(current(), 1))}>
        ›
      </button>
      <button type="button" title={t('zoomOut')} aria-label={t('zoomOut')} onClick={() => absolute(zoomOut(current()))}>
        −
      </button>
    </div>
  );
}

function Picker(props: { range: TimeRange; utc: boolean; onChange: (range: TimeRange) => void; close: () => void }): JSX.Element {
  const readable = (end: string, up: boolean): string => {
    const ms = isRelative({ from: end, to: end }) ? undefined : parseTime(end, Date.now(), up);
    return ms === undefined ? end : formatTime(ms, false);
  };
  const [from, setFrom] = createSignal(readable(props.range.from, false));
  const [to, setTo] = createSignal(readable(props.range.to, true));
  const valid = (): boolean => {
    const now = Date.now();
    const a = parseTime(from(), now, false);
    const b = parseTime(to(), now, true);
    return a !== undefined && b !== undefined && a < b;
  };
  const pick = (range: TimeRange): void => {
    props.onChange(range);
    props.close();
  };
  const end = (text: string, up: boolean): string => (text.trim().startsWith('now') ? text.trim() : String(parseTime(text, Date.now(), up) ?? text));
  return (
    <div class="picker">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (valid()) pick({ from: end(from(), false), to: end(to(), true) });
        }}
      >
        <strong>{t('absoluteRange')}</strong>
        <label>
          {t('from')}
          <input value={from()} onInput={(event) => setFrom(event.currentTarget.value)} />
        </label>
        <label>
          {t('to')}
          <input value={to()} onInput={(event) => setTo(event.currentTarget.value)} />
        </label>
        <Show when={!valid()}>
          <small class="bad-text">{t('badTime')}</small>
        </Show>
        <button type="submit" class="primary" disabled={!valid()}>
          {t('apply')}
        </button>
      </form>
      <ul aria-label={t('quickRanges')}>
        <For each={QUICK_RANGES}>
          {(range) => (
            <li>
              <button type="button" class="quiet" aria-current={range.from === props.range.from && range.to === props.range.to} onClick={() => pick(range)}>
                {describeRange(range, props.utc)}
              </button>
            </li>
          )}
        </For>
      </ul>
    </div>
  );
}
