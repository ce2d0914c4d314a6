// Serves dist/landing as the demo does: files as they are, and where, with which key, in the two pages.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { root } from '../../build.mjs';

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain',
};

export async function startLanding({ port = 0, host = '127.0.0.1', endpoint, key, pixelId = '' }) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://landing');
    const name = { '/': 'index.html', '/obrigado': 'obrigado.html' }[pathname] ?? pathname.slice(1);
    try {
      if (name.includes('..')) throw new Error('outside');
      let file = await readFile(join(root, 'dist/landing', name));
      if (name.endsWith('.html')) {
        const given = { __RASTRO_ENDPOINT__: endpoint, __RASTRO_KEY__: key, __RASTRO_PIXEL__: pixelId };
        file = String(file).replace(/__RASTRO_\w+?__/g, (placeholder) => given[placeholder]);
      }
      response.writeHead(200, { 'content-type': types[extname(name)] ?? 'application/octet-stream' });
      response.end(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(port, host, done));
  return { port: server.address().port, close: () => (server.closeAllConnections(), server.close()) };
}
