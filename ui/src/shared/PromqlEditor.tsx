// The expression box: a plain text area at once, CodeMirror with completion as soon as it has loaded.

import { createEffect, on, onCleanup, onMount, type JSX } from 'solid-js';
import type { EditorHandle } from './promql-codemirror';
import { isDark } from './theme';

export interface PromqlEditorProps {
  value: string;
  label: string;
  onInput: (text: string) => void;
  onExecute: () => void;
}

export function PromqlEditor(props: PromqlEditorProps): JSX.Element {
  let root: HTMLDivElement | undefined;
  let plain: HTMLTextAreaElement | undefined;
  let handle: EditorHandle | undefined;
  let gone = false;
  onMount(() => {
    fit();
    void import('./promql-codemirror').then((module) => {
      if (gone || root === undefined || plain === undefined) return;
      const focused = document.activeElement === plain;
      handle = module.mountEditor(root, {
        text: plain.value,
        label: props.label,
        dark: isDark(),
        onInput: (text) => props.onInput(text),
        onExecute: () => props.onExecute(),
      });
      plain.hidden = true;
      if (focused) handle.focus();
    }, () => undefined);
  });
  onCleanup(() => {
    gone = true;
    handle?.destroy();
  });
  createEffect(on(() => props.value, (text) => handle?.set(text)));
  createEffect(on(isDark, (dark) => handle?.setDark(dark), { defer: true }));
  const fit = (): void => {
    if (plain === undefined) return;
    plain.style.height = 'auto';
    plain.style.height = `${Math.max(32, plain.scrollHeight + 2)}px`;
  };
  return (
    <div class="editor" ref={(element) => (root = element)}>
      <textarea
        ref={(element) => (plain = element)}
        rows="1"
        spellcheck={false}
        aria-label={props.label}
        placeholder={props.label}
        value={props.value}
        onInput={(event) => {
          props.onInput(event.currentTarget.value);
          fit();
        }}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey) return;
          event.preventDefault();
          props.onExecute();
        }}
      />
    </div>
  );
}
