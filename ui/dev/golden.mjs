// Regenerates src/core/units/golden.json and src/core/reduce.golden.json from `@grafana/data` (Apache-2.0), the
// reference for how values are written. It is not a dependency: run in a scratch folder with
//   npm install @grafana/data@13.2.3 react@18 react-dom@18 --legacy-peer-deps --ignore-scripts
//   GOLDEN_ROOT=that/folder npm run golden
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = process.env.GOLDEN_ROOT;
if (!root) throw new Error('GOLDEN_ROOT is not set');
globalThis.navigator = { language: 'en-US', languages: ['en-US'], userAgent: '' };
process.env.TZ = 'UTC';

const bundle = join(root, 'golden-bundle.cjs');
await build({
  stdin: {
    contents: `export { getValueFormats, getValueFormat, formattedValueToString, reduceField, FieldType } from '@grafana/data';`,
    resolveDir: root,
  },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  outfile: bundle,
  logLevel: 'error',
});
const { default: data } = await import(pathToFileURL(bundle));

const VALUES = [
  0, 1, -1, 0.5, 2.345, 9.999, 59.94, 123.456, 999.999, 1024, 1536, 3600, 12345.678, 90061, 1048576, -123456789, 1.6e9, 1.7e12,
  2.5e18, 0.0123, 4.2e-7, 3.3e-10,
];
const DECIMALS = [null, 0, 2];
// These depend on the day the test runs.
const RELATIVE = new Set(['dateTimeFromNow', 'dateTimeAsIsoNoDateIfToday', 'dateTimeAsUSNoDateIfToday', 'dateTimeAsLocalNoDateIfToday', 'dateTimeAsLocal']);
const CUSTOM = ['prefix:X', 'suffix:apples', 'si:mF', 'si:kV', 'si:apples', 'count:hits', 'currency:Fr', 'currency:financial:€:suffix',
  'currency:financial:$', 'bool:on/off', 'bool:on', 'time:YYYY-MM-DD', 'time:HH:mm:ss.SSS', 'time:dddd Do MMMM YYYY [at] h A', 'Errors/sec', 'req/s', 'farenheit'];
const ids = data.getValueFormats().flatMap((group) => group.submenu.map((unit) => unit.value)).filter((id) => !RELATIVE.has(id));
const units = {};
for (const id of [...ids, ...CUSTOM]) {
  const format = data.getValueFormat(id);
  units[id] = DECIMALS.map((decimals) =>
    VALUES.map((value) => data.formattedValueToString(format(value, decimals, undefined, 'utc'))).join('|'),
  );
}
writeFileSync(new URL('../src/core/units/golden.json', import.meta.url), `${JSON.stringify({ values: VALUES, decimals: DECIMALS, units })}\n`);

const LISTS = [[1, 2, 3], [3, 1, 2, 2], [null, 4, null, 2, null], [5], [], [null, null], [0, 0, 0], [10, 20, 5, 15], [1.5, -2.5, 0], [null, 1, 1, null, 3]];
const REDUCERS = ['lastNotNull', 'last', 'firstNotNull', 'first', 'min', 'max', 'mean', 'median', 'sum', 'count', 'countAll', 'range', 'delta', 'step', 'diff', 'diffperc',
  'logmin', 'allIsZero', 'allIsNull', 'changeCount', 'distinctCount', 'variance', 'stdDev', 'p50', 'p95'];
const reducers = {};
for (const id of REDUCERS) {
  reducers[id] = LISTS.map((values) => {
    const out = data.reduceField({ field: { name: 'v', type: 'number', config: {}, values }, reducers: [id] })[id];
    return out === undefined ? null : Number.isFinite(out) || typeof out === 'boolean' ? out : out === null ? null : String(out);
  });
}
writeFileSync(new URL('../src/core/reduce.golden.json', import.meta.url), `${JSON.stringify({ lists: LISTS, reducers })}\n`);
console.log(`${ids.length} units, ${REDUCERS.length} reducers`);
