// Alerting rules with their active alerts, and all rules with their health.

import { createMemo, createSignal, For, Show, type JSX } from 'solid-js';
import { formatDuration } from '../core/duration';
import { t } from '../i18n';
import { Empty } from '../shared/States';
import { Age, ExprLink, Fetched, Health, LabelList, poll, seconds, StateFilter } from './parts';
import { found, labelText, parseGroups, type Rule, type RuleGroup } from './status';

const ORDER = ['firing', 'pending', 'inactive', 'unknown'];

export function Alerts(): JSX.Element {
  const groups = poll('rules', parseGroups);
  const [search, setSearch] = createSignal('');
  const [off, setOff] = createSignal<ReadonlySet<string>>(new Set());
  const alerting = createMemo(() => (groups.value() ?? []).flatMap((group) => group.rules.filter((rule) => rule.kind === 'alerting').map((rule) => ({ group, rule }))));
  const shown = createMemo(() =>
    alerting()
      .filter(({ rule }) => !off().has(rule.state) && found(search(), rule.name, labelText(rule.labels), ...rule.alerts.map((alert) => labelText(alert.labels))))
      .sort((a, b) => ORDER.indexOf(a.rule.state) - ORDER.indexOf(b.rule.state)),
  );
  return (
    <main id="main" class="narrow">
      <div class="bar">
        <h1>{t('alerts')}</h1>
        <StateFilter states={['firing', 'pending', 'inactive']} off={off()} onChange={setOff} counts={(state) => alerting().filter(({ rule }) => rule.state === state).length} />
        <input type="search" placeholder={t('searchAlerts')} aria-label={t('searchAlerts')} value={search()} onInput={(event) => setSearch(event.currentTarget.value)} />
      </div>
      <Fetched from={groups}>
        {() => <For each={shown()} fallback={<Empty>{t(alerting().length === 0 ? 'noRules' : 'noAlerts')}</Empty>}>{({ group, rule }) => <AlertCard group={group} rule={rule} />}</For>}
      </Fetched>
    </main>
  );
}

function AlertCard(props: { group: RuleGroup; rule: Rule }): JSX.Element {
  return (
    <section class="card" data-alert={props.rule.name} data-state={props.rule.state}>
      <header>
        <Health state={props.rule.state} />
        <h2>{props.rule.name}</h2>
        <Show when={props.rule.alerts.length > 0}>
          <span class="muted">{props.rule.alerts.length}</span>
        </Show>
        <span class="spacer" />
        <span class="muted">
          {props.group.file} › {props.group.name}
        </span>
      </header>
      <div class="body">
        <div>
          <ExprLink expr={props.rule.query} tab="graph" /> <Show when={props.rule.forS > 0}>{t('forDuration', { n: formatDuration(props.rule.forS * 1000) })}</Show>
        </div>
        <LabelList labels={props.rule.labels} />
        <Annotations texts={props.rule.annotations} />
        <Show when={props.rule.lastError}>
          <div class="bad-text mono">{props.rule.lastError}</div>
        </Show>
      </div>
      <Show when={props.rule.alerts.length > 0}>
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th>{t('labels')}</th>
                <th>{t('state')}</th>
                <th>{t('activeSince')}</th>
                <th class="number">{t('value')}</th>
              </tr>
            </thead>
            <tbody>
              <For each={props.rule.alerts}>
                {(alert) => (
                  <tr>
                    <td>
                      <LabelList labels={alert.labels} />
                      <Annotations texts={alert.annotations} />
                    </td>
                    <td>
                      <Health state={alert.state} />
                    </td>
                    <td>
                      <Age time={alert.activeAt} />
                    </td>
                    <td class="number mono">{alert.value}</td>
                  </tr>
                )}
              </For>
            </tbody>
          </table>
        </div>
      </Show>
    </section>
  );
}

function Annotations(props: { texts: { readonly [name: string]: string } }): JSX.Element {
  return (
    <For each={Object.entries(props.texts)}>
      {([name, text]) => (
        <div>
          <span class="muted">{name}:</span> {text}
        </div>
      )}
    </For>
  );
}

export function Rules(): JSX.Element {
  const groups = poll('rules', parseGroups);
  const [search, setSearch] = createSignal('');
  const shown = createMemo(() =>
    (groups.value() ?? [])
      .map((group) => ({ ...group, rules: group.rules.filter((rule) => found(search(), group.name, rule.name, rule.query, labelText(rule.labels))) }))
      .filter((group) => group.rules.length > 0),
  );
  return (
    <main id="main" class="narrow">
      <div class="bar">
        <h1>{t('rules')}</h1>
        <input type="search" placeholder={t('search')} aria-label={t('search')} value={search()} onInput={(event) => setSearch(event.currentTarget.value)} />
      </div>
      <Fetched from={groups}>
        {() => (
          <For each={shown()} fallback={<Empty>{t((groups.value() ?? []).length === 0 ? 'noRules' : 'noAlerts')}</Empty>}>
            {(group) => (
              <section class="card">
                <header>
                  <h2>{group.name}</h2>
                  <span class="muted">{group.file}</span>
                  <span class="spacer" />
                  <span class="muted">
                    {t('interval')} {formatDuration(group.intervalS * 1000)} · {t('lastEvaluation')} <Age time={group.lastEvaluation} /> · {t('evaluation')} {seconds(group.evaluationS)}
                  </span>
                </header>
                <div class="scroll">
                  <table>
                    <thead>
                      <tr>
                        <th>{t('name')}</th>
                        <th>{t('query')}</th>
                        <th>{t('health')}</th>
                        <th class="number">{t('evaluation')}</th>
                      </tr>
                    </thead>
                    <tbody>
                      <For each={group.rules}>
                        {(rule) => (
                          <tr>
                            <td>
                              {rule.name}
                              <div class="muted">{t(rule.kind === 'recording' ? 'recordingRule' : 'alertingRule')}</div>
                            </td>
                            <td>
                              <ExprLink expr={rule.query} /> <Show when={rule.forS > 0}><span class="muted">{t('forDuration', { n: formatDuration(rule.forS * 1000) })}</span></Show>
                              <LabelList labels={rule.labels} />
                              <Show when={rule.lastError}>
                                <div class="bad-text mono">{rule.lastError}</div>
                              </Show>
                            </td>
                            <td>
                              <span class={`pill ${rule.health}`}>{rule.health}</span>
                            </td>
                            <td class="number">{seconds(rule.evaluationS)}</td>
                          </tr>
                        )}
                      </For>
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
