// One configuration for both applications: `--mode prometheus` or `--mode dashboards` picks which is built.
import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import solid from 'vite-plugin-solid';

export default defineConfig(({ mode }) => {
  const app = mode === 'dashboards' ? 'dashboards' : 'prometheus';
  const testing = process.env['VITEST'] !== undefined;
  return {
    root: testing ? __dirname : resolve(__dirname, app),
    base: '/',
    publicDir: false,
    plugins: testing ? [] : [solid()],
    build: {
      outDir: resolve(__dirname, 'dist', app),
      emptyOutDir: true,
      target: 'es2022',
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
    test: { include: ['src/**/*.test.ts'], environment: 'node' },
  };
});
