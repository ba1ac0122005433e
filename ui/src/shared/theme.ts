// Light, dark, or as the system. The choice is an attribute on the root; colours are CSS.

import { createSignal } from 'solid-js';

export type Theme = 'auto' | 'light' | 'dark';
const KEY = 'vigie.theme';

function initial(): Theme {
  const fromUrl = new URLSearchParams(location.search).get('theme');
  const stored = fromUrl ?? localStorage.getItem(KEY);
  return stored === 'light' || stored === 'dark' ? stored : 'auto';
}

const system = matchMedia('(prefers-color-scheme: dark)');
const [theme, setSignal] = createSignal<Theme>(initial());
const [systemDark, setSystemDark] = createSignal(system.matches);
system.addEventListener('change', (event) => setSystemDark(event.matches));

function mark(next: Theme): void {
  if (next === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = next;
}
mark(theme());

export { theme };

export function isDark(): boolean {
  return theme() === 'auto' ? systemDark() : theme() === 'dark';
}

export function cycleTheme(): void {
  const next: Theme = theme() === 'auto' ? (systemDark() ? 'light' : 'dark') : theme() === 'light' ? 'dark' : 'auto';
  localStorage.setItem(KEY, next);
  mark(next);
  setSignal(next);
}
