// Who is looking: sign-in, sign-out, password change, and what the server says about us.

import { createSignal } from 'solid-js';
import { bool, obj, objs, str, strs } from '../core/json';
import { ApiError } from '../core/api';

export interface User {
  login: string;
  name: string;
  role: string;
  anonymous: boolean;
  mustChangePassword: boolean;
  /** Whether the server offers dashboards and alert rules of its own. */
  starters: boolean;
}

export interface Found {
  uid: string;
  title: string;
  url: string;
  folder: string;
  tags: string[];
  /** Whether it came with the program. */
  starter: boolean;
}

/** undefined while unknown, null when a sign-in is needed. */
const [user, setUser] = createSignal<User | null | undefined>(undefined);
export { user };

async function send(path: string, method: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: 'same-origin',
      signal: signal ?? null,
      headers: body === undefined ? { Accept: 'application/json' } : { 'Content-Type': 'application/json', Accept: 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError('the server cannot be reached', 0, 'network');
  }
  const text = await response.text();
  let value: unknown = {};
  try {
    value = text === '' ? {} : JSON.parse(text);
  } catch {
    value = { message: text.slice(0, 200) };
  }
  if (response.status === 401 && path !== '/login') setUser(null);
  if (!response.ok) throw new ApiError(str(obj(value)['message']) || `HTTP ${response.status}`, response.status, 'http');
  return value;
}

function asksForChange(value: unknown): boolean {
  const reply = obj(value);
  return bool(reply['mustChangePassword']) || bool(reply['forcePasswordChange']) || bool(reply['passwordChangeRequired']) || bool(obj(reply['user'])['mustChangePassword']);
}

export async function loadUser(): Promise<void> {
  try {
    const value = obj(await send('/api/user', 'GET'));
    const login = str(value['login']);
    const role = str(value['orgRole']) || str(value['role']);
    setUser({
      login,
      name: str(value['name']) || login,
      role,
      anonymous: bool(value['isAnonymous']) || bool(value['anonymous']) || login === '',
      mustChangePassword: asksForChange(value),
      starters: bool(value['starters']),
    });
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) setUser(null);
    else throw error;
  }
}

/** Signs in; afterwards `user()` says whether a password change is due. */
export async function signIn(login: string, password: string): Promise<void> {
  const reply = await send('/login', 'POST', { user: login, password });
  await loadUser();
  const current = user();
  if (current !== null && current !== undefined && asksForChange(reply)) setUser({ ...current, mustChangePassword: true });
}

export async function changePassword(oldPassword: string, newPassword: string): Promise<void> {
  await send('/api/user/password', 'PUT', { oldPassword, newPassword, confirmNew: newPassword });
  const current = user();
  if (current) setUser({ ...current, mustChangePassword: false });
}

export async function signOut(): Promise<void> {
  // The reply is a redirect to the login page; what counts is the cookie it takes away.
  await fetch('/logout', { credentials: 'same-origin', redirect: 'manual' }).catch(() => undefined);
  setUser(null);
}

export async function searchDashboards(signal: AbortSignal): Promise<Found[]> {
  const value = await send('/api/search?type=dash-db&limit=5000', 'GET', undefined, signal);
  return objs(value).map((item) => ({
    uid: str(item['uid']),
    title: str(item['title']),
    url: str(item['url']) || `/d/${str(item['uid'])}`,
    folder: str(item['folderTitle']),
    tags: strs(item['tags']),
    starter: bool(item['isStarter']),
  }));
}

export async function fetchDashboard(uid: string, signal: AbortSignal): Promise<unknown> {
  return send(`/api/dashboards/uid/${encodeURIComponent(uid)}`, 'GET', undefined, signal);
}

export async function fetchStarterRules(signal: AbortSignal): Promise<unknown> {
  return send('/api/vigie/starter-rules', 'GET', undefined, signal);
}

/** Where a dashboard's JSON is, as a file to keep. */
export function dashboardFile(uid: string): string {
  return `/api/vigie/dashboards/${encodeURIComponent(uid)}/file`;
}
