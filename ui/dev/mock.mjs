// A server with made-up data for working on the pages: both applications from ui/dist, and the APIs they call.
//   npm run build && npm run dev:mock          (PROMETHEUS_PORT, DASHBOARDS_PORT, DASHBOARDS_DIR by environment)
// Sign in with admin / admin; the first sign-in asks for a new password. Nothing here is PromQL: a query's metric
// names and grouping decide how many series come back, and their values are smooth noise.
import { createServer } from 'node:http';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

const dist = new URL('../dist/', import.meta.url).pathname;
const METRICS = {
  up: [{ job: 'scraper', instance: 'localhost:8000' }, { job: 'node', instance: 'localhost:9100' }, { job: 'redis', instance: 'localhost:9121' }],
  listings_scraped_total: ['paris', 'lyon', 'lille', 'nantes'].map((city) => ({ job: 'scraper', instance: 'localhost:8000', city })),
  errors_total: ['timeout', 'parse', 'http_429'].map((type) => ({ job: 'scraper', instance: 'localhost:8000', type })),
  http_requests_total: ['200', '404', '500'].flatMap((status) => ['/search', '/listing'].map((path) => ({ job: 'scraper', instance: 'localhost:8000', status, path }))),
  request_duration_seconds: [{ job: 'scraper', instance: 'localhost:8000' }],
  node_memory_free_bytes: [{ job: 'node', instance: 'localhost:9100' }],
  node_cpu_seconds_total: ['0', '1'].flatMap((cpu) => ['idle', 'user', 'system', 'iowait'].map((mode) => ({ job: 'node', instance: 'localhost:9100', cpu, mode }))),
};
const SCALE = { node_memory_free_bytes: 3e9, request_duration_seconds: 0.4, up: 0 };

function hash(text) {
  let h = 7;
  for (const c of text) h = (h * 31 + c.charCodeAt(0)) | 0;
  return Math.abs(h);
}

function value(name, labels, t, expr) {
  const seed = hash(name + JSON.stringify(labels)) % 1000;
  if (name === 'up') return labels.job === 'redis' ? 0 : 1;
  const scale = SCALE[name] ?? 5 + (seed % 40);
  const wave = 1 + 0.5 * Math.sin(t / 900 + seed) + 0.2 * Math.sin(t / 130 + seed * 3) + 0.1 * Math.sin(t / 31 + seed);
  return name.endsWith('_total') && !/rate|increase/.test(expr) ? Math.floor((t % 1e6) * (scale / 40)) + seed : scale * wave;
}

/** The series of an expression: [labels, t => value]. */
function evaluate(expr) {
  const number = /^\s*\(?\s*(-?[\d.]+)\s*\)?\s*$/.exec(expr);
  if (number) return { scalar: true, series: [[{}, () => Number(number[1])]] };
  const names = [...new Set(Object.keys(METRICS).filter((name) => new RegExp(`(^|[^a-z_])${name}([^a-z_]|$)`).test(expr)))];
  if (names.length === 0) return { series: [] };
  const binary = names.length > 1 && / [-+*/] /.test(expr) && !/\b(sum|on|ignoring)\b/.test(expr);
  if (binary) return { series: [] };
  const name = names[0];
  const matchers = [...(/\{([^}]*)\}/.exec(expr)?.[1] ?? '').matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)];
  const kept = METRICS[name].filter((labels) => matchers.every(([, label, op, want]) => {
    const have = labels[label] ?? '';
    const regex = new RegExp(`^(?:${want.replace(/\\\\/g, '\\')})$`);
    return op === '=' ? have === want : op === '!=' ? have !== want : op === '=~' ? regex.test(have) : !regex.test(have);
  }));
  const by = /\bby\s*\(([^)]*)\)/.exec(expr)?.[1].split(',').map((l) => l.trim()).filter(Boolean);
  const aggregated = /\b(sum|avg|min|max|count|histogram_quantile)\b/.test(expr);
  if (!aggregated) {
    const bare = !/[(*\/+-]/.test(expr);
    return { series: kept.map((labels) => [bare ? { __name__: name, ...labels } : labels, (t) => value(name, labels, t, expr)]) };
  }
  const groups = new Map();
  for (const labels of kept) {
    const key = Object.fromEntries((by ?? []).filter((l) => l in labels).map((l) => [l, labels[l]]));
    const text = JSON.stringify(key);
    groups.set(text, [...(groups.get(text) ?? []), labels]);
  }
  return { series: [...groups].map(([key, list]) => [JSON.parse(key), (t) => list.reduce((sum, labels) => sum + value(name, labels, t, expr), 0)]) };
}

