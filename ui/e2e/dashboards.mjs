// Opens everything in a real browser against a running program, and fails naming what is not drawn.
//
//   VIGIE_PROMETHEUS_URL   e.g. http://127.0.0.1:9090 (its pages are skipped when unset)
//   VIGIE_DASHBOARDS_URL   e.g. http://127.0.0.1:3000 (skipped when unset)
//   VIGIE_USER, VIGIE_PASSWORD   default admin / admin
//   VIGIE_NEW_PASSWORD     given when the server asks for a change; default "vigie-e2e-password"
//   VIGIE_SCREENSHOTS      folder for pictures (none when unset)
//   VIGIE_CHROMIUM         default /usr/bin/chromium
//   VIGIE_TIMEOUT_MS       how long a dashboard may take to draw; default 20000
//   VIGIE_ALLOW_EMPTY      titles of panels that may be empty, separated by "|"
//   VIGIE_QUERY            expression for the query page; default "up"
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const env = process.env;
const prometheus = env.VIGIE_PROMETHEUS_URL?.replace(/\/$/, '');
const dashboards = env.VIGIE_DASHBOARDS_URL?.replace(/\/$/, '');
const user = env.VIGIE_USER ?? 'admin';
const password = env.VIGIE_PASSWORD ?? 'admin';
const newPassword = env.VIGIE_NEW_PASSWORD ?? 'vigie-e2e-password';
const timeout = Number(env.VIGIE_TIMEOUT_MS ?? 20_000);
const allowed = new Set((env.VIGIE_ALLOW_EMPTY ?? '').split('|').filter(Boolean));
const shots = env.VIGIE_SCREENSHOTS;
if (shots) mkdirSync(shots, { recursive: true });
if (!prometheus && !dashboards) throw new Error('neither VIGIE_PROMETHEUS_URL nor VIGIE_DASHBOARDS_URL is set');

const failures = [];
const fail = (text) => {
  failures.push(text);
  console.log(`FAIL ${text}`);
};

