// Targets by scrape pool.

import { createMemo, createSignal, For, Show, type JSX } from 'solid-js';
import { t } from '../i18n';
import { Empty } from '../shared/States';
import { Age, Fetched, Health, LabelList, poll, seconds, StateFilter } from './parts';
import { found, labelText, parseTargets, type Target } from './status';

export function Targets(): JSX.Element {
  const targets = poll('targets', parseTargets);
  const [search, setSearch] = createSignal('');
  const [off, setOff] = createSignal<ReadonlySet<string>>(new Set());
  const pools = createMemo(() => {
    const groups = new Map<string, Target[]>();
    for (const target of targets.value() ?? []) {
      if (off().has(target.health) || !found(search(), target.url, labelText(target.labels), target.lastError)) continue;
      groups.set(target.pool, [...(groups.get(target.pool) ?? []), target]);
    }
    return [...groups].map(([pool, items]) => ({ pool, items }));
  });
  return (
    <main id="main" class="narrow">
      <div class="bar">
        <h1>{t('targets')}</h1>
        <StateFilter states={['up', 'down', 'unknown']} off={off()} onChange={setOff} counts={(state) => (targets.value() ?? []).filter((target) => target.health === state).length} />
        <input type="search" placeholder={t('searchTargets')} aria-label={t('searchTargets')} value={search()} onInput={(event) => setSearch(event.currentTarget.value)} />
      </div>
      <Fetched from={targets}>
        {(all) => (
          <For each={pools()} fallback={<Empty>{t(all().length === 0 ? 'noTargetsAtAll' : 'noTargets')}</Empty>}>
            {(group) => (
              <section class="card" data-pool={group.pool}>
                <header>
                  <h2>{group.pool}</h2>
                  <span class="muted">{t('upOf', { up: group.items.filter((item) => item.health === 'up').length, n: group.items.length })}</span>
                </header>
                <div class="scroll">
                  <table>
                    <thead>
                      <tr>
                        <th>{t('endpoint')}</th>
                        <th>{t('labels')}</th>
                        <th>{t('state')}</th>
                        <th>{t('lastScrape')}</th>
                        <th class="number">{t('duration')}</th>
                      </tr>
                    </thead>
                    <tbody>
                      <For each={group.items}>{(item) => <TargetRow target={item} />}</For>
                    </tbody>
                  </table>
                </div>
              </section>
            )}
          </For>
        )}
      </Fetched>
    </main>
  );
}

function TargetRow(props: { target: Target }): JSX.Element {
  return (
    <tr data-health={props.target.health}>
      <td>
        <a class="mono" href={props.target.url} target="_blank" rel="noopener noreferrer">
          {props.target.url}
        </a>
        <Show when={props.target.lastError}>
          <div class="bad-text mono">{props.target.lastError}</div>
        </Show>
      </td>
      <td>
        <LabelList labels={props.target.labels} />
        <details>
          <summary class="muted">{t('discoveredLabels')}</summary>
          <LabelList labels={props.target.discovered} />
        </details>
      </td>
      <td>
        <Health state={props.target.health} />
      </td>
      <td>
        <Age time={props.target.lastScrape} />
      </td>
      <td class="number">{seconds(props.target.durationS)}</td>
    </tr>
  );
}
