// Text panels, and the card that stands for panels we cannot draw.

import { createEffect, For, Show, type JSX } from 'solid-js';
import { obj, str } from '../../core/json';
import { interpolate, type Scope } from '../../dashboard/interpolate';
import type { Panel } from '../../dashboard/model';
import { t } from '../../i18n';
import { markdown, safeHtml } from '../../shared/markup';

export function Text(props: { panel: Panel; scope: Scope }): JSX.Element {
  let root: HTMLDivElement | undefined;
  const mode = (): string => str(props.panel.options['mode'], 'markdown');
  const content = (): string => interpolate(str(props.panel.options['content']), props.scope, 'text');
  createEffect(() => {
    const text = content();
    if (mode() !== 'code') root?.replaceChildren(safeHtml(mode() === 'html' ? text : markdown(text)));
  });
  return (
    <Show when={mode() === 'code'} fallback={<div class="text-panel" ref={(element) => (root = element)} />}>
      <pre class="file">{content()}</pre>
    </Show>
  );
}

export function Unknown(props: { panel: Panel }): JSX.Element {
  const expressions = (): string[] => props.panel.targets.map((target) => target.expr).filter((expr) => expr !== '');
  return (
    <div class="unknown-panel" data-panel-unknown={props.panel.type}>
      <p>{t('panelUnknown', { type: props.panel.type || str(obj(props.panel.options)['type'], '?') })}</p>
      <Show when={expressions().length > 0}>
        <div class="muted">{t('panelUnknownQueries')}</div>
        <For each={expressions()}>{(expr) => <code>{expr}</code>}</For>
      </Show>
    </div>
  );
}