const browser = await chromium.launch({
  executablePath: env.VIGIE_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

async function pageOf(colorScheme) {
  const context = await browser.newContext({ viewport: { width: 1500, height: 1100 }, colorScheme, locale: 'en-US' });
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  page.on('pageerror', (error) => fail(`script error on ${page.url()}: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && /Content Security Policy|Refused to/.test(message.text())) fail(`refused by the security policy: ${message.text()}`);
  });
  return page;
}

async function picture(page, name) {
  if (shots) await page.screenshot({ path: join(shots, `${name.replace(/[^\w-]+/g, '_')}.png`), fullPage: true });
}

async function queryPages(theme) {
  const page = await pageOf(theme);
  const expr = env.VIGIE_QUERY ?? 'up';
  const encoded = encodeURIComponent(expr);
  await page.goto(`${prometheus}/graph?g0.expr=${encoded}&g0.tab=1`);
  await page.waitForSelector('table[data-rows] tbody tr').catch(() => fail(`query page: no rows for ${expr}`));
  if (!page.url().includes('/query?')) fail(`/graph did not lead to /query but to ${page.url()}`);
  await page.waitForSelector('.cm-editor').catch(() => fail('query page: the editor did not load'));
  await picture(page, `query-table-${theme}`);
  await page.getByRole('tab').nth(1).click();
  await page.waitForSelector('canvas[data-series-count]:not([data-series-count="0"])').catch(() => fail(`query page: no graph for ${expr}`));
  await picture(page, `query-graph-${theme}`);
  for (const [path, selector, what] of [
    ['/targets', '[data-pool] tr[data-health]', 'a target'],
    ['/alerts', '[data-alert], .state', 'an alert'],
    ['/rules', '.card, .state', 'rules'],
    ['/status', 'dl.pairs dd', 'runtime information'],
    ['/config', 'pre.file', 'the configuration'],
    ['/flags', 'tbody tr', 'flags'],
    ['/tsdb-status', 'dl.pairs dd', 'storage figures'],
  ]) {
    await page.goto(prometheus + path);
    await page.waitForSelector(selector).catch(() => fail(`${path} does not show ${what}`));
    for (const text of await page.locator('.notice.bad').allInnerTexts()) fail(`${path}: ${text.replace(/\s+/g, ' ')}`);
    await picture(page, `${path.slice(1)}-${theme}`);
  }
  await page.context().close();
}

async function signIn(page) {
  await page.goto(`${dashboards}/`);
  await page.waitForSelector('input[name=user], [data-dashboard], .state:not([role=status]), input[name=newPassword]');
  // A second run meets the password of the first.
  for (const attempt of [password, newPassword]) {
    if ((await page.locator('input[name=user]').count()) === 0) break;
    await page.fill('input[name=user]', user);
    await page.fill('input[name=password]', attempt);
    await page.click('button[type=submit]');
    await page.waitForSelector('[data-dashboard], input[name=newPassword], .notice.bad, .state:not([role=status])');
    if ((await page.locator('.notice.bad').count()) === 0) break;
  }
  if ((await page.locator('input[name=newPassword]').count()) > 0) {
    await page.fill('input[name=newPassword]', newPassword);
    await page.fill('input[name=confirmNew]', newPassword);
    await page.click('button[type=submit]');
  }
  await page.waitForSelector('[data-dashboard]').catch(() => undefined);
}

/** Scrolls through the page, so that panels far below load too, until all are drawn or time is up. */
async function waitForPanels(page) {
  const end = Date.now() + timeout;
  for (;;) {
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    for (let y = 0; y < height; y += 800) {
      await page.evaluate((top) => scrollTo(0, top), y);
      await page.waitForTimeout(60);
    }
    const panels = await page.locator('.panel[data-state]').evaluateAll((nodes) =>
      nodes.map((node) => ({
        title: node.dataset.panelTitle,
        type: node.dataset.panelType,
        state: node.dataset.state,
        series: Number(node.dataset.seriesCount ?? 'NaN'),
        canvas: Number(node.querySelector('canvas')?.dataset.seriesCount ?? 'NaN'),
        explained: node.querySelector('[data-empty-explained]')?.dataset.emptyExplained,
        unknown: node.querySelector('[data-panel-unknown]') !== null,
        error: node.querySelector('.notice.bad')?.textContent ?? '',
      })),
    );
    const drawn = (panel) =>
      panel.type === 'text' || (panel.state === 'ready' && panel.series > 0 && (panel.type !== 'timeseries' || panel.canvas > 0)) || panel.explained !== undefined || allowed.has(panel.title);
    const missing = panels.filter((panel) => !drawn(panel));
    if (missing.every((panel) => panel.unknown || panel.error) || Date.now() > end) return { panels, missing };
    await page.waitForTimeout(300);
  }
}

/** The alert rules that came with the program; nothing where they are switched off. */
async function starterRules(page, theme) {
  const link = page.locator('header a[href="/starter-rules"]');
  if ((await link.count()) === 0) return;
  await link.click();
  await page.waitForSelector('[data-starter]').catch(() => fail('starter rules: no subject is listed'));
  await page.waitForSelector('[data-rule][data-data]').catch(() => fail('starter rules: nothing says which have data'));
  const rules = page.locator('[data-rule]');
  console.log(`starter rules (${theme}): ${await rules.count()} rules, ${await page.locator('[data-data=all]').count()} with data`);
  // By keyboard: the first opens, and says what to do.
  await rules.first().locator('summary').focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('details[open] pre.file').catch(() => fail('starter rules: a rule does not open by keyboard'));
  for (const text of await page.locator('.notice.bad, .notice.warn').allInnerTexts()) fail(`starter rules: ${text.replace(/\s+/g, ' ')}`);
  await picture(page, `starter-rules-${theme}`);
  const files = await page.locator('[data-starter] a[download]').evaluateAll((nodes) => nodes.map((node) => node.getAttribute('href')));
  for (const file of files) {
    const answer = await page.request.get(dashboards + file);
    if (!answer.ok() || !(await answer.text()).includes('groups:')) fail(`${file}: ${answer.status()}`);
  }
  await page.locator('header a[href="/"]').first().click();
  await page.waitForSelector('[data-dashboard]');
}

async function dashboardPages(theme) {
  const page = await pageOf(theme);
  await signIn(page);
  await starterRules(page, theme);
  const list = await page.locator('[data-dashboard]').evaluateAll((nodes) => nodes.map((node) => ({ uid: node.dataset.dashboard, href: node.getAttribute('href'), title: node.firstChild?.textContent ?? '' })));
  await picture(page, `dashboards-home-${theme}`);
  if (list.length === 0) fail('no dashboards are listed');
  for (const one of list) {
    const began = Date.now();
    await page.goto(dashboards + one.href);
    const there = await page.waitForSelector(`[data-dashboard="${one.uid}"] .panel`).then(() => true, () => false);
    if (!there) {
      fail(`dashboard ${one.title}: no panel`);
      continue;
    }
    const { panels, missing } = await waitForPanels(page);
    console.log(`${one.title} (${theme}): ${panels.length - missing.length} of ${panels.length} panels drawn, ${Date.now() - began} ms`);
    for (const panel of missing) {
      const why = panel.error ? `error: ${panel.error.replace(/\s+/g, ' ').slice(0, 200)}` : panel.unknown ? `type ${panel.type} is not drawn` : panel.state === 'ready' ? 'empty' : panel.state;
      fail(`dashboard ${one.title}, panel "${panel.title}": ${why}`);
    }
    await page.evaluate(() => scrollTo(0, 0));
    await picture(page, `dashboard-${one.uid}-${theme}`);
  }
  await page.context().close();
}

try {
  for (const theme of ['dark', 'light']) {
    if (prometheus) await queryPages(theme);
    if (dashboards) await dashboardPages(theme);
  }
} catch (error) {
  fail(String(error));
} finally {
  await browser.close();
}
console.log(failures.length === 0 ? 'all pages are drawn' : `${failures.length} failures`);
process.exit(failures.length === 0 ? 0 : 1);
