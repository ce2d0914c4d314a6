// Everything a browser test needs: pages on one origin, the gateway on another, and Chromium between them.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { root } from '../../build.mjs';
import { publishableKey, startGateway } from './gateway.js';
import { startProxy } from './proxy.js';

const { env } = process;
export const browserPath = [env.CHROME_PATH, '/usr/bin/chromium', '/usr/bin/google-chrome'].find(
  (path) => path && existsSync(path),
);
/** Why the browser tests do not run, or false. With CI=true they fail instead. */
export const skip = !browserPath && !env.CI && 'no Chromium: set CHROME_PATH or install it';

/**
 * Against a real gateway: RASTRO_GATEWAY_URL, RASTRO_KEY (publishable), and a dataset that allows the origins
 * http://*.example.com.br:PORT with PORT = RASTRO_PAGE_PORT.
 */
export const real = env.RASTRO_GATEWAY_URL;
export const key = env.RASTRO_KEY ?? publishableKey;

/** `browser: false`: none is started, for a test that brings its own. */
export async function startWorld(t, { browser: wanted = true } = {}) {
  const pages = new Map();
  const server = createServer(async (request, response) => {
    const { pathname, search } = new URL(request.url, 'http://page');
    const page = pages.get(pathname);
    if (!page) return response.writeHead(404).end();
    const { type = 'text/html; charset=utf-8', headers, body } = await page({ request, search });
    response.writeHead(200, { 'content-type': type, 'cache-control': 'private, max-age=0', ...headers });
    response.end(body);
  });
  await new Promise((done) => server.listen(Number(env.RASTRO_PAGE_PORT ?? 0), '127.0.0.1', done));
  const { port } = server.address();
  const host = `http://loja.example.com.br:${port}`;
  const gateway = real
    ? { url: real, close() {} }
    : await startGateway({
        origins: [`http://*.example.com.br:${port}`, `http://localhost:${port}`],
        sdkFile: join(root, 'dist/sdk.js'),
        cookieDomain: 'example.com.br',
      });
  const proxy = await startProxy({ target: gateway.url });
  const track = `http://track.example.com.br:${proxy.port}`;
  const browser = wanted && (await chromium.launch({
    executablePath: browserPath,
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP *.example.com.br 127.0.0.1',
    ],
  }));

  const world = {
    host,
    track,
    proxy,
    gateway,
    port,
    browser,

    /** Serves a page, or any file. */
    serve(path, body, more = {}) {
      pages.set(path, async (asked) => ({
        ...more,
        body: typeof body == 'function' ? await body(asked) : body,
      }));
    },

    /** The script tag, with attributes beside the key. */
    tag: (attributes = '') =>
      `<script async src="${track}/sdk.js" data-key="${key}" ${attributes}></script>`,

    html: (head, body = '', title = 'Loja') =>
      `<!doctype html><html lang="pt-BR"><head><meta charset="utf-8"><link rel="icon" href="data:,"><title>${title}</title>${head}</head><body>${body}</body></html>`,

    /** A fresh visitor. Errors in the console, and rejections that nobody handles, fail the test. */
    async visitor(t, { quiet = true, ...options } = {}) {
      const context = await browser.newContext({ locale: 'pt-BR', ...options });
      const errors = [];
      const watch = (page) => {
        page.on('pageerror', (error) => errors.push(String(error)));
        page.on('console', (message) => {
          const text = message.text();
          if (message.type() == 'error' && !/Failed to load resource|blocked by CORS|net::ERR/.test(text))
            errors.push(text);
        });
      };
      context.on('page', watch);
      await context.route('https://connect.facebook.net/**', async (route) =>
        route.fulfill({
          contentType: 'text/javascript',
          body: await readFile(join(root, 'tests/support/fake-fbevents.js'), 'utf8'),
        }),
      );
      context.errors = errors;
      t.after(async () => {
        await context.close().catch(() => {});
        if (quiet) assert.deepEqual(errors, []);
      });
      return context;
    },

    /** Waits until `look` returns something true, and returns it. */
    async until(look, what = String(look)) {
      const end = Date.now() + 15_000;
      for (;;) {
        const found = await look();
        if (found) return found;
        if (Date.now() > end) {
          const seen = proxy.requests.map(
            ({ method, path, status, text }) => `${method} ${path} ${status} ${text?.slice(0, 300)}`,
          );
          assert.fail(`waited in vain for ${what}\n${seen.join('\n')}`);
        }
        await new Promise((done) => setTimeout(done, 15));
      }
    },

    posts: (path) =>
      proxy.requests.filter((request) => request.method == 'POST' && (!path || request.path == path)),

    /** What the gateway has said of each event: `{ event, status }`, in order. */
    said() {
      const list = [];
      for (const { method, path, body, status, answer } of proxy.requests) {
        if (method != 'POST' || !answer) continue;
        if (path == '/api/meta/conversions') {
          answer.results?.forEach((result, index) =>
            list.push({
              event: body.events[index],
              status: result.status,
              envelope: body,
              errors: result.errors,
            }),
          );
        } else {
          list.push({
            event: body.event,
            envelope: body,
            lead: body.lead,
            purchase: body.purchase,
            errors: answer.errors,
            status: status == 202 ? 'accepted' : status == 409 ? 'duplicate' : 'rejected',
          });
        }
      }
      return list;
    },

    /** The events the gateway has stored, each once. */
    stored: (name) =>
      world
        .said()
        .filter(({ status, event }) => status == 'accepted' && (!name || event.event_name == name)),
  };
  /** A test of its own: nothing was requested yet, and nothing fails. */
  world.scene = (name, action) =>
    t.test(name, async (t) => {
      // The last beacons of the scene before, whose pages were just closed.
      for (let before; before != proxy.seen; ) {
        before = proxy.seen;
        await new Promise((done) => setTimeout(done, 200));
      }
      proxy.requests = [];
      proxy.fault = () => undefined;
      await action(t);
    });
  t.after(async () => {
    if (browser) await browser.close();
    server.closeAllConnections();
    server.close();
    proxy.close();
    gateway.close();
  });
  return world;
}
