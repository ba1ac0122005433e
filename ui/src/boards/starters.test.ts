import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { allPanels, parseDashboard } from '../dashboard/model';
import { parseGroups } from '../query/status';
import { matching, metricNames, parseStarters, plain, ruleFilesText, standing, tally } from './starters';

const REPLY = {
  enabled: true,
  subjects: [
    {
      subject: 'redis',
      file: 'redis.yml',
      text: 'groups: []',
      groups: [
        {
          name: 'starter-redis',
          rules: [
            { name: 'RedisDown', query: 'redis_up == 0', duration: 60, labels: { severity: 'critical' }, annotations: { summary: 'does not answer' } },
            { name: 'RedisFull', query: 'redis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.9', duration: 300, labels: {}, annotations: {} },
          ],
        },
      ],
    },
  ],
};

test('metric names', () => {
  for (const [expr, names] of [
    ['up == 0 unless on (job) avg by (job) (up) == 0', ['up']],
    ['rate(a_total{x="b"}[5m]) / (c > 0) or {__name__="d",e="f"}', ['a_total', 'c', 'd']],
    ['vector(1)', []],
    ['(((', []],
  ] as const) expect(metricNames(expr), expr).toEqual(names);
});

test('what a rule can do here', () => {
  const { enabled, subjects } = parseStarters(REPLY);
  expect(enabled).toBe(true);
  const redis = subjects[0];
  const [down, full] = redis?.groups[0]?.rules ?? [];
  if (redis === undefined || down === undefined || full === undefined) throw new Error('two rules');
  const loaded = parseGroups({ groups: [{ name: 'starter-redis', rules: [{ name: 'RedisDown', state: 'firing' }] }, { name: 'other', rules: [{ name: 'RedisFull', state: 'inactive' }] }] });
  const around = { metrics: new Set(['redis_up', 'redis_memory_max_bytes']), loaded };
  expect(standing(down, 'starter-redis', around)).toEqual({ data: 'all', missing: [], state: 'firing' });
  expect(standing(full, 'starter-redis', around)).toEqual({ data: 'some', missing: ['redis_memory_used_bytes'], state: undefined });
  expect(standing(full, 'starter-redis', { metrics: new Set(), loaded: [] }).data).toBe('none');
  expect(tally(redis, around)).toEqual({ rules: 2, withData: 2, loaded: 1 });
  expect(matching(subjects, 'answer critical')[0]?.groups[0]?.rules.map((rule) => rule.name)).toEqual(['RedisDown']);
  expect(matching(subjects, 'nothing like it')).toEqual([]);
  expect(ruleFilesText(subjects)).toBe('rule_files: [redis.yml]');
  expect(parseStarters({ enabled: false })).toEqual({ enabled: false, subjects: [] });
});

test('templates as text', () => {
  expect(plain('{{ $labels.device }} of {{ $labels.instance }}: {{ $value | humanizePercentage }}')).toBe('‹device› of ‹instance›: ‹value›');
  expect(plain('{{ with $labels.a }}{{ . }} has {{ $value }}{{ else }}old{{ end }}.')).toBe('‹name› has ‹value›.');
});

test('the starters are drawn whole', () => {
  const folder = join(dirname(fileURLToPath(import.meta.url)), '../../../crates/dashboards/starters');
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  expect(files.length).toBe(4);
  for (const file of files) {
    const dashboard = parseDashboard(JSON.parse(readFileSync(join(folder, file), 'utf8')));
    const panels = allPanels(dashboard);
    expect(panels.length, file).toBeGreaterThan(20);
    const ids = dashboard.panels.flatMap((panel) => [panel, ...panel.panels]).map((panel) => panel.id);
    expect(new Set(ids).size, `${file}: ids`).toBe(ids.length);
    for (const panel of panels) {
      const where = `${file}: ${panel.title}`;
      expect(['timeseries', 'stat', 'gauge', 'bargauge', 'table'], where).toContain(panel.type);
      expect(panel.title !== '' && panel.description !== '' && panel.targets.length > 0, where).toBe(true);
      expect(new Set(panel.targets.map((target) => target.refId)).size, where).toBe(panel.targets.length);
      for (const target of panel.targets) expect(metricNames(target.expr.replace(/\$__(rate_)?interval/g, '5m')).length, `${where}: ${target.expr}`).toBeGreaterThan(0);
    }
    for (const list of [dashboard.panels, ...dashboard.panels.map((panel) => panel.panels)]) {
      list.forEach((a, index) =>
        list.slice(index + 1).forEach((b) => {
          const [p, q] = [a.gridPos, b.gridPos];
          const apart = p.x + p.w <= q.x || q.x + q.w <= p.x || p.y + p.h <= q.y || q.y + q.h <= p.y;
          expect(apart, `${file}: "${a.title}" overlaps "${b.title}"`).toBe(true);
        }),
      );
    }
  }
});
