// Writes `.br` and `.gz` beside every file of the build that gains by it, and prints what a first view costs.
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url).pathname;

function* files(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* files(path);
    else if (!/\.(br|gz)$/.test(name)) yield path;
  }
}

for (const app of ['prometheus', 'dashboards']) {
  const root = join(dist, app);
  const html = readFileSync(join(root, 'index.html'), 'utf8');
  let first = gzipSync(html, { level: 9 }).length;
  let all = first;
  for (const path of files(root)) {
    const data = readFileSync(path);
    const gz = gzipSync(data, { level: 9 });
    const br = brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
    // Below some hundred bytes the headers eat the gain.
    if (data.length > 512 && gz.length < data.length * 0.95) {
      writeFileSync(`${path}.gz`, gz);
      writeFileSync(`${path}.br`, br);
    }
    if (path.endsWith('index.html')) continue;
    all += gz.length;
    if (html.includes(path.slice(root.length))) first += gz.length;
  }
  console.log(`${app}: first view ${(first / 1024).toFixed(1)} KiB gzip, everything ${(all / 1024).toFixed(1)} KiB gzip`);
}
