// The bar at the top of every page: brand, links, and on the right language and theme.

import { For, type JSX } from 'solid-js';
import { language, setLanguage, t, type Key } from '../i18n';
import { place } from './router';
import { cycleTheme, theme } from './theme';

export interface NavLink {
  path: string;
  label: Key;
}

const THEME_LABEL = { auto: 'themeAuto', light: 'themeLight', dark: 'themeDark' } as const;
const THEME_SIGN = { auto: '◐', light: '☀', dark: '☾' } as const;

export function Header(props: { links: readonly NavLink[]; home: string; children?: JSX.Element }): JSX.Element {
  return (
    <header class="top">
      <a class="skip" href="#main">
        {t('skip')}
      </a>
      <a class="brand" href={props.home}>
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <circle cx="16" cy="16" r="15" fill="#1f5f8b" />
          <path d="M6 20 L12 13 L17 18 L26 8" fill="none" stroke="#ffd166" stroke-width="3.2" stroke-linecap="round" stroke-linejoin="round" />
        </svg>
        Vigie
      </a>
      <nav>
        <For each={props.links}>
          {(link) => (
            <a href={link.path} aria-current={place().path === link.path ? 'page' : undefined}>
              {t(link.label)}
            </a>
          )}
        </For>
      </nav>
      <span class="spacer" />
      {props.children}
      <button type="button" class="quiet" title={t('language')} aria-label={t('language')} onClick={() => setLanguage(language() === 'fr' ? 'en' : 'fr')}>
        {language() === 'fr' ? 'EN' : 'FR'}
      </button>
      <button type="button" class="quiet" title={t(THEME_LABEL[theme()])} aria-label={t(THEME_LABEL[theme()])} onClick={cycleTheme}>
        {THEME_SIGN[theme()]}
      </button>
    </header>
  );
}
