// The sources as a module that Node can import.
import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundle, root } from '../../build.mjs';

export async function load(entry, more) {
  // Where Node finds React.
  const folder = await mkdtemp(join(root, 'node_modules/.test-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'module.mjs');
  await writeFile(file, await bundle(entry, { minify: false, ...more }));
  return import(pathToFileURL(file));
}
