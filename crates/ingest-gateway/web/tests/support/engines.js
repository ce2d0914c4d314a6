// Firefox and WebKitGTK, as distributions ship them, by the protocols that they speak themselves: WebDriver BiDi and WebDriver.
//
// Both need names that lead to this machine (`names`): a page's cookies are those of a registrable domain, and only Chromium can be
// told of names of its own. `make test-browsers` says them in a mount namespace of its own; Firefox takes them as a preference.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const names = ['loja.example.com.br', 'track.example.com.br'];

const { env } = process;
const found = (...paths) => paths.find((path) => path && existsSync(path));
export const firefoxPath = found(env.FIREFOX_PATH, '/usr/bin/firefox-esr', '/usr/bin/firefox');
const webkitDriver = found('/usr/bin/WebKitWebDriver');
const miniBrowser = found(
  env.MINIBROWSER_PATH,
  ...['4.1', '6.0', '4.0'].map((version) => `/usr/lib/x86_64-linux-gnu/webkit2gtk-${version}/MiniBrowser`),
  '/usr/libexec/webkit2gtk-4.1/MiniBrowser',
);
export const webkitPath = webkitDriver && miniBrowser;

/** A browser: `visitor()` is somebody new, whose `page()` is a tab: `goto`, `evaluate`, `close`; `cookies()`; `leave()`. */
export const engines = {
  Firefox: { path: firefoxPath, start: startFirefox },
  WebKit: { path: webkitPath, start: startWebKit },
};

/** A function with its arguments as a text that a browser runs, whose answer is JSON. */
const called = (action, said) =>
  `Promise.resolve((${action})(...${JSON.stringify(said)})).then((said) => JSON.stringify(said) ?? 'null')`;

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

async function until(look, what) {
  const end = Date.now() + 30_000;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function startFirefox() {
  const profile = await mkdtemp(join(tmpdir(), 'rastro-firefox-'));
  const preferences = {
    'network.dns.localDomains': names.join(),
    'app.update.enabled': false,
    'browser.shell.checkDefaultBrowser': false,
    'datareporting.policy.dataSubmissionEnabled': false,
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'browser.safebrowsing.malware.enabled': false,
    'browser.safebrowsing.phishing.enabled': false,
    'extensions.getAddons.cache.enabled': false,
    'services.settings.server': '',
    'network.proxy.type': 0,
  };
  const lines = Object.entries(preferences).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});`);
  await writeFile(join(profile, 'user.js'), lines.join('\n'));
  const said = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'];
  const firefox = spawn(firefoxPath, said, { env: { ...env, HOME: profile, MOZ_HEADLESS: '1' } });
  let log = '';
  firefox.stderr.on('data', (text) => (log += text));
  const url = await until(() => /listening on (ws:\S+)/.exec(log)?.[1], 'Firefox to listen: ' + log);
  const socket = new WebSocket(url + '/session');
  await new Promise((done, fail) => ((socket.onopen = done), (socket.onerror = fail)));
  let last = 0;
  const waiting = new Map();
  socket.onmessage = ({ data }) => {
    const answer = JSON.parse(data);
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  };
  const command = (method, params = {}) =>
    new Promise((done, fail) => {
      waiting.set(++last, (answer) =>
        answer.type == 'success' ? done(answer.result) : fail(new Error(`${method}: ${answer.message}`)),
      );
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  const { capabilities } = await command('session.new', { capabilities: {} });
  return {
    version: `Firefox ${capabilities.browserVersion}`,
    async visitor() {
      const { userContext } = await command('browser.createUserContext');
      return {
        async page() {
          const { context } = await command('browsingContext.create', { type: 'tab', userContext });
          return {
            goto: (url) => command('browsingContext.navigate', { context, url, wait: 'complete' }),
            async evaluate(action, ...said) {
              const answer = await command('script.evaluate', {
                expression: called(action, said),
                target: { context },
                awaitPromise: true,
              });
              if (answer.type != 'success') throw new Error(answer.exceptionDetails.text);
              return JSON.parse(answer.result.value);
            },
            close: () => command('browsingContext.close', { context }),
          };
        },
        async cookies() {
          const partition = { type: 'storageKey', userContext };
          const { cookies } = await command('storage.getCookies', { partition });
          return cookies.map(({ name, domain, value }) => ({ name, domain, value: value.value }));
        },
        leave: () => command('browser.removeUserContext', { userContext }),
      };
    },
    async close() {
      await command('browser.close').catch(() => {});
      if (firefox.exitCode === null) await new Promise((done) => firefox.once('exit', done));
      await rm(profile, { recursive: true, force: true });
    },
  };
}

async function startWebKit() {
  const port = await freePort();
  // Without a screen one is made up.
  const [program, ...before] = env.DISPLAY ? [webkitDriver] : ['xvfb-run', '-a', webkitDriver];
  const driver = spawn(program, [...before, `--port=${port}`], {
    env: { ...env, WEBKIT_DISABLE_DMABUF_RENDERER: '1', LIBGL_ALWAYS_SOFTWARE: '1' },
    stdio: 'ignore',
    // Stopped with what it starts.
    detached: true,
  });
  const command = async (method, path, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  };
  await until(() => command('GET', '/status').catch(() => false), 'WebKitWebDriver');
  const wanted = { 'webkitgtk:browserOptions': { binary: miniBrowser, args: ['--automation'] } };
  const engine = {
    version: 'WebKit',
    /** A session is somebody new: nothing of it is kept. */
    async visitor() {
      const { sessionId, capabilities } = await command('POST', '/session', {
        capabilities: { alwaysMatch: wanted },
      });
      engine.version = `${capabilities.browserName} ${capabilities.browserVersion}`;
      const session = `/session/${sessionId}`;
      await command('POST', session + '/timeouts', { script: 30_000 });
      let first = true;
      return {
        async page() {
          const handle = first
            ? await command('GET', session + '/window')
            : (await command('POST', session + '/window/new', { type: 'tab' })).handle;
          first = false;
          const here = () => command('POST', session + '/window', { handle });
          return {
            async goto(url) {
              await here();
              await command('POST', session + '/url', { url });
            },
            async evaluate(action, ...said) {
              await here();
              const script = `const done = arguments[0];
                ${called(action, said)}.then((said) => done({ said }), (error) => done({ error: String(error) }));`;
              const answer = await command('POST', session + '/execute/async', { script, args: [] });
              if (answer.error) throw new Error(answer.error);
              return JSON.parse(answer.said);
            },
            async close() {
              await here();
              await command('DELETE', session + '/window');
            },
          };
        },
        cookies: () => command('GET', session + '/cookie'),
        leave: () => command('DELETE', session).catch(() => {}),
      };
    },
    async close() {
      process.kill(-driver.pid, 'SIGTERM');
      await new Promise((done) => driver.once('exit', done));
    },
  };
  return engine;
}
