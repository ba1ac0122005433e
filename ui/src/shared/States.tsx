// What a view shows when it has nothing to show yet, at all, or because something broke.

import { Show, type JSX } from 'solid-js';
import { t } from '../i18n';

export function Loading(): JSX.Element {
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      {t('loading')}
    </div>
  );
}

export function Empty(props: { children: JSX.Element }): JSX.Element {
  return <div class="state">{props.children}</div>;
}

export function Failed(props: { message: string; retry?: (() => void) | undefined }): JSX.Element {
  return (
    <div class="notice bad" role="alert">
      <strong>{t('errorTitle')}</strong>
      <div class="message">{props.message}</div>
      <Show when={props.retry}>
        {(retry) => (
          <button type="button" onClick={() => retry()()}>
            {t('retry')}
          </button>
        )}
      </Show>
    </div>
  );
}
