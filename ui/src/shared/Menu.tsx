// A button that opens a box below itself; closes on Escape, on a click elsewhere and when asked.

import { createSignal, onCleanup, onMount, Show, type JSX } from 'solid-js';

export function Menu(props: { label: JSX.Element; title: string; class?: string; align?: 'left' | 'right'; children: (close: () => void) => JSX.Element }): JSX.Element {
  const [open, setOpen] = createSignal(false);
  let root: HTMLDivElement | undefined;
  let button: HTMLButtonElement | undefined;
  const outside = (event: Event): void => {
    if (open() && root !== undefined && event.target instanceof Node && !root.contains(event.target)) setOpen(false);
  };
  onMount(() => document.addEventListener('pointerdown', outside));
  onCleanup(() => document.removeEventListener('pointerdown', outside));
  const close = (): void => {
    setOpen(false);
    button?.focus();
  };
  return (
    <div
      class={`menu ${props.class ?? ''}`}
      ref={(element) => (root = element)}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && open()) {
          event.stopPropagation();
          close();
        }
      }}
    >
      <button ref={(element) => (button = element)} type="button" aria-haspopup="true" aria-expanded={open()} title={props.title} onClick={() => setOpen(!open())}>
        {props.label}
        <span class="caret" aria-hidden="true" />
      </button>
      <Show when={open()}>
        <div class={`menu-box ${props.align ?? 'left'}`}>{props.children(close)}</div>
      </Show>
    </div>
  );
}
