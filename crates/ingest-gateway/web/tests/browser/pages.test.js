// React's hooks, and the landing page from the first look to the thanks.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { bundle, root } from '../../build.mjs';
import { key, skip, startWorld } from '../support/world.js';

const collect = '/api/meta/conversions';

test('React', { skip }, async (t) => {
  const world = await startWorld(t);
  const { host, track, until, stored, said } = world;
  const code = await bundle('tests/fixtures/react.tsx', {
    minify: false,
    define: { VERSION: '"test"', 'process.env.NODE_ENV': '"development"' },
  });
  world.serve('/app.js', code, { type: 'text/javascript' });
  const orderId = 'PED-' + randomUUID();
  const page = `<!doctype html><html data-key="${key}" data-endpoint="${track}" data-order="${orderId}"><link rel="icon" href="data:,">
    <script>window.calls = []; window.fbq = (...said) => calls.push(said);</script><div id="app"></div><script type="module" src="/app.js"></script></html>`;
  world.serve('/react', page);

  await world.scene('1: StrictMode runs effects twice: one Pixel call, one event', async (t) => {
    const tab = await (await world.visitor(t)).newPage();
    await tab.goto(host + '/react');
    await tab.waitForFunction(() => document.getElementById('purchase')?.textContent == 'accepted');
    assert.ok(await tab.textContent('#number'), 'the number of the purchase');
    await until(() => stored('ViewContent')[0] && stored('PageView')[0]);
    await tab.evaluate(() => new Promise((done) => setTimeout(done, 200)));
    const names = (list) => list.sort().join();
    assert.equal(names(said().map(({ event }) => event.event_name)), 'PageView,Purchase,ViewContent');
    assert.equal(
      names(await tab.evaluate(() => calls.filter(([name]) => /track/.test(name)).map((call) => call[2]))),
      'PageView,Purchase,ViewContent',
    );
    assert.equal(stored('Purchase')[0].event.event_id, orderId);
    assert.equal(await tab.evaluate(() => calls.find((call) => call[2] == 'Purchase')[4].eventID), orderId);
    await tab.click('#go');
    await until(() => stored('PageView').length == 2);
  });

  await world.scene(
    '29: a refused form keeps its id for the next try, a sent one makes the next new',
    async (t) => {
      const tab = await (await world.visitor(t)).newPage();
      await tab.goto(host + '/react');
      const state = (wanted) =>
        tab.waitForFunction((wanted) => document.getElementById('state')?.textContent == wanted, wanted);
      await tab.fill('#email', 'nonsense');
      await tab.click('text=Enviar');
      await state('rejected');
      assert.equal(await tab.textContent('#errors'), '/lead/email');
      await tab.fill('#email', 'ana@example.com');
      await tab.click('text=Enviar');
      await state('accepted');
      assert.ok(await tab.textContent('#lead'), 'the number of the lead');
      await tab.fill('#email', 'bia@example.com');
      await tab.click('text=Enviar');
      await until(() => stored('Lead').length == 2);
      const ids = said()
        .filter(({ lead }) => lead)
        .map(({ event }) => event.event_id);
      assert.equal(ids[0], ids[1]);
      assert.notEqual(ids[1], ids[2]);
    },
  );
});

