// Sign-in, and the forced change of a first password.

import { createSignal, Show, type JSX } from 'solid-js';
import { ApiError, errorText } from '../core/api';
import { t } from '../i18n';
import { changePassword, signIn, signOut } from './session';

export function Login(): JSX.Element {
  const [login, setLogin] = createSignal('');
  const [password, setPassword] = createSignal('');
  const [error, setError] = createSignal('');
  const [busy, setBusy] = createSignal(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError('');
    try {
      // Before the call: its success may already show the form that asks for another password.
      firstPassword = password();
      await signIn(login(), password());
    } catch (problem) {
      firstPassword = '';
      setError(problem instanceof ApiError && problem.status === 401 ? t('signInFailed') : errorText(problem));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main id="main" class="login">
      <div class="card">
        <form onSubmit={(event) => void submit(event)}>
          <h1>{t('signIn')}</h1>
          <label>
            {t('userName')}
            <input name="user" autocomplete="username" autofocus required value={login()} onInput={(event) => setLogin(event.currentTarget.value)} />
          </label>
          <label>
            {t('password')}
            <input name="password" type="password" autocomplete="current-password" required value={password()} onInput={(event) => setPassword(event.currentTarget.value)} />
          </label>
          <Show when={error()}>
            <div class="notice bad" role="alert">
              {error()}
            </div>
          </Show>
          <button type="submit" class="primary" disabled={busy()}>
            {t('signIn')}
          </button>
        </form>
      </div>
    </main>
  );
}

/** Kept between the two forms, so that nobody types the first password twice. Gone with the page. */
let firstPassword = '';

export function ChangePassword(): JSX.Element {
  const [old, setOld] = createSignal(firstPassword);
  const [first, setFirst] = createSignal('');
  const [second, setSecond] = createSignal('');
  const [error, setError] = createSignal('');
  const [busy, setBusy] = createSignal(false);
  const known = firstPassword !== '';
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (first().length < 8) return void setError(t('passwordShort'));
    if (first() !== second()) return void setError(t('passwordsDiffer'));
    if (first() === old()) return void setError(t('passwordSame'));
    setBusy(true);
    setError('');
    try {
      await changePassword(old(), first());
      firstPassword = '';
    } catch (problem) {
      setError(errorText(problem));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main id="main" class="login">
      <div class="card">
        <form onSubmit={(event) => void submit(event)}>
          <h1>{t('changePassword')}</h1>
          <div class="muted">{t('changePasswordWhy')}</div>
          <Show when={!known}>
            <label>
              {t('password')}
              <input name="oldPassword" type="password" autocomplete="current-password" required value={old()} onInput={(event) => setOld(event.currentTarget.value)} />
            </label>
          </Show>
          <label>
            {t('newPassword')}
            <input name="newPassword" type="password" autocomplete="new-password" autofocus required value={first()} onInput={(event) => setFirst(event.currentTarget.value)} />
          </label>
          <label>
            {t('repeatPassword')}
            <input name="confirmNew" type="password" autocomplete="new-password" required value={second()} onInput={(event) => setSecond(event.currentTarget.value)} />
          </label>
          <Show when={error()}>
            <div class="notice bad" role="alert">
              {error()}
            </div>
          </Show>
          <button type="submit" class="primary" disabled={busy()}>
            {t('changePassword')}
          </button>
          <button type="button" class="quiet" onClick={() => void signOut()}>
            {t('signOut')}
          </button>
        </form>
      </div>
    </main>
  );
}
