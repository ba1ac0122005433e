// The list of dashboards, by folder.

import { createMemo, createSignal, For, Show, type JSX } from 'solid-js';
import { t } from '../i18n';
import { load } from '../shared/load';
import { Empty, Failed, Loading } from '../shared/States';
import { dashboardFile, searchDashboards, type Found } from './session';

export function Home(): JSX.Element {
  const list = load(() => true, (_, signal) => searchDashboards(signal));
  const [text, setText] = createSignal('');
  const folders = createMemo(() => {
    const wanted = text().toLowerCase();
    const groups = new Map<string, Found[]>();
    for (const found of list.value() ?? []) {
      const hay = `${found.title} ${found.folder} ${found.tags.join(' ')}`.toLowerCase();
      if (!hay.includes(wanted)) continue;
      groups.set(found.folder, [...(groups.get(found.folder) ?? []), found]);
    }
    return [...groups].sort(([a], [b]) => a.localeCompare(b)).map(([folder, items]) => ({ folder, items: items.sort((a, b) => a.title.localeCompare(b.title)) }));
  });
  return (
    <main id="main" class="narrow">
      <div class="bar">
        <h1>{t('dashboards')}</h1>
        <input type="search" placeholder={t('searchDashboards')} aria-label={t('searchDashboards')} value={text()} onInput={(event) => setText(event.currentTarget.value)} />
      </div>
      <Show when={list.error()}>
        <Failed message={list.error()} retry={list.reload} />
      </Show>
      <Show when={list.value()} fallback={<Show when={!list.error()}><Loading /></Show>}>
        <For each={folders()} fallback={<Empty>{t((list.value() ?? []).length === 0 ? 'noDashboards' : 'noDashboardsFound')}</Empty>}>
          {(group) => (
            <section class="card folder">
              <header>
                <h2>{group.folder || t('generalFolder')}</h2>
                <span class="muted">{group.items.length}</span>
              </header>
              <ul>
                <For each={group.items}>
                  {(item) => (
                    <li>
                      <a href={item.url} data-dashboard={item.uid}>
                        {item.title}
                        <span class="labels">
                          <For each={item.tags}>{(tag) => <span class="pill">{tag}</span>}</For>
                        </span>
                      </a>
                      <a class="quiet-link" href={dashboardFile(item.uid)} download={`${item.uid}.json`} title={t('downloadTitle', { title: item.title })} aria-label={t('downloadTitle', { title: item.title })}>
                        JSON
                      </a>
                    </li>
                  )}
                </For>
              </ul>
              <Show when={group.items.some((item) => item.starter)}>
                <p class="muted folder-note">{t('startersNote')}</p>
              </Show>
            </section>
          )}
        </For>
      </Show>
    </main>
  );
}
