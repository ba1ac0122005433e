// A button that copies a text. Browsers give the clipboard to pages of this machine and of HTTPS only; elsewhere there is no button.

import { createSignal, Show, type JSX } from 'solid-js';
import { t } from '../i18n';

export function CopyButton(props: { text: string; what?: string }): JSX.Element {
  const [said, setSaid] = createSignal<'copy' | 'copied' | 'copyFailed'>('copy');
  const copy = async (): Promise<void> => {
    // Refused when the page has no focus or no right.
    setSaid(await navigator.clipboard.writeText(props.text).then(() => 'copied' as const, () => 'copyFailed' as const));
    setTimeout(() => setSaid('copy'), 1500);
  };
  return (
    <Show when={'clipboard' in navigator}>
      <button type="button" aria-label={props.what === undefined ? undefined : `${t('copy')} ${props.what}`} onClick={() => void copy()}>
        <span aria-live="polite">{t(said())}</span>
      </button>
    </Show>
  );
}