function prometheus(path, params) {
  const ok = (data, extra = {}) => [200, { status: 'success', data, ...extra }];
  const now = Date.now() / 1000;
  const iso = (ago) => new Date(Date.now() - ago * 1000).toISOString();
  if (path === 'query' || path === 'query_range') {
    const expr = params.get('query') ?? '';
    if (/\($|\{$|^\)/.test(expr.trim())) return [400, { status: 'error', errorType: 'bad_data', error: 'invalid parameter "query": 1:1: parse error: unclosed left parenthesis' }];
    const { scalar, series } = evaluate(expr);
    const extra = /rate\(\w+_bytes/.test(expr) ? { infos: ['PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "node_memory_free_bytes" (1:6)'] } : {};
    if (path === 'query') {
      const t = Number(params.get('time') ?? now);
      if (scalar) return ok({ resultType: 'scalar', result: [t, String(series[0][1](t))] });
      return ok({ resultType: 'vector', result: series.map(([metric, f]) => ({ metric, value: [t, String(f(t))] })) }, extra);
    }
    const [start, end, step] = ['start', 'end', 'step'].map((n) => Number(params.get(n)));
    const values = (f) => Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, i) => [start + i * step, String(f(start + i * step))]);
    return ok({ resultType: 'matrix', result: series.map(([metric, f]) => ({ metric, values: values(f) })) }, extra);
  }
  if (path === 'labels') return ok([...new Set(Object.values(METRICS).flat().flatMap((l) => Object.keys(l)))].concat('__name__').sort());
  const label = /^label\/(.+)\/values$/.exec(path);
  if (label) {
    const wanted = params.get('match[]') ?? '';
    const matched = Object.keys(METRICS).filter((name) => wanted === '' || wanted.includes(`"${name}"`) || wanted.startsWith(name));
    if (label[1] === '__name__') return ok(matched.filter((name) => !/,/.test(wanted) || evaluate(`${name}{${wanted.slice(wanted.indexOf(',') + 1)}`).series.length > 0));
    return ok([...new Set(matched.flatMap((name) => METRICS[name].map((l) => l[label[1]])).filter(Boolean))].sort());
  }
  if (path === 'series') return ok(Object.entries(METRICS).flatMap(([name, list]) => list.map((l) => ({ __name__: name, ...l }))));
  if (path === 'metadata') return ok(Object.fromEntries(Object.keys(METRICS).map((n) => [n, [{ type: n.endsWith('_total') ? 'counter' : 'gauge', help: `Made-up ${n}.`, unit: '' }]])));
  if (path === 'targets') {
    const target = (job, port, health, lastError) => ({
      discoveredLabels: { __address__: `localhost:${port}`, __metrics_path__: '/metrics', __scheme__: 'http', job }, labels: { instance: `localhost:${port}`, job }, scrapePool: job,
      scrapeUrl: `http://localhost:${port}/metrics`, globalUrl: `http://host:${port}/metrics`, lastError, lastScrape: iso(4), lastScrapeDuration: 0.0043, health, scrapeInterval: '15s', scrapeTimeout: '10s',
    });
    return ok({ activeTargets: [target('scraper', 8000, 'up', ''), target('node', 9100, 'up', ''), target('redis', 9121, 'down', 'Get "http://localhost:9121/metrics": dial tcp 127.0.0.1:9121: connect: connection refused')], droppedTargets: [], droppedTargetCounts: {} });
  }
  const alert = { labels: { alertname: 'ScraperErrors', severity: 'critical', job: 'scraper' }, annotations: { summary: 'Too many errors while scraping', description: '12% of the pages fail.' }, state: 'firing', activeAt: iso(900), value: '1.2e-01' };
  const pending = { labels: { alertname: 'TargetDown', severity: 'warning', instance: 'localhost:9121' }, annotations: { summary: 'localhost:9121 is down' }, state: 'pending', activeAt: iso(30), value: '0e+00' };
  if (path === 'alerts') return ok({ alerts: [alert, pending] });
  if (path === 'rules') {
    const rule = (name, query, state, alerts) => ({ state, name, query, duration: 300, keepFiringFor: 0, labels: { severity: 'critical' }, annotations: { summary: 'What {{ $labels.job }} does' }, alerts, health: 'ok', evaluationTime: 0.0004, lastEvaluation: iso(9), type: 'alerting' });
    return ok({ groups: [
      { name: 'scraper', file: 'alerts.yml', interval: 15, limit: 0, evaluationTime: 0.0012, lastEvaluation: iso(9), rules: [
        rule('ScraperErrors', 'sum(rate(errors_total[5m])) / sum(rate(listings_scraped_total[5m])) > 0.1', 'firing', [alert]), rule('TargetDown', 'up == 0', 'pending', [pending]), rule('NoListings', 'sum(rate(listings_scraped_total[15m])) == 0', 'inactive', []),
        { name: 'job:errors:rate5m', query: 'sum by (job) (rate(errors_total[5m]))', labels: {}, health: 'err', lastError: 'vector contains metrics with the same labelset after applying rule labels', evaluationTime: 0.0002, lastEvaluation: iso(9), type: 'recording' }] }] });
  }
  if (path === 'alertmanagers') return ok({ activeAlertmanagers: [{ url: 'http://localhost:9093/api/v2/alerts' }], droppedAlertmanagers: [] });
  if (path === 'status/config') return ok({ yaml: 'global:\n  scrape_interval: 15s\n  evaluation_interval: 15s\nrule_files:\n- alerts.yml\nscrape_configs:\n- job_name: scraper\n  static_configs:\n  - targets:\n    - localhost:8000\n' });
  if (path === 'status/flags') return ok({ 'config.file': 'prometheus.yml', 'storage.tsdb.path': 'data/', 'storage.tsdb.retention.time': '15d', 'web.listen-address': '127.0.0.1:9090' });
  if (path === 'status/runtimeinfo') return ok({ startTime: iso(5000), CWD: '/srv', hostname: 'host', serverTime: iso(0), reloadConfigSuccess: true, lastConfigTime: iso(5000), corruptionCount: 0, goroutineCount: 12, GOMAXPROCS: 2, GOMEMLIMIT: 0, GOGC: '', GODEBUG: '', storageRetention: '15d' });
  if (path === 'status/buildinfo') return ok({ version: '3.14.0', revision: 'abc', branch: 'main', buildUser: '', buildDate: '20260101', goVersion: '' });
  const top = (names) => names.map((name, i) => ({ name, value: 1000 >> i }));
  if (path === 'status/tsdb') return ok({ headStats: { numSeries: 1234, numLabelPairs: 321, chunkCount: 2468, minTime: (now - 7200) * 1000, maxTime: now * 1000 }, seriesCountByMetricName: top(Object.keys(METRICS)), labelValueCountByLabelName: top(['__name__', 'path', 'status']), memoryInBytesByLabelName: top(['__name__', 'path']), seriesCountByLabelValuePair: top(['job=scraper', 'job=node']) });
  return [404, { status: 'error', errorType: 'not_found', error: 'not found' }];
}