test('landing page', { skip }, async (t) => {
  const world = await startWorld(t);
  const { host, track, proxy, until, stored, posts, said } = world;
  const given = { __RASTRO_ENDPOINT__: track, __RASTRO_KEY__: key, __RASTRO_PIXEL__: '123456789012345' };
  const file = (name) => readFile(join(root, 'dist/landing', name));
  const html = async (name) =>
    String(await file(name)).replace(/__RASTRO_\w+?__/g, (placeholder) => given[placeholder]);
  world.serve('/', () => html('index.html'));
  world.serve('/obrigado', () => html('obrigado.html'));
  for (const name of ['app.js', 'react.js'])
    world.serve('/' + name, () => file(name), { type: 'text/javascript' });
  world.serve('/styles.css', () => file('styles.css'), { type: 'text/css' });
  for (const name of ['bricolage', 'figtree'])
    world.serve(`/fonts/${name}.woff2`, () => file(`fonts/${name}.woff2`), { type: 'font/woff2' });
  const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  const hydrated = (page) =>
    page.waitForFunction(() =>
      Object.keys(document.querySelector('footer')).some((name) => name.startsWith('__react')),
    );
  const open = async (visitor, path = '/?utm_source=ig&fbclid=AbC-1&email=ana%40example.com') => {
    const page = await visitor.newPage();
    await page.goto(host + path);
    await hydrated(page);
    return page;
  };
  const fill = async (page) => {
    await page.fill('#name', 'Ana Souza');
    await page.fill('#phone', '31912345678');
    await page.selectOption('#service_type', 'Implante dentário');
  };
  const send = 'button:has-text("Pedir avaliação")';

  await world.scene(
    '14: rendered by the build, it hydrates without a warning, and shows without scripts',
    async (t) => {
      for (const path of ['/', '/obrigado']) {
        await open(await world.visitor(t, phone), path);
        const bare = await (await world.visitor(t, { javaScriptEnabled: false })).newPage();
        await bare.goto(host + path);
        assert.match(await bare.textContent('h1'), path == '/' ? /plano/ : /Recebemos/);
      }
    },
  );

  await world.scene('from the ad to the thanks: consent, form, one id in Pixel and gateway', async (t) => {
    const page = await open(await world.visitor(t, phone));
    assert.deepEqual(posts(), []);
    await page.click('.banner button:has-text("Aceitar")');
    await until(() => stored('PageView')[0]);
    // The e-mail is out of the address now, which is no other page, however long somebody takes over the form.
    await page.waitForURL((url) => !url.searchParams.has('email'));
    await page.evaluate(() => new Promise((done) => setTimeout(done, 500)));
    assert.equal((await page.evaluate(() => pixelSent)).length, 1);
    await fill(page);
    assert.equal(await page.inputValue('#phone'), '(31) 91234-5678');
    await page.click(send);
    await page.waitForSelector('.thanks');
    assert.equal(await page.textContent('h1'), 'Recebemos seu pedido, Ana.');
    const [lead] = stored('Lead');
    assert.deepEqual(lead.lead, {
      name: 'Ana Souza',
      phone: '(31) 91234-5678',
      service_type: 'Implante dentário',
    });
    assert.match(lead.event.user_data.fbc, /\.AbC-1$/);
    assert.equal(lead.envelope.consent.source, 'banner');
    assert.equal(lead.event.event_source_url, host + '/?utm_source=ig&fbclid=AbC-1');
    await until(() => stored('PageView').length == 2);
    const pixel = await page.evaluate(() => pixelSent);
    assert.equal(pixel.find(({ name }) => name == 'Lead').eventID, lead.event.event_id);
    assert.ok(pixel.every(({ eventID, dl }) => eventID && !/email/.test(dl)));
    assert.equal(pixel.filter(({ name }) => name == 'PageView').length, 2, JSON.stringify(pixel));
  });

  await world.scene(
    'the banner: refusing is as easy as accepting, stays so, and can be taken back',
    async (t) => {
      const visitor = await world.visitor(t, phone);
      const page = await open(visitor);
      const looks = (text) =>
        page.locator(`.banner button:has-text("${text}")`).evaluate((button) => {
          const { width, height } = button.getBoundingClientRect();
          const { backgroundColor, color, fontSize, fontWeight } = getComputedStyle(button);
          return { width, height, backgroundColor, color, fontSize, fontWeight };
        });
      assert.deepEqual(await looks('Recusar'), await looks('Aceitar'));
      await page.click('.banner button:has-text("Recusar")');
      await page.reload();
      await hydrated(page);
      assert.equal(await page.locator('.banner').count(), 0);
      await fill(page);
      await page.click(send);
      await page.waitForSelector('.thanks');
      assert.deepEqual(
        (await visitor.cookies()).map(({ name }) => name),
        [],
      );
      assert.equal(said().length, 1);
      assert.equal(said()[0].event.user_data, undefined);
      assert.equal(posts('/api/leads/capture')[0].answer.forwarding, 'withheld');
      await page.click('text=Preferências de cookies');
      await page.click('.banner button:has-text("Aceitar")');
      await page.evaluate(() => location.reload());
      await until(() => stored('PageView')[0]);
    },
  );

  await world.scene('wrong fields are named, by the page and by the gateway', async (t) => {
    const page = await open(await world.visitor(t, phone));
    await page.click('.banner button:has-text("Recusar")');
    await page.click(send);
    assert.deepEqual(await page.locator('.error').allTextContents(), [
      'Diga como podemos chamar você.',
      'Confira o número: DDD e telefone, só com dígitos.',
    ]);
    await fill(page);
    await page.fill('#email', 'ana@example');
    await page.click(send);
    await page.waitForSelector('#email-erro');
    assert.deepEqual(stored('Lead'), []);
    await page.fill('#email', 'ana@example.com');
    await page.click(send);
    await page.waitForSelector('.thanks');
    assert.equal(stored('Lead').length, 1);
  });

  await world.scene('what no field is at fault for leaves the form there, and says whom to call', async (t) => {
    const page = await open(await world.visitor(t, phone));
    await page.click('.banner button:has-text("Recusar")');
    proxy.fault = ({ path }) => (path == '/api/leads/capture' ? { status: 403 } : undefined);
    await fill(page);
    await page.click(send);
    await page.waitForSelector('.note.bad');
    assert.equal(await page.inputValue('#name'), 'Ana Souza');
    proxy.fault = () => undefined;
    await page.click(send);
    await page.waitForSelector('.thanks');
  });

  await world.scene('29: a double click is one lead', async (t) => {
    const page = await open(await world.visitor(t, phone));
    await page.click('.banner button:has-text("Aceitar")');
    await fill(page);
    await page.evaluate((send) => {
      const button = [...document.querySelectorAll('button')].find((button) =>
        /Pedir/.test(button.textContent),
      );
      button.click();
      button.click();
    }, send);
    await page.waitForSelector('.thanks');
    await page.evaluate(() => new Promise((done) => setTimeout(done, 300)));
    assert.equal(stored('Lead').length, 1);
    assert.equal(said().filter(({ lead }) => lead).length, 1);
    assert.equal(await page.evaluate(() => pixelSent.filter(({ name }) => name == 'Lead').length), 1);
  });

  await world.scene(
    '31: without a connection the form says so, keeps the lead through a reload, and sends it',
    async (t) => {
      const visitor = await world.visitor(t, phone);
      const page = await open(visitor);
      await page.click('.banner button:has-text("Aceitar")');
      await until(() => stored('PageView')[0]);
      await visitor.setOffline(true);
      await fill(page);
      await page.click(send);
      await page.waitForSelector('text=será enviado quando a conexão voltar');
      // The page comes from nowhere while offline: only the gateway stays out of reach.
      proxy.fault = ({ path }) => (/^\/api/.test(path) ? 'cut' : undefined);
      await visitor.setOffline(false);
      await page.reload();
      await hydrated(page);
      assert.equal(stored('Lead').length, 0);
      proxy.fault = () => undefined;
      await page.evaluate(() => dispatchEvent(new Event('online')));
      await until(() => stored('Lead')[0]);
      assert.equal(stored('Lead')[0].lead.name, 'Ana Souza');
    },
  );

  await world.scene(
    'the gateway is away for a while: the form waits, and thanks when it is back',
    async (t) => {
      const page = await open(await world.visitor(t, phone));
      await page.click('.banner button:has-text("Aceitar")');
      proxy.fault = ({ path }) => (/^\/api/.test(path) ? { status: 503 } : undefined);
      await page.evaluate(() => (Math.random = () => 0.1));
      await fill(page);
      await page.click(send);
      await until(() => posts('/api/leads/capture').length > 1);
      assert.equal(await page.locator('.thanks').count(), 0);
      proxy.fault = () => undefined;
      await page.waitForSelector('.thanks');
      assert.equal(stored('Lead').length, 1);
    },
  );

  await world.scene('it fits phones and desktops, and its main parts have names', async (t) => {
    for (const viewport of [
      { width: 320, height: 640 },
      { width: 390, height: 844 },
      { width: 1360, height: 860 },
    ]) {
      const page = await open(await world.visitor(t, { viewport }));
      assert.equal(
        await page.evaluate(() => document.documentElement.scrollWidth > innerWidth),
        false,
        String(viewport.width),
      );
      for (const name of ['Nome', 'WhatsApp', 'O que você procura?'])
        assert.equal((await page.getByLabel(name, { exact: true }).count()) > 0, true, name);
      const small = await page.evaluate(() =>
        [...document.querySelectorAll('button, input, select, a.primary, a.pill')]
          .filter((element) => element.offsetHeight && element.offsetHeight < 30)
          .map((element) => element.textContent),
      );
      assert.deepEqual(small, []);
    }
  });
});
