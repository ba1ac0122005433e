// The query application: expressions, targets, alerts, rules and the state of the server.

import { createEffect, lazy, Match, Suspense, Switch, type JSX } from 'solid-js';
import { render } from 'solid-js/web';
import '../src/shared/style.css';
import { t } from '../src/i18n';
import { QueryPage } from '../src/query/QueryPage';
import { Header, type NavLink } from '../src/shared/Header';
import { navigate, place, takeOverLinks } from '../src/shared/router';
import { Empty, Loading } from '../src/shared/States';

const Targets = lazy(async () => ({ default: (await import('../src/query/Targets')).Targets }));
const Alerts = lazy(async () => ({ default: (await import('../src/query/Alerts')).Alerts }));
const Rules = lazy(async () => ({ default: (await import('../src/query/Alerts')).Rules }));
const Status = lazy(async () => ({ default: (await import('../src/query/Status')).Status }));
const Config = lazy(async () => ({ default: (await import('../src/query/Status')).Config }));
const Flags = lazy(async () => ({ default: (await import('../src/query/Status')).Flags }));
const Storage = lazy(async () => ({ default: (await import('../src/query/Status')).Storage }));

const LINKS: readonly NavLink[] = [
  { path: '/query', label: 'query' },
  { path: '/alerts', label: 'alerts' },
  { path: '/targets', label: 'targets' },
  { path: '/rules', label: 'rules' },
  { path: '/status', label: 'status' },
  { path: '/config', label: 'config' },
  { path: '/flags', label: 'flags' },
  { path: '/tsdb-status', label: 'tsdbStatus' },
];

function App(): JSX.Element {
  const path = (): string => place().path.replace(/(.)\/$/, '$1');
  createEffect(() => {
    // Old addresses keep working, with their query.
    if (path() === '/' || path() === '/graph') navigate(`/query${location.search}`, { replace: true });
    const link = LINKS.find((one) => one.path === path());
    document.title = link === undefined ? 'Vigie' : `${t(link.label)} – Vigie`;
  });
  return (
    <>
      <Header home="/query" links={LINKS} />
      <Suspense fallback={<Loading />}>
        <Switch fallback={<main id="main"><Empty>{t('notFound')}</Empty></main>}>
          <Match when={path() === '/query' || path() === '/' || path() === '/graph'}>
            <QueryPage />
          </Match>
          <Match when={path() === '/targets'}>
            <Targets />
          </Match>
          <Match when={path() === '/alerts'}>
            <Alerts />
          </Match>
          <Match when={path() === '/rules'}>
            <Rules />
          </Match>
          <Match when={path() === '/status'}>
            <Status />
          </Match>
          <Match when={path() === '/config'}>
            <Config />
          </Match>
          <Match when={path() === '/flags'}>
            <Flags />
          </Match>
          <Match when={path() === '/tsdb-status'}>
            <Storage />
          </Match>
        </Switch>
      </Suspense>
    </>
  );
}

const OURS = new Set(['/', '/graph', ...LINKS.map((link) => link.path)]);
takeOverLinks((path) => OURS.has(path));
const root = document.getElementById('app');
if (root !== null) render(() => <App />, root);