const ds = { type: 'prometheus', uid: 'vigie' };
const fieldConfig = (unit, custom = {}, more = {}) => ({ defaults: { unit, custom, color: { mode: 'palette-classic' }, ...more }, overrides: [] });
const target = (expr, legendFormat, more = {}) => ({ refId: 'A', expr, legendFormat, datasource: ds, ...more });
const table = { legend: { showLegend: true, displayMode: 'table', placement: 'right', calcs: ['mean', 'max', 'lastNotNull'] }, tooltip: { mode: 'multi', sort: 'desc' } };
const thresholds = { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 30, color: 'orange' }, { value: 60, color: 'red' }] };
const BOARDS = {
  overview: {
    uid: 'overview', title: 'Real estate scraper', tags: ['scraper'], schemaVersion: 39, graphTooltip: 1, time: { from: 'now-1h', to: 'now' }, refresh: '30s',
    templating: { list: [
      { name: 'city', label: 'City', type: 'query', query: 'label_values(listings_scraped_total, city)', refresh: 1, multi: true, includeAll: true, current: { value: ['$__all'] }, sort: 1 },
      { name: 'window', type: 'interval', query: '1m,5m,15m', auto: true, auto_count: 30, current: { value: '5m' } }] },
    panels: [
      { id: 1, type: 'stat', title: 'Listings per second', gridPos: { x: 0, y: 0, w: 6, h: 4 }, targets: [target('sum(rate(listings_scraped_total{city=~"$city"}[$window]))')], fieldConfig: fieldConfig('short', {}, { thresholds, color: { mode: 'thresholds' } }), options: { colorMode: 'value', graphMode: 'area', reduceOptions: { calcs: ['lastNotNull'] } } },
      { id: 2, type: 'stat', title: 'Targets', gridPos: { x: 6, y: 0, w: 6, h: 4 }, targets: [target('up', '{{job}}', { instant: true })], fieldConfig: { defaults: { mappings: [{ type: 'value', options: { 0: { text: 'DOWN', color: 'red' }, 1: { text: 'UP', color: 'green' } } }] }, overrides: [] }, options: { colorMode: 'background', graphMode: 'none', textMode: 'auto' } },
      { id: 3, type: 'gauge', title: 'Free memory', gridPos: { x: 12, y: 0, w: 6, h: 4 }, targets: [target('node_memory_free_bytes', 'free')], fieldConfig: { defaults: { unit: 'bytes', min: 0, max: 6e9, thresholds: { mode: 'percentage', steps: [{ value: null, color: 'red' }, { value: 20, color: 'orange' }, { value: 40, color: 'green' }] } }, overrides: [] }, options: { showThresholdMarkers: true } },
      { id: 4, type: 'bargauge', title: 'Errors by type', gridPos: { x: 18, y: 0, w: 6, h: 4 }, targets: [target('sum by (type) (rate(errors_total[5m]))', '{{type}}')], fieldConfig: { defaults: { unit: 'reqps', thresholds }, overrides: [] }, options: { displayMode: 'gradient' } },
      { id: 5, type: 'timeseries', title: 'Listings by city ($city)', description: 'How many listings were read.', gridPos: { x: 0, y: 4, w: 12, h: 9 }, targets: [target('sum by (city) (rate(listings_scraped_total{city=~"$city"}[$__rate_interval]))', '{{city}}')], fieldConfig: fieldConfig('reqps', { fillOpacity: 15, lineWidth: 2, gradientMode: 'opacity' }), options: table },
      { id: 6, type: 'timeseries', title: 'Requests, stacked', gridPos: { x: 12, y: 4, w: 12, h: 9 }, targets: [target('sum by (status) (rate(http_requests_total[5m]))', 'HTTP {{status}}')], fieldConfig: { defaults: { unit: 'reqps', custom: { fillOpacity: 40, stacking: { mode: 'normal' } } }, overrides: [{ matcher: { id: 'byName', options: 'HTTP 500' }, properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: 'red' } }] }] }, options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } } },
      { id: 7, type: 'row', title: 'Details', gridPos: { x: 0, y: 13, w: 24, h: 1 }, collapsed: false, panels: [] },
      { id: 8, type: 'timeseries', title: 'CPU bars and memory', gridPos: { x: 0, y: 14, w: 8, h: 8 }, targets: [target('sum by (mode) (rate(node_cpu_seconds_total{mode="user"}[5m]))', 'cpu {{mode}}'), target('node_memory_free_bytes', 'free', { refId: 'B' })], fieldConfig: { defaults: { unit: 'percent', custom: { drawStyle: 'bars', fillOpacity: 60 } }, overrides: [{ matcher: { id: 'byFrameRefID', options: 'B' }, properties: [{ id: 'unit', value: 'bytes' }, { id: 'custom.drawStyle', value: 'line' }] }] }, options: {} },
      { id: 9, type: 'table', title: 'Requests', gridPos: { x: 8, y: 14, w: 8, h: 8 }, targets: [target('sum by (path, status) (rate(http_requests_total[5m]))', '', { format: 'table', instant: true })], fieldConfig: { defaults: { unit: 'reqps' }, overrides: [{ matcher: { id: 'byName', options: 'Value' }, properties: [{ id: 'custom.cellOptions', value: { type: 'gauge' } }, { id: 'thresholds', value: thresholds }] }] }, transformations: [{ id: 'organize', options: { excludeByName: { Time: true }, renameByName: { path: 'Path', status: 'Status' } } }], options: {} },
      { id: 10, type: 'timeseries', title: 'Success ratio (never matches)', gridPos: { x: 16, y: 14, w: 8, h: 8 }, targets: [target('(listings_scraped_total - errors_total) / listings_scraped_total')], fieldConfig: fieldConfig('percentunit'), options: {} },
      { id: 11, type: 'text', title: '', gridPos: { x: 0, y: 22, w: 8, h: 6 }, options: { mode: 'markdown', content: '## About\nThis board watches **$city**.\n\n- [Query page](http://localhost:9090)\n- `up`\n\n| a | b |\n|---|---|\n| 1 | 2 |' } },
      { id: 12, type: 'piechart', title: 'Pie', gridPos: { x: 8, y: 22, w: 8, h: 6 }, targets: [target('sum by (city) (listings_scraped_total)')], options: {} },
      { id: 13, type: 'timeseries', title: 'CPU $core', repeat: 'city', gridPos: { x: 0, y: 28, w: 24, h: 6 }, targets: [target('rate(listings_scraped_total{city="$city"}[5m])', '$city')], fieldConfig: fieldConfig('short', { lineInterpolation: 'stepAfter', thresholdsStyle: { mode: 'line+area' } }, { thresholds }), options: {} }],
  },
};
for (const [folder] of [[process.env.DASHBOARDS_DIR]]) {
  if (!folder) continue;
  for (const name of readdirSync(folder).filter((n) => n.endsWith('.json'))) {
    const board = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    const model = board.dashboard ?? board;
    BOARDS[model.uid || name.replace('.json', '')] = model;
  }
}

