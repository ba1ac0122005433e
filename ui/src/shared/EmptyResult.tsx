// An empty result with its reason, looked for in the background.

import { createEffect, createSignal, For, onCleanup, Show, type JSX } from 'solid-js';
import type { PrometheusApi } from '../core/api';
import type { Explanation } from '../core/explain';
import { t } from '../i18n';

function list(values: readonly string[], most = 6): string {
  const shown = values.slice(0, most).map((value) => (value === '' ? '""' : value));
  return shown.join(', ') + (values.length > most ? ', …' : '');
}

export function EmptyResult(props: { expr: string; api: PrometheusApi; timeS: number; message: string; onUse?: ((expr: string) => void) | undefined; onExplained?: () => void }): JSX.Element {
  const [reason, setReason] = createSignal<Explanation | undefined>();
  const [busy, setBusy] = createSignal(true);
  createEffect(() => {
    const { expr, api, timeS } = props;
    const abort = new AbortController();
    onCleanup(() => abort.abort());
    setBusy(true);
    setReason(undefined);
    void import('../core/explain')
      .then((module) => module.explainEmpty(expr, api, timeS, abort.signal))
      .then((found) => {
        if (abort.signal.aborted) return;
        setReason(() => found);
        setBusy(false);
        if (found !== undefined) props.onExplained?.();
      })
      .catch(() => setBusy(false));
  });
  return (
    <div class="notice" data-empty-explained={reason() === undefined ? undefined : reason()?.kind}>
      <div>{props.message}</div>
      <Show when={busy()}>
        <small class="muted">{t('explaining')}</small>
      </Show>
      <Show when={reason()}>{(found) => <Reason reason={found()} onUse={props.onUse} />}</Show>
    </div>
  );
}

function Reason(props: { reason: Explanation; onUse?: ((expr: string) => void) | undefined }): JSX.Element {
  const { reason } = props;
  switch (reason.kind) {
    case 'mismatch':
      return <Mismatched reason={reason} onUse={props.onUse} />;
    case 'sideEmpty':
      return (
        <>
          <div>{t('explainSideEmpty', { side: t(reason.side === 'left' ? 'explainLeft' : 'explainRight'), expr: reason.text })}</div>
          <Show when={reason.inner}>{(inner) => <Reason reason={inner()} />}</Show>
        </>
      );
    case 'comparison':
      return <div>{t('explainComparison', { op: reason.op })}</div>;
    case 'unknownMetric':
      return <div>{t('explainUnknownMetric', { name: reason.name })}</div>;
    case 'matcher':
      return <div>{t('explainMatcher', { name: reason.name, matcher: reason.matcher, values: list(reason.values) || t('none') })}</div>;
    case 'noneNow':
      return <div>{t('explainKnownMetric', { name: reason.name })}</div>;
  }
}

function Mismatched(props: { reason: Explanation & { kind: 'mismatch' }; onUse?: ((expr: string) => void) | undefined }): JSX.Element {
  const { found } = props.reason;
  const labels = (names: readonly string[]): string => (names.length === 0 ? t('explainNoLabels') : list(names, 12));
  const words = { sum: 'explainTrySum', on: 'explainTryOn', ignoring: 'explainTryIgnoring' } as const;
  return (
    <>
      <strong>{t('explainNoMatch')}</strong>
      <ul>
        <li>
          {t('explainLeft')}: <code>{props.reason.leftText}</code> — {t('explainSeries', { n: found.left.count, labels: labels(found.left.labels) })}
        </li>
        <li>
          {t('explainRight')}: <code>{props.reason.rightText}</code> — {t('explainSeries', { n: found.right.count, labels: labels(found.right.labels) })}
        </li>
        <Show when={found.onlyLeft.length > 0}>
          <li>{t('explainOnlyLeft', { labels: list(found.onlyLeft) })}</li>
        </Show>
        <Show when={found.onlyRight.length > 0}>
          <li>{t('explainOnlyRight', { labels: list(found.onlyRight) })}</li>
        </Show>
        <For each={found.disjoint}>{(one) => <li>{t('explainValues', { label: one.label, left: list(one.left, 4), right: list(one.right, 4) })}</li>}</For>
      </ul>
      <div>{t('explainTry')}</div>
      <For each={props.reason.suggestions}>
        {(suggestion) => (
          <div class="suggestion">
            <code>{suggestion.expr}</code>
            <small class="muted">{t(words[suggestion.kind])}</small>
            <Show when={props.onUse}>
              {(use) => (
                <button type="button" onClick={() => use()(suggestion.expr)}>
                  {t('useThis')}
                </button>
              )}
            </Show>
          </div>
        )}
      </For>
    </>
  );
}
