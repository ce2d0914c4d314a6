// What must hold in every browser, in Firefox and WebKit: what leaves a page while it goes, what the next page makes good, forms,
// routes, consent, cookies. `make test-browsers` runs it; Chromium has these tests and many more in ../browser.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../build.mjs';
import { engines } from '../support/engines.js';
import { key, startWorld } from '../support/world.js';

const { env } = process;
const collect = '/api/meta/conversions';
const pixelId = '123456789012345';
// Records what is called, and tells of each error, before the page's own scripts.
const recorder = `<script>
  addEventListener('error', ({ message }) => navigator.sendBeacon('/error', message));
  addEventListener('unhandledrejection', ({ reason }) => navigator.sendBeacon('/error', String(reason)));
  window.calls = []; window.fbq = (...said) => calls.push(said);</script>`;

for (const [name, { path, start }] of Object.entries(engines)) {
  // Asked for by name it must be there.
  const skip = !path && env.RASTRO_ENGINES != 'all' && `no ${name} on this machine`;
  test(name, { skip }, async (t) => {
    assert.ok(path, `${name} is not installed: make test-browsers does it on Debian`);
    const world = await startWorld(t, { browser: false });
    const { host, track, proxy, until, stored, posts, said } = world;
    const engine = await start();
    t.after(() => engine.close());
    const errors = [];
    world.serve('/error', async ({ request }) => {
      let text = '';
      for await (const part of request) text += part;
      errors.push(text);
      return '';
    });
    const tag = (attributes = '') => recorder + world.tag(`data-pixel="${pixelId}" ${attributes}`);
    world.serve('/', world.html(tag('data-pages="off"'), '<a href="/next">next</a>'));
    world.serve('/next', world.html(tag('data-pages="off"'), 'next', 'Next'));
    world.serve('/routed', world.html(tag(), '', 'Routed'));
    world.serve('/refused', world.html(tag('data-consent="denied"')));
    world.serve('/blank', world.html('', 'blank', 'Blank'));

    const scene = (what, action) =>
      world.scene(what, async (t) => {
        const visitor = await engine.visitor();
        t.after(() => visitor.leave());
        await action(visitor);
        assert.deepEqual(errors.splice(0), []);
      });
    const loaded = (page) => until(() => page.evaluate(() => !!window.rastro?.track).catch(() => false), 'the SDK');
    const titled = (page, title) =>
      until(() => page.evaluate((title) => document.title == title, title).catch(() => false), title);
    const open = async (visitor, path = '/', tab) => {
      const page = tab ?? (await visitor.page());
      await page.goto(host + path);
      await loaded(page);
      return page;
    };
    const calls = (page, name) =>
      page.evaluate((name) => window.calls.filter((call) => call[0] == 'trackSingle' && call[2] == name), name);

    await scene('one id in Pixel and gateway, one request, no preflight', async (visitor) => {
      const page = await open(visitor);
      const lead = await page.evaluate(async () => {
        const tracked = rastro.trackLead({ name: 'Ana', email: 'ana@example.com' });
        return { id: tracked.eventId, ...(await tracked.outcome) };
      });
      assert.equal(lead.status, 'accepted');
      const [call] = await calls(page, 'Lead');
      assert.equal(call[4].eventID, lead.id);
      assert.equal(stored('Lead')[0].event.event_id, lead.id);
      assert.equal(proxy.requests.filter(({ method }) => method == 'OPTIONS').length, 0);
      assert.match(posts()[0].headers['content-type'], /^text\/plain/);
    });

    await scene('what is tracked while leaving arrives, again and again', async (visitor) => {
      const page = await open(visitor);
      for (let time = 0; time < 8; time++) {
        const id = randomUUID();
        await page
          .evaluate((eventId) => {
            rastro.track('Leave', {}, { eventId });
            location.href = '/next';
          }, id)
          // The page may be gone before it has answered.
          .catch(() => {});
        await titled(page, 'Next');
        await until(() => stored('Leave').some(({ event }) => event.event_id == id), 'the event of a page that went');
        const [call] = await calls(page, 'Leave');
        assert.equal(call, undefined, 'the next page does not tell the Pixel again');
        await open(visitor, '/', page);
      }
      assert.equal(stored('Leave').length, 8, 'each is stored once');
    });

    await scene('a beacon that met a 503 is delivered by the next page, under the same id', async (visitor) => {
      const page = await open(visitor);
      proxy.fault = ({ path }) => (path == collect ? { status: 503 } : undefined);
      await page
        .evaluate(() => {
          rastro.track('AddToCart');
          location.href = '/next';
        })
        .catch(() => {});
      await until(() => posts(collect).find(({ text }) => /AddToCart/.test(text)), 'the first try');
      await titled(page, 'Next');
      await loaded(page);
      assert.equal(stored('AddToCart').length, 0);
      proxy.fault = () => undefined;
      await page.evaluate(() => rastro.flush());
      await until(() => stored('AddToCart')[0], 'the next page to send it');
      const tries = posts(collect).flatMap(({ body }) => body.events);
      const ids = tries.filter(({ event_name }) => event_name == 'AddToCart').map(({ event_id }) => event_id);
      assert.ok(ids.length > 1);
      assert.equal(new Set(ids).size, 1);
    });

    await scene('more than one request carries: two hundred events of 3 kB, then the page goes', async (visitor) => {
      const page = await open(visitor);
      await page
        .evaluate(async () => {
          const filler = 'ç'.repeat(3000);
          for (let i = 0; i < 200; i++) {
            rastro.track('Big' + i, { filler });
            if (i == 54 || i == 109) await rastro.flush();
          }
          location.href = '/next';
        })
        .catch(() => {});
      await titled(page, 'Next');
      await loaded(page);
      const big = () => stored().filter(({ event }) => /^Big/.test(event.event_name));
      await until(() => big().length == 200, '200 events');
      for (const { text } of posts(collect)) assert.ok(Buffer.byteLength(text) < 65536);
    });

    await scene('a plain form is a lead, and its submission is not delayed', async (visitor) => {
      const form = `<form data-rastro="lead" action="/blank" method="post"><input name="name" value="Ana">
        <input name="email" value="ana@example.com"><input name="password" type="password" value="segredo"><button>Enviar</button></form>`;
      world.serve('/form', world.html(tag('data-pages="off"'), form));
      const page = await open(visitor, '/form');
      await page.evaluate(() => document.querySelector('button').click()).catch(() => {});
      await titled(page, 'Blank');
      await until(() => stored('Lead')[0], 'the lead');
      assert.deepEqual(stored('Lead')[0].lead, { name: 'Ana', email: 'ana@example.com' });
      assert.equal(new Set(said().map(({ event }) => event.event_id)).size, 1);
    });

    await scene('three routes are three page views, a decorated address is none', async (visitor) => {
      const page = await open(visitor, '/routed');
      const views = (count) => until(() => stored('PageView').length == count, `${count} page views`);
      await views(1);
      for (const [at, path] of ['/um', '/dois?pagina=2'].entries()) {
        await page.evaluate((path) => history.pushState({ of: 'router' }, '', path), path);
        await views(at + 2);
      }
      await page.evaluate(() => history.replaceState(history.state, '', '/dois?pagina=2&xcod=a&sck=b'));
      await page.evaluate(() => new Promise((done) => setTimeout(done, 500)));
      const told = (await calls(page, 'PageView')).map((call) => call[4].eventID);
      assert.deepEqual(told, stored('PageView').map(({ event }) => event.event_id));
      assert.equal(told.length, 3);
    });

    await scene('back from the cache is one page view, and the page is not kept out of it', async (visitor) => {
      const page = await open(visitor, '/routed');
      await until(() => stored('PageView').length == 1, 'the first page view');
      await page.evaluate(() => {
        window.born = 'here';
        // Without the Pixel, which sends one of its own.
        delete window.fbq;
      });
      await page.evaluate(() => void (location.href = '/blank')).catch(() => {});
      await titled(page, 'Blank');
      await page.evaluate(() => history.back()).catch(() => {});
      await titled(page, 'Routed');
      assert.equal(await page.evaluate(() => window.born), 'here', 'the page itself came back');
      await until(() => stored('PageView').length == 2, 'the second page view');
    });

    await scene('refused: no cookie, no event; the lead reaches the business', async (visitor) => {
      const page = await open(visitor, '/refused?fbclid=AbC');
      const [tracked, lead] = await page.evaluate(async () => [
        await rastro.track('Search').outcome,
        await rastro.trackLead({ name: 'Ana', email: 'ana@example.com' }).outcome,
      ]);
      assert.deepEqual(tracked, { status: 'withheld', why: 'consent' });
      assert.equal(lead.forwarding, 'withheld');
      assert.equal(await page.evaluate(() => document.cookie), '');
      assert.equal(stored('Lead')[0].event.user_data, undefined);
    });

    await scene('cookies stand on the registrable domain, and the click is in the event', async (visitor) => {
      const page = await open(visitor, '/?fbclid=AbC&utm_source=ig');
      await page.evaluate(() => rastro.track('Search').outcome);
      assert.match(stored('Search')[0].event.user_data.fbc, /^fb\.2\.\d{13}\.AbC$/);
      const cookies = await visitor.cookies();
      const domains = Object.fromEntries(cookies.map(({ name, domain }) => [name, domain]));
      const ours = '.example.com.br';
      assert.deepEqual(domains, { _rid: ours, _fbp: ours, _fbc: ours, _rat: ours, _raf: ours });
    });

    await scene("the landing page: from the ad to the thanks", async (visitor) => {
      const given = { __RASTRO_ENDPOINT__: track, __RASTRO_KEY__: key, __RASTRO_PIXEL__: '' };
      const file = (name) => readFile(join(root, 'dist/landing', name));
      const filled = async (name) =>
        String(await file(name)).replace(/__RASTRO_\w+?__/g, (placeholder) => given[placeholder]);
      world.serve('/landing', () => filled('index.html'));
      world.serve('/obrigado', () => filled('obrigado.html'));
      for (const script of ['app.js', 'react.js'])
        world.serve('/' + script, () => file(script), { type: 'text/javascript' });
      world.serve('/styles.css', () => file('styles.css'), { type: 'text/css' });
      for (const font of ['bricolage', 'figtree'])
        world.serve(`/fonts/${font}.woff2`, () => file(`fonts/${font}.woff2`), { type: 'font/woff2' });
      // It brings the SDK in its own script.
      const page = await visitor.page();
      await page.goto(host + '/landing?utm_source=ig&fbclid=AbC-1');
      const hydrated = () =>
        Object.keys(document.querySelector('footer')).some((name) => name.startsWith('__react'));
      await until(() => page.evaluate(hydrated).catch(() => false), 'React');
      assert.deepEqual(posts(), [], 'nothing before an answer');
      await page.evaluate(() => {
        const press = (text) => [...document.querySelectorAll('button')].find((one) => one.textContent.includes(text)).click();
        press('Aceitar');
        for (const [id, value] of [['name', 'Ana Souza'], ['phone', '31912345678'], ['service_type', 'Implante dentário']]) {
          const field = document.getElementById(id);
          // As somebody types it: React looks at what the element itself was told.
          Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value').set.call(field, value);
          field.dispatchEvent(new Event(field.tagName == 'SELECT' ? 'change' : 'input', { bubbles: true }));
        }
        press('Pedir avaliação');
      });
      await until(() => stored('Lead')[0], 'the lead');
      assert.match(stored('Lead')[0].event.user_data.fbc, /\.AbC-1$/);
      await until(() => page.evaluate(() => location.pathname == '/obrigado').catch(() => false), 'the thanks');
    });

    t.diagnostic(engine.version);
  });
}
