// The chosen language and the words of it.

import { createSignal } from 'solid-js';
import { en, type Key } from './en';
import { fr } from './fr';

export type { Key } from './en';
export type Language = 'en' | 'fr';

const KEY = 'vigie.language';

function initial(): Language {
  const stored = localStorage.getItem(KEY);
  if (stored === 'en' || stored === 'fr') return stored;
  return navigator.language.toLowerCase().startsWith('fr') ? 'fr' : 'en';
}

const [language, setSignal] = createSignal<Language>(initial());
document.documentElement.lang = language();

export { language };

export function setLanguage(next: Language): void {
  localStorage.setItem(KEY, next);
  document.documentElement.lang = next;
  setSignal(next);
}

/** The text for a key, with what goes into its `{places}`. */
export function t(key: Key, places: { readonly [place: string]: string | number } = {}): string {
  const text: string = language() === 'fr' ? fr[key] : en[key];
  return text.replace(/\{(\w+)\}/g, (whole, place: string) => String(places[place] ?? whole));
}
