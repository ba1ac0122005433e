// A value that is fetched: loading, failed or there. Keeps the old value while a newer one is on its way.

import { createEffect, createSignal, on, onCleanup, type Accessor } from 'solid-js';
import { errorText, isAbort } from '../core/api';

export interface Loaded<T> {
  value: Accessor<T | undefined>;
  error: Accessor<string>;
  loading: Accessor<boolean>;
  reload: () => void;
}

/** Runs `fetch` whenever `key` changes (undefined: not now) or `reload` is called; a newer run cancels the older. */
export function load<K, T>(key: Accessor<K | undefined>, fetch: (key: K, signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [value, setValue] = createSignal<T>();
  const [error, setError] = createSignal('');
  const [loading, setLoading] = createSignal(false);
  const [turn, setTurn] = createSignal(0);
  let abort: AbortController | undefined;
  createEffect(
    on([key, turn], ([current]) => {
      abort?.abort();
      if (current === undefined) return;
      const own = new AbortController();
      abort = own;
      setLoading(true);
      fetch(current as K, own.signal).then(
        (result) => {
          if (own.signal.aborted) return;
          setValue(() => result);
          setError('');
          setLoading(false);
        },
        (problem: unknown) => {
          if (own.signal.aborted || isAbort(problem)) return;
          setError(errorText(problem));
          setLoading(false);
        },
      );
    }),
  );
  onCleanup(() => abort?.abort());
  return { value, error, loading, reload: () => setTurn((n) => n + 1) };
}

/** Calls back every `ms()` milliseconds while the page is visible; 0 is never. */
export function every(ms: Accessor<number>, run: () => void): void {
  createEffect(() => {
    const period = ms();
    if (period <= 0) return;
    const timer = setInterval(() => {
      if (!document.hidden) run();
    }, period);
    onCleanup(() => clearInterval(timer));
  });
}
