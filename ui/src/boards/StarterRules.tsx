// The alert rules that come with the program: by subject, whether each could fire here, and how to use them.

import { createMemo, createSignal, For, Show, type JSX } from 'solid-js';
import { formatDuration } from '../core/duration';
import { PrometheusApi } from '../core/api';
import { Health } from '../query/Health';
import { parseGroups, type Rule } from '../query/status';
import { t, type Key } from '../i18n';
import { CopyButton } from '../shared/CopyButton';
import { load, every } from '../shared/load';
import { Empty, Failed, Loading } from '../shared/States';
import { fetchStarterRules } from './session';
import { matching, parseStarters, plain, ruleFilesText, standing, tally, type Standing, type Subject, type Surroundings } from './starters';

const api = new PrometheusApi('/api/datasources/proxy/uid/prometheus');

/** How long ago a metric may have been seen to count as there. */
const RECENT_S = 3600;

async function surroundings(signal: AbortSignal): Promise<Surroundings> {
  const now = Math.floor(Date.now() / 1000);
  const times: [string, string][] = [['start', String(now - RECENT_S)], ['end', String(now)]];
  const [metrics, rules] = await Promise.all([api.strings('label/__name__/values', times), api.get('rules', [], signal)]);
  return { metrics: new Set(metrics), loaded: parseGroups(rules) };
}

export function StarterRules(): JSX.Element {
  const starters = load(() => true, async (_, signal) => parseStarters(await fetchStarterRules(signal)));
  const around = load(() => true, (_, signal) => surroundings(signal));
  every(() => 30_000, around.reload);
  const [search, setSearch] = createSignal('');
  const subjects = (): Subject[] => starters.value()?.subjects ?? [];
  const shown = createMemo(() => matching(subjects(), search()));
  return (
    <main id="main" class="narrow">
      <div class="bar">
        <h1>{t('starterRules')}</h1>
        <input type="search" placeholder={t('searchAlerts')} aria-label={t('searchAlerts')} value={search()} onInput={(event) => setSearch(event.currentTarget.value)} />
      </div>
      <Show when={starters.error()}>
        <Failed message={starters.error()} retry={starters.reload} />
      </Show>
      <Show when={around.error()}>
        <div class="notice warn" role="status">
          {t('starterUnknown')} <span class="mono">{around.error()}</span>{' '}
          <button type="button" onClick={around.reload}>
            {t('retry')}
          </button>
        </div>
      </Show>
      <Show when={starters.value()} fallback={<Show when={!starters.error()}><Loading /></Show>}>
        {(value) => (
          <Show when={value().enabled} fallback={<Empty>{t('startersOff')}</Empty>}>
            <div class="notice">
              {t('starterHow')} <code>{ruleFilesText(subjects())}</code> <CopyButton text={ruleFilesText(subjects())} />
              <div class="muted">{t('starterHowRun')}</div>
            </div>
            <For each={shown()} fallback={<Empty>{t('noAlerts')}</Empty>}>
              {(subject) => <SubjectCard subject={subject} around={around.value()} />}
            </For>
          </Show>
        )}
      </Show>
    </main>
  );
}

const TITLES: Readonly<Record<string, Key>> = { host: 'subjectHost', postgresql: 'subjectPostgresql', redis: 'subjectRedis', vigie: 'subjectVigie' };

function SubjectCard(props: { subject: Subject; around: Surroundings | undefined }): JSX.Element {
  const title = (): string => {
    const key = TITLES[props.subject.name];
    return key === undefined ? props.subject.name : t(key);
  };
  return (
    <section class="card" data-starter={props.subject.name}>
      <header>
        <h2>{title()}</h2>
        <Show when={props.around}>
          {(around) => {
            const count = createMemo(() => tally(props.subject, around()));
            return <span class="muted">{t('starterTally', { n: count().rules, data: count().withData, loaded: count().loaded })}</span>;
          }}
        </Show>
        <span class="spacer" />
        <a class="button" href={`/api/vigie/starter-rules/${props.subject.file}`} download={props.subject.file}>
          {t('download')} {props.subject.file}
        </a>
        <CopyButton text={props.subject.text} what={props.subject.file} />
      </header>
      <For each={props.subject.groups}>
        {(group) => (
          <For each={group.rules}>
            {(rule) => <RuleEntry rule={rule} standing={props.around === undefined ? undefined : standing(rule, group.name, props.around)} />}
          </For>
        )}
      </For>
      <details class="rule">
        <summary class="muted">{t('wholeFile', { file: props.subject.file })}</summary>
        <pre class="file" tabindex="0">{props.subject.text}</pre>
      </details>
    </section>
  );
}

const DATA = { all: ['starterHasData', 'ok'], some: ['starterSomeData', 'pending'], none: ['starterNoData', ''] } as const;

function RuleEntry(props: { rule: Rule; standing: Standing | undefined }): JSX.Element {
  const severity = (): string => props.rule.labels['severity'] ?? '';
  const text = (name: string): string => props.rule.annotations[name] ?? '';
  return (
    <details class="rule" data-rule={props.rule.name} data-data={props.standing?.data}>
      <summary>
        <span class="rule-name">{props.rule.name}</span>
        <span class={`pill severity-${severity()}`}>{severity()}</span>
        <Show when={props.standing}>
          {(now) => (
            <>
              <span class={`pill ${DATA[now().data][1]}`} title={now().missing.join(', ')}>
                {t(DATA[now().data][0])}
              </span>
              <Show when={now().state} fallback={<span class="pill">{t('notLoaded')}</span>}>
                {(state) => <Health state={state()} />}
              </Show>
            </>
          )}
        </Show>
        <span class="muted rule-summary">{plain(text('summary'))}</span>
      </summary>
      <div class="rule-body">
        <pre class="file">{props.rule.query}</pre>
        <dl class="pairs">
          <dt>{t('fires')}</dt>
          <dd>{props.rule.forS > 0 ? t('forDuration', { n: formatDuration(props.rule.forS * 1000) }) : t('atOnce')}</dd>
          <dt>{t('means')}</dt>
          <dd>{plain(text('description'))}</dd>
          <dt>{t('action')}</dt>
          <dd>{plain(text('action'))}</dd>
          <Show when={(props.standing?.missing ?? []).length > 0}>
            <dt>{t('missingMetrics')}</dt>
            <dd class="mono">{props.standing?.missing.join(', ')}</dd>
          </Show>
        </dl>
      </div>
    </details>
  );
}