let password = 'admin';
let mustChange = process.env.MUST_CHANGE !== '0';
let signedIn = false;

function grafana(method, path, params, body) {
  const dbs = Object.entries(BOARDS).map(([uid, board]) => ({ uid, title: board.title, url: `/d/${uid}/x`, type: 'dash-db', tags: board.tags ?? [], folderTitle: uid === 'overview' ? 'Application' : '' }));
  if (path === '/login' && method === 'POST') {
    if (body.user !== 'admin' || body.password !== password) return [401, { message: 'Invalid username or password' }];
    signedIn = true;
    return [200, { message: 'Logged in', mustChangePassword: mustChange }];
  }
  if (path === '/logout') {
    signedIn = false;
    return [302, {}];
  }
  if (!signedIn) return [401, { message: 'Unauthorized' }];
  if (path === '/api/user') return [200, { id: 1, login: 'admin', name: 'Admin', orgRole: 'Admin', mustChangePassword: mustChange }];
  if (path === '/api/user/password') {
    if (body.oldPassword !== password) return [401, { message: 'invalid old password' }];
    password = body.newPassword;
    mustChange = false;
    return [200, { message: 'User password changed' }];
  }
  if (path === '/api/frontend/settings') return [200, { buildInfo: { version: '0.1.0' } }];
  if (path === '/api/search') return [200, dbs];
  const uid = /^\/api\/dashboards\/uid\/(.+)$/.exec(path)?.[1];
  if (uid) return BOARDS[decodeURIComponent(uid)] ? [200, { meta: {}, dashboard: BOARDS[decodeURIComponent(uid)] }] : [404, { message: 'Dashboard not found' }];
  const proxied = /^\/api\/datasources\/proxy\/uid\/[^/]+\/api\/v1\/(.+)$/.exec(path)?.[1];
  if (proxied) return prometheus(proxied, params);
  return [404, { message: 'Not found' }];
}

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const CSP = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

