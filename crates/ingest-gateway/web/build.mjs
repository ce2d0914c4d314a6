// Builds dist/. `--check` builds the same in memory and compares it with what is committed.
import { readFile, writeFile, mkdir, rm, readdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';

export const root = dirname(fileURLToPath(import.meta.url));
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

/** Most bytes after gzip -9. */
const budgets = { core: 3000, 'sdk.js': 4200, 'react.js': 800 };

// What an older build left in a browser's storage is read by the next, so that these never change.
const itemNames = { path_: 'p', body_: 'b', tab_: 't', pixel_: 'x', ready_: 'r', settled_: 's' };

export const options = (entry, more = {}) => ({
  entryPoints: [join(root, entry)],
  absWorkingDir: root,
  bundle: true,
  // Terser gains 3 % on esbuild's result, and less without it.
  minify: true,
  minifyIdentifiers: false,
  write: false,
  format: 'esm',
  target: 'es2021',
  charset: 'utf8',
  legalComments: 'none',
  mangleProps: /_$/,
  mangleCache: { ...itemNames },
  define: { VERSION: JSON.stringify(version), 'process.env.NODE_ENV': '"production"' },
  alias: { '@rastro/browser': './sdk/index.ts', '@rastro/react': './react/index.tsx' },
  jsx: 'automatic',
  logLevel: 'error',
  ...more,
});

export const bundle = async (entry, more) => (await build(options(entry, more))).outputFiles[0].text;

const small = async (code) => {
  const compress = {
    ecma: 2020,
    passes: 3,
    pure_getters: true,
    conditionals: false,
    unsafe: true,
    unsafe_arrows: true,
    unsafe_methods: true,
  };
  const directive = /^(["'])use client\1;?/.exec(code)?.[0] ?? '';
  return directive + (await minify(code.slice(directive.length), { compress, module: true })).code + '\n';
};

/** Every file of dist/ by its path there, and the sizes that have a budget. */
export async function buildAll() {
  const files = {};
  files['sdk.js'] = await small(await bundle('sdk/script-tag.ts', { format: 'iife' }));
  files['browser.js'] = await small(await bundle('sdk/index.ts'));
  files['react.js'] = await small(
    await bundle('react/index.tsx', { external: ['react', '@rastro/browser'], alias: {} }),
  );
  await buildLanding(files);
  const sizes = {
    core: await small(await bundle('sdk/core.ts')),
    'sdk.js': files['sdk.js'],
    'react.js': files['react.js'],
  };
  for (const name in sizes) sizes[name] = gzipSync(sizes[name], { level: 9 }).length;
  // As it is served. Other versions of zlib write other bytes, so that only what is in it is compared.
  files['sdk.js.gz'] = gzipSync(files['sdk.js'], { level: 9 });
  return { files, sizes };
}

/**
 * The landing page: React in a chunk of its own, and both its pages rendered, so that they show before any
 * script.
 */
async function buildLanding(files) {
  const reactChunk = {
    name: 'react-chunk',
    setup({ onResolve }) {
      onResolve({ filter: /^react(-dom\/client|\/jsx-runtime)?$/ }, () => ({
        path: '/react.js',
        external: true,
      }));
    },
  };
  files['landing/react.js'] = await small(await bundle('landing/react.ts'));
  files['landing/app.js'] = await small(await bundle('landing/app.tsx', { plugins: [reactChunk] }));
  files['landing/styles.css'] = await bundle('landing/styles.css', { external: ['/fonts/*'] });
  for (const name of ['bricolage.woff2', 'figtree.woff2', 'OFL.txt']) {
    files['landing/fonts/' + name] = await readFile(join(root, 'landing/fonts', name));
  }
  // Rendered by the same React that hydrates it.
  const rendered = join(root, 'node_modules/.landing.mjs');
  const entry = await bundle('landing/app.tsx', { external: ['react', 'react-dom'], minify: false });
  await writeFile(rendered, entry);
  const { App, client } = await import(pathToFileURL(rendered));
  const { createElement } = await import('react');
  const { renderToString } = await import('react-dom/server');
  const html = await readFile(join(root, 'landing/index.html'), 'utf8');
  for (const [path, name] of [
    ['/', 'index'],
    ['/obrigado', 'obrigado'],
  ]) {
    const app = renderToString(createElement(App, { client, path }));
    files[`landing/${name}.html`] = html.replace('__APP__', () => app);
  }
}

async function committed(folder) {
  const found = {};
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((entry) => entry.isFile())) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    found[relative(folder, path)] = await readFile(path);
  }
  return found;
}

if (process.argv[1] == fileURLToPath(import.meta.url)) {
  const { files, sizes } = await buildAll();
  const problems = [];
  const dist = join(root, 'dist');
  if (process.argv.includes('--check')) {
    const there = await committed(dist);
    sizes['sdk.js'] = there['sdk.js.gz']?.length ?? Infinity;
    const content = (name, bytes) => (name.endsWith('.gz') ? gunzipSync(bytes) : Buffer.from(bytes));
    for (const name of new Set([...Object.keys(files), ...Object.keys(there)])) {
      const isSame = (built, stored) => content(name, built).equals(content(name, stored));
      if (!there[name] || files[name] == null || !isSame(files[name], there[name])) {
        problems.push(`dist/${name} is not what the sources give: npm run build`);
      }
    }
  } else {
    await rm(dist, { recursive: true, force: true });
    for (const name in files) {
      await mkdir(dirname(join(dist, name)), { recursive: true });
      await writeFile(join(dist, name), files[name]);
    }
  }
  for (const name in budgets) {
    console.log(`${name}: ${sizes[name]} bytes gzip of ${budgets[name]}`);
    if (sizes[name] > budgets[name])
      problems.push(`${name} is ${sizes[name] - budgets[name]} bytes over its budget`);
  }
  problems.forEach((problem) => console.error(problem));
  process.exitCode = problems.length ? 1 : 0;
}
