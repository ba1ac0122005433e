// The address as a signal. Links are ordinary anchors; clicks on those to our own pages are taken over here.

import { createSignal } from 'solid-js';

export interface Place {
  path: string;
  query: URLSearchParams;
}

function read(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

const [place, setPlace] = createSignal<Place>(read());
export { place };

addEventListener('popstate', () => setPlace(read()));

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (options.replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  setPlace(read());
}

/** Sets or (with undefined) removes parameters of the current address. */
export function setParams(changes: { readonly [name: string]: string | readonly string[] | undefined }, options: { replace?: boolean } = {}): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    if (typeof value === 'string') query.set(name, value);
    else for (const one of value ?? []) query.append(name, one);
  }
  const text = query.toString();
  navigate(`${location.pathname}${text === '' ? '' : `?${text}`}`, options);
}

export function takeOverLinks(isOurs: (path: string) => boolean): void {
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const anchor = event.target instanceof Element ? event.target.closest('a') : null;
    if (anchor === null || anchor.target !== '' || anchor.origin !== location.origin || !isOurs(anchor.pathname)) return;
    event.preventDefault();
    navigate(anchor.pathname + anchor.search + anchor.hash);
    scrollTo(0, 0);
  });
}