function serve(app, api) {
  return createServer(async (request, response) => {
    const url = new URL(request.url, 'http://x');
    let text = '';
    for await (const chunk of request) text += chunk;
    const isForm = (request.headers['content-type'] ?? '').includes('form');
    const params = new URLSearchParams([...url.searchParams, ...(isForm ? new URLSearchParams(text) : [])]);
    const answer = api(request.method, url.pathname, params, isForm || text === '' ? {} : JSON.parse(text));
    if (answer) {
      response.writeHead(answer[0], { 'Content-Type': 'application/json', ...(answer[0] === 302 ? { Location: '/login' } : {}) });
      return response.end(JSON.stringify(answer[1]));
    }
    const path = join(dist, app, url.pathname);
    const file = extname(path) && existsSync(path) ? path : join(dist, app, 'index.html');
    response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP, 'Cache-Control': 'no-cache' });
    response.end(readFileSync(file));
  });
}

const prom = serve('prometheus', (_, path, params) => (path.startsWith('/api/v1/') ? prometheus(path.slice(8), params) : undefined));
const boards = serve('dashboards', (method, path, params, body) => (path.startsWith('/api/') || path === '/logout' || (path === '/login' && method === 'POST') ? grafana(method, path, params, body) : undefined));
prom.listen(Number(process.env.PROMETHEUS_PORT ?? 9090), '127.0.0.1', () => console.log(`query pages on http://127.0.0.1:${prom.address().port}`));
boards.listen(Number(process.env.DASHBOARDS_PORT ?? 3000), '127.0.0.1', () => console.log(`dashboards on http://127.0.0.1:${boards.address().port}`));
