// The dashboards application: sign-in, list, viewer.

import { createSignal, lazy, Match, onMount, Show, Suspense, Switch, type JSX } from 'solid-js';
import { render } from 'solid-js/web';
import '../src/shared/style.css';
import { ChangePassword, Login } from '../src/boards/Login';
import { Home } from '../src/boards/Home';
import { loadUser, signOut, user } from '../src/boards/session';
import { errorText } from '../src/core/api';
import { t } from '../src/i18n';
import { Header, type NavLink } from '../src/shared/Header';
import { navigate, place, takeOverLinks } from '../src/shared/router';
import { Empty, Failed, Loading } from '../src/shared/States';

const StarterRules = lazy(async () => ({ default: (await import('../src/boards/StarterRules')).StarterRules }));
const DashboardPage = lazy(async () => ({ default: (await import('../src/boards/DashboardView')).DashboardPage }));

function App(): JSX.Element {
  const [error, setError] = createSignal('');
  const start = (): void => {
    setError('');
    loadUser().catch((problem: unknown) => setError(errorText(problem)));
  };
  onMount(start);
  const uid = (): string | undefined => {
    const match = /^\/d\/([^/]+)/.exec(place().path);
    return match === null ? undefined : decodeURIComponent(match[1] ?? '');
  };
  const links = (): NavLink[] => {
    const who = user();
    if (!who || who.mustChangePassword) return [];
    const home: NavLink = { path: '/', label: 'dashboards' };
    return who.starters ? [home, { path: '/starter-rules', label: 'starterRules' }] : [home];
  };
  const isHome = (): boolean => ['/', '/dashboards', '/login'].includes(place().path);
  return (
    <>
      <Header home="/" links={links()}>
        <Show when={user()}>
          {(who) => (
            <Show when={!who().anonymous} fallback={<a href="/login">{t('signIn')}</a>}>
              <span class="muted">{who().name}</span>
              <button
                type="button"
                class="quiet"
                onClick={() => {
                  void signOut();
                  navigate('/');
                }}
              >
                {t('signOut')}
              </button>
            </Show>
          )}
        </Show>
      </Header>
      <Switch fallback={<main id="main"><Empty>{t('notFound')}</Empty></main>}>
        <Match when={error()}>
          <main id="main">
            <Failed message={error()} retry={start} />
          </main>
        </Match>
        <Match when={user() === undefined}>
          <Loading />
        </Match>
        <Match when={user() === null || (user()?.anonymous && place().path === '/login')}>
          <Login />
        </Match>
        <Match when={user()?.mustChangePassword}>
          <ChangePassword />
        </Match>
        <Match when={uid()}>
          {(id) => (
            <Suspense fallback={<Loading />}>
              <DashboardPage uid={id()} />
            </Suspense>
          )}
        </Match>
        <Match when={place().path === '/starter-rules'}>
          <Suspense fallback={<Loading />}>
            <StarterRules />
          </Suspense>
        </Match>
        <Match when={isHome()}>
          <Home />
        </Match>
      </Switch>
    </>
  );
}

takeOverLinks((path) => !path.startsWith('/api/') && path !== '/logout' && path !== '/metrics');
const root = document.getElementById('app');
if (root !== null) render(() => <App />, root);
