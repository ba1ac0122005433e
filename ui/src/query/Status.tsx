// Status, configuration, flags and storage.

import { createMemo, createSignal, For, type JSX } from 'solid-js';
import { num, obj, objs, str } from '../core/json';
import { formatTime } from '../core/timerange';
import { t, type Key } from '../i18n';
import { CopyButton } from '../shared/CopyButton';
import { Empty } from '../shared/States';
import { Fetched, poll } from './parts';
import { counts, found, pairs } from './status';

function Pairs(props: { rows: [string, string][] }): JSX.Element {
  return (
    <dl class="pairs">
      <For each={props.rows}>
        {([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd class="mono">{value}</dd>
          </>
        )}
      </For>
    </dl>
  );
}

function Card(props: { title: string; children: JSX.Element }): JSX.Element {
  return (
    <section class="card">
      <header>
        <h2>{props.title}</h2>
      </header>
      <div class="body">{props.children}</div>
    </section>
  );
}

export function Status(): JSX.Element {
  const runtime = poll('status/runtimeinfo', pairs);
  const build = poll('status/buildinfo', pairs);
  const managers = poll('alertmanagers', (data) => objs(obj(data)['activeAlertmanagers']).map((item) => str(item['url'])));
  return (
    <main id="main" class="narrow">
      <div class="bar">
        <h1>{t('status')}</h1>
      </div>
      <div class="columns">
        <Card title={t('runtime')}>
          <Fetched from={runtime}>{(rows) => <Pairs rows={rows()} />}</Fetched>
        </Card>
        <Card title={t('build')}>
          <Fetched from={build}>{(rows) => <Pairs rows={rows()} />}</Fetched>
        </Card>
        <Card title={t('alertmanagers')}>
          <Fetched from={managers}>{(urls) => <For each={urls()} fallback={<Empty>{t('noAlertmanagers')}</Empty>}>{(url) => <div class="mono">{url}</div>}</For>}</Fetched>
        </Card>
      </div>
    </main>
  );
}

export function Config(): JSX.Element {
  const config = poll('status/config', (data) => str(obj(data)['yaml']));
  return (
    <main id="main" class="narrow">
      <div class="bar">
        <h1>{t('config')}</h1>
        <CopyButton text={config.value() ?? ''} />
      </div>
      <Fetched from={config}>
        {(yaml) => (
          <section class="card">
            <pre class="file">{yaml()}</pre>
          </section>
        )}
      </Fetched>
    </main>
  );
}

export function Flags(): JSX.Element {
  const flags = poll('status/flags', pairs);
  const [search, setSearch] = createSignal('');
  const shown = createMemo(() => (flags.value() ?? []).filter(([name, value]) => found(search(), name, value)).sort(([a], [b]) => a.localeCompare(b)));
  return (
    <main id="main" class="narrow">
      <div class="bar">
        <h1>{t('flags')}</h1>
        <input type="search" placeholder={t('search')} aria-label={t('search')} value={search()} onInput={(event) => setSearch(event.currentTarget.value)} />
      </div>
      <Fetched from={flags}>
        {() => (
          <section class="card scroll">
            <table>
              <thead>
                <tr>
                  <th>{t('flag')}</th>
                  <th>{t('value')}</th>
                </tr>
              </thead>
              <tbody>
                <For each={shown()}>
                  {([name, value]) => (
                    <tr>
                      <td class="mono">--{name}</td>
                      <td class="mono">{value}</td>
                    </tr>
                  )}
                </For>
              </tbody>
            </table>
          </section>
        )}
      </Fetched>
    </main>
  );
}

const TABLES: readonly (readonly [string, Key])[] = [
  ['seriesCountByMetricName', 'seriesByMetric'],
  ['labelValueCountByLabelName', 'labelValuesByLabel'],
  ['memoryInBytesByLabelName', 'memoryByLabel'],
  ['seriesCountByLabelValuePair', 'seriesByPair'],
];

export function Storage(): JSX.Element {
  const status = poll('status/tsdb', obj);
  const head = (name: string): number => num(obj(status.value()?.['headStats'])[name]) ?? 0;
  // An empty head says so with the largest and smallest integers.
  const time = (name: string): string => (Math.abs(head(name)) > 8.64e15 || head(name) === 0 ? '–' : formatTime(head(name)));
  return (
    <main id="main" class="narrow">
      <div class="bar">
        <h1>{t('tsdbStatus')}</h1>
      </div>
      <Fetched from={status}>
        {(data) => (
          <>
            <Card title={t('headStats')}>
              <Pairs
                rows={[
                  [t('series'), head('numSeries').toLocaleString()],
                  [t('labelPairs'), head('numLabelPairs').toLocaleString()],
                  [t('chunks'), head('chunkCount').toLocaleString()],
                  [t('minTime'), time('minTime')],
                  [t('maxTime'), time('maxTime')],
                ]}
              />
            </Card>
            <div class="columns">
              <For each={TABLES}>
                {([field, title]) => (
                  <Card title={t(title)}>
                    <table>
                      <thead>
                        <tr>
                          <th>{t('name')}</th>
                          <th class="number">{t('count')}</th>
                        </tr>
                      </thead>
                      <tbody>
                        <For each={counts(data()[field])}>
                          {(row) => (
                            <tr>
                              <td class="mono">{row.name}</td>
                              <td class="number">{row.value.toLocaleString()}</td>
                            </tr>
                          )}
                        </For>
                      </tbody>
                    </table>
                  </Card>
                )}
              </For>
            </div>
          </>
        )}
      </Fetched>
    </main>
  );
}
