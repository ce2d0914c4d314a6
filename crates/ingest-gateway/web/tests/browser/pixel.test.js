// Pixel and gateway: the same id in both, each thing once, and nothing that the Pixel does by itself.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { skip, startWorld } from '../support/world.js';

const pixelId = '123456789012345';

test('pixel', { skip }, async (t) => {
  const world = await startWorld(t);
  const { host, until, stored, said } = world;
  const both = `data-pixel="${pixelId}" data-load-pixel`;
  // Records what is called, before the page's own scripts.
  const recorder = `<script>window.calls = []; window.fbq = (...said) => calls.push(said);</script>`;
  world.serve('/', world.html(world.tag(both)));
  world.serve('/routed', world.html(world.tag(both)));
  world.serve('/own', world.html(recorder + world.tag(`data-pixel="${pixelId}" data-pages="off"`)));
  world.serve('/away', world.html('', 'away', 'Away'));
  const open = async (visitor, path = '/') => {
    const page = await visitor.newPage();
    await page.goto(host + path);
    await page.waitForFunction(() => window.rastro?.track);
    return page;
  };
  const sent = (page, name) =>
    page.evaluate((name) => (window.pixelSent ?? []).filter((call) => !name || call.name == name), name);
  const views = (page) => sent(page, 'PageView');
  const settled = (page) => page.evaluate(() => new Promise((done) => setTimeout(done, 500)));

  await world.scene('21: Pixel and gateway get one id', async (t) => {
    const page = await open(await world.visitor(t));
    const lead = await page.evaluate(async () => {
      const tracked = rastro.trackLead(
        { name: 'Ana', email: 'ana@example.com' },
        { params: { content_name: 'Avaliação' } },
      );
      return { id: tracked.eventId, outcome: await tracked.outcome };
    });
    assert.equal(lead.outcome.status, 'accepted');
    assert.ok(lead.outcome.lead_id);
    await until(async () => (await sent(page)).length == 2);
    const pixel = Object.fromEntries((await sent(page)).map(({ name, eventID }) => [name, eventID]));
    const gateway = Object.fromEntries(stored().map(({ event }) => [event.event_name, event.event_id]));
    assert.equal(pixel.Lead, lead.id);
    assert.deepEqual(pixel, gateway);
    assert.deepEqual(stored('Lead')[0].lead, { name: 'Ana', email: 'ana@example.com' });
  });

  await world.scene('21: the id is the fourth argument, beside the parameters', async (t) => {
    const page = await open(await world.visitor(t), '/own?cpf=12345678909&utm_source=ig');
    await page.evaluate(async () => {
      await rastro.track('ViewContent', { value: 1, currency: 'BRL' }, { eventId: 'view-1' }).outcome;
      await rastro.track('Agendou', {}, { eventId: 'own-1', custom: true }).outcome;
      await rastro.track('Search', {}, { eventId: 'quiet-1', pixel: false }).outcome;
    });
    const eventSourceUrl = host + '/own?utm_source=ig';
    assert.deepEqual(await page.evaluate(() => calls.filter(([name]) => name != 'consent')), [
      [
        'trackSingle',
        pixelId,
        'ViewContent',
        { value: 1, currency: 'BRL' },
        { eventID: 'view-1', eventSourceUrl },
      ],
      ['trackSingleCustom', pixelId, 'Agendou', {}, { eventID: 'own-1', eventSourceUrl }],
    ]);
  });

  await world.scene('22: other pixels of the page get nothing', async (t) => {
    const page = await open(await world.visitor(t));
    await page.evaluate(() => fbq('init', '999'));
    await page.evaluate(() => rastro.track('Search').outcome);
    const queue = await page.evaluate(() => fbq.queue);
    assert.deepEqual(queue, []);
    assert.equal((await sent(page, 'Search')).length, 1);
    world.serve('/two', world.html(recorder + world.tag(`data-pixel="${pixelId}"`)));
    const two = await open(await world.visitor(t), '/two');
    await until(async () => (await two.evaluate(() => calls.length)) > 0);
    const calls = await two.evaluate(() => calls.filter(([name]) => /track/.test(name)));
    assert.ok(calls.every(([name, id]) => /^trackSingle/.test(name) && id == pixelId));
  });

  await world.scene(
    '29: a lead counts at Meta when the gateway has it, not when it refuses it',
    async (t) => {
      const page = await open(await world.visitor(t), '/own');
      const outcome = await page.evaluate(
        () => rastro.trackLead({ name: 'Ana', email: 'nonsense' }).outcome,
      );
      assert.equal(outcome.status, 'rejected');
      assert.deepEqual(
        outcome.errors.map(({ pointer }) => pointer),
        ['/lead/email'],
      );
      assert.deepEqual(await page.evaluate(() => calls.filter(([name]) => name != 'consent')), []);
    },
  );

  await world.scene(
    '2: a purchase once, though the page is opened again, in another tab, in another browser',
    async (t) => {
      const orderId = 'PED-' + randomUUID();
      world.serve(
        '/obrigado',
        world.html(
          world.tag(both + ' data-pages="off"') +
            `<script>
      (window.rastro = window.rastro || []).push(['trackPurchase', { orderId: '${orderId}', value: 349.9, items: [{ id: '7', quantity: 1 }], service_type: 'implante', email: 'ana@example.com' }]);
    </script>`,
        ),
      );
      const visitor = await world.visitor(t);
      const page = await open(visitor, '/obrigado');
      await until(() => stored('Purchase')[0]);
      await until(async () => (await sent(page, 'Purchase')).length == 1);
      assert.equal((await sent(page, 'Purchase'))[0].eventID, orderId);
      assert.deepEqual(stored('Purchase')[0].purchase, {
        order_id: orderId,
        currency: 'BRL',
        value: 349.9,
        items: [{ id: '7', quantity: 1 }],
        service_type: 'implante',
        email: 'ana@example.com',
      });
      const again = async (page, action, pixelCalls) => {
        const before = said().length;
        await action();
        await page.waitForFunction(() => window.rastro?.track);
        await until(() => said().length > before);
        await settled(page);
        assert.equal((await sent(page, 'Purchase')).length, pixelCalls);
      };
      await again(page, () => page.reload(), 0);
      const tab = await visitor.newPage();
      await again(tab, () => tab.goto(host + '/obrigado'), 0);
      // Another browser cannot know; Meta and the gateway see the same id.
      const other = await (await world.visitor(t)).newPage();
      await again(other, () => other.goto(host + '/obrigado'), 1);
      assert.equal((await sent(other, 'Purchase'))[0].eventID, orderId);
      assert.equal(stored('Purchase').length, 1);
      assert.ok(
        said()
          .filter(({ purchase }) => purchase)
          .slice(1)
          .every(({ status }) => status == 'duplicate'),
      );
    },
  );

  await world.scene(
    '12, 27: the Pixel hears of a purchase when the business has it, and not who bought',
    async (t) => {
      const page = await open(await world.visitor(t), '/own');
      const orderId = 'PED-' + randomUUID();
      const bought = { orderId, value: 10, email: 'ana@example.com', cliente: 'Ana', items: [{ id: '7' }] };
      world.proxy.fault = ({ path }) => (/purchases/.test(path) ? { status: 403 } : undefined);
      const tracked = () =>
        page.evaluate((bought) => rastro.trackPurchase(bought).outcome.then(({ status }) => status), bought);
      const pixel = () => page.evaluate(() => calls.filter((call) => call[2] == 'Purchase'));
      assert.equal(await tracked(), 'rejected');
      assert.deepEqual(await pixel(), []);
      world.proxy.fault = () => undefined;
      assert.equal(await tracked(), 'accepted');
      assert.deepEqual(
        (await pixel()).map((call) => call[3]),
        [{ order_id: orderId, value: 10, currency: 'BRL', contents: [{ id: '7' }] }],
      );
    },
  );

  await world.scene(
    "17: the default says nothing to a Pixel of the page's own, an answer does",
    async (t) => {
      world.serve('/cmp', world.html(recorder + world.tag('data-pages="off"')));
      const page = await open(await world.visitor(t), '/cmp');
      const told = () =>
        page.evaluate(() => calls.filter(([name]) => name == 'consent').map((call) => call[1]));
      assert.deepEqual(await told(), []);
      await page.evaluate(() => rastro.consent('denied'));
      assert.deepEqual(await told(), ['revoke']);
      world.serve('/cmp-asks', world.html(recorder + world.tag('data-pages="off" data-consent="pending"')));
      await page.goto(host + '/cmp-asks');
      await page.waitForFunction(() => window.rastro?.track);
      assert.deepEqual(await told(), ['revoke']);
    },
  );

  await world.scene(
    'a pending purchase is a claim: the Pixel hears nothing until it is approved',
    async (t) => {
      const page = await open(await world.visitor(t), '/own');
      const orderId = 'PIX-' + randomUUID();
      const outcomes = await page.evaluate(async (orderId) => {
        const one = await rastro.trackPurchase({ orderId, value: 10, status: 'pending' }).outcome;
        const before = calls.filter(([name]) => /track/.test(name)).length;
        const other = await rastro.trackPurchase({ orderId, value: 10 }).outcome;
        return [one.status, before, other.status, calls.filter(([name]) => /track/.test(name)).length];
      }, orderId);
      assert.deepEqual(outcomes, ['accepted', 0, 'accepted', 1]);
    },
  );

  await world.scene(
    '25: a call without the Pixel does not silence the one with it, nor the gateway',
    async (t) => {
      const page = await open(await world.visitor(t), '/own');
      const eventId = randomUUID();
      await page.evaluate(async (eventId) => {
        await rastro.track('Subscribe', {}, { eventId, pixel: false }).outcome;
        await rastro.track('Subscribe', {}, { eventId }).outcome;
        await rastro.track('Subscribe', {}, { eventId }).outcome;
      }, eventId);
      assert.equal((await page.evaluate(() => calls.filter((call) => call[2] == 'Subscribe'))).length, 1);
      assert.equal(stored('Subscribe').length, 1);
      // The mark of the Pixel alone: the gateway's copy still goes.
      const other = randomUUID();
      await page.evaluate((other) => {
        localStorage['rastro:p:Donate:' + other] = Date.now() + 864e5;
        return rastro.track('Donate', {}, { eventId: other }).outcome;
      }, other);
      assert.equal((await page.evaluate(() => calls.filter((call) => call[2] == 'Donate'))).length, 0);
      assert.equal(stored('Donate').length, 1);
    },
  );

  for (const navigationApi of [true, false]) {
    const how = navigationApi ? 'Navigation API' : 'without the Navigation API';
    const visitorOf = async (t) => {
      const visitor = await world.visitor(t);
      if (!navigationApi)
        await visitor.addInitScript(() =>
          Object.defineProperty(window, 'navigation', { value: undefined }),
        );
      return visitor;
    };

    await world.scene(`3: three routes are three page views, all with ids (${how})`, async (t) => {
      const page = await open(await visitorOf(t), '/routed');
      await until(async () => (await views(page)).length == 1);
      await until(() => stored('PageView').length == 1);
      for (const [at, path] of ['/um', '/dois?pagina=2'].entries()) {
        await page.evaluate((path) => history.pushState({ of: 'router' }, '', path), path);
        await until(async () => (await views(page)).length == at + 2);
        await until(() => stored('PageView').length == at + 2);
      }
      assert.deepEqual(
        (await views(page)).map(({ eventID }) => eventID),
        stored('PageView').map(({ event }) => event.event_id),
      );
      assert.deepEqual(await page.evaluate(() => history.state), { of: 'router' });
      assert.deepEqual(
        stored('PageView').map(({ event }) => event.referrer_url),
        [undefined, host + '/routed', host + '/um'],
      );
    });

    await world.scene(
      `4: decoration, hash and a bounce through a route are no page views (${how})`,
      async (t) => {
        const page = await open(await visitorOf(t), '/routed');
        await until(async () => (await views(page)).length == 1);
        await until(() => stored('PageView').length == 1);
        await page.evaluate(() => history.replaceState(null, '', '/routed?xcod=a&sck=b&utm_source=ig'));
        await settled(page);
        await page.evaluate(() => history.replaceState(null, '', '/routed?xcod=a&sck=b&utm_source=ig#topo'));
        await settled(page);
        await page.evaluate(async () => {
          history.pushState(null, '', '/login');
          await new Promise((done) => setTimeout(done, 50));
          history.pushState(null, '', '/routed');
        });
        await settled(page);
        assert.equal((await views(page)).length, 1);
        assert.equal(stored('PageView').length, 1);
      },
    );

    await world.scene(
      `4: an address that is cleaned when the visitor consents is the same page (${how})`,
      async (t) => {
        world.serve('/pede', world.html(world.tag(both + ' data-clean-url data-consent="pending"')));
        const page = await open(await visitorOf(t), '/pede?email=ana%40example.com&utm_source=ig');
        await page.evaluate(() => rastro.consent('granted'));
        await until(async () => (await views(page)).length == 1);
        assert.equal(page.url(), host + '/pede?utm_source=ig');
        await settled(page);
        assert.equal((await views(page)).length, 1);
        assert.equal(stored('PageView').length, 1);
        // A route that is cleaned before it has settled is a page all the same, and one.
        await page.evaluate(() => {
          history.pushState(null, '', '/pede/outra?cpf=12345678909');
          rastro.consent('granted');
        });
        await until(async () => (await views(page)).length == 2);
        await settled(page);
        assert.equal((await views(page)).length, 2);
        assert.deepEqual(
          stored('PageView').map(({ event }) => event.event_source_url),
          [host + '/pede?utm_source=ig', host + '/pede/outra'],
        );
      },
    );

    await world.scene(
      `15: back to a route that was left before it settled is one page view (${how})`,
      async (t) => {
        world.serve('/volta', world.html(world.tag(), '', 'Volta'));
        const page = await open(await visitorOf(t), '/volta');
        await until(() => stored('PageView').length == 1);
        await page.evaluate(() => {
          addEventListener('pageshow', (event) => (window.persisted = event.persisted));
          history.pushState(null, '', '/volta?passo=2');
          location.href = '/away';
        });
        await page.waitForFunction(() => document.title == 'Away');
        await page.evaluate(() => history.back());
        await page.waitForFunction(() => document.title == 'Volta' && window.persisted);
        await until(() => stored('PageView').length == 2);
        await settled(page);
        assert.equal(stored('PageView').length, 2);
      },
    );

    await world.scene(
      `26: other wrappers of the history live on, and early copies are seen (${how})`,
      async (t) => {
        world.serve(
          '/wrapped',
          world.html(
            `<script>
        window.early = history.pushState;
        window.heard = [];
        const wrap = (name) => { const original = history.pushState; history.pushState = function (...said) { heard.push(name); return original.apply(this, said); }; };
        wrap('before');
      </script>` + world.tag(both),
          ),
        );
        const page = await open(await visitorOf(t), '/wrapped');
        await until(async () => (await views(page)).length == 1);
        await page.evaluate(() => {
          wrap('after');
          history.pushState({ n: 1 }, '', '/tres');
        });
        await until(async () => (await views(page)).length == 2);
        assert.deepEqual(await page.evaluate(() => heard), ['after', 'before']);
        await page.evaluate(() => early.call(history, { n: 2 }, '', '/quatro'));
        await until(async () => (await views(page)).length == 3);
        await page.evaluate(() => history.back());
        await until(async () => (await views(page)).length == 4);
        assert.equal(await page.evaluate(() => history.state.n), 1);
        assert.ok((await views(page)).every(({ eventID }) => eventID));
      },
    );
  }

  await world.scene('3: the stand-in does double page views where nobody switches that off', async (t) => {
    world.serve(
      '/naive',
      world.html(`<script>
      window.fbq = function () { fbq.callMethod ? fbq.callMethod.apply(fbq, arguments) : fbq.queue.push(arguments); };
      fbq.queue = []; fbq('init', '1'); fbq('track', 'PageView', {}, { eventID: 'a' });
    </script><script async src="https://connect.facebook.net/en_US/fbevents.js"></script>`),
    );
    const page = await (await world.visitor(t)).newPage();
    await page.goto(host + '/naive');
    await page.evaluate(() => history.pushState(null, '', '/um'));
    assert.deepEqual(
      (await views(page)).map(({ eventID }) => eventID),
      ['a', undefined],
    );
  });

  await world.scene(
    '15: back from the cache is one page view; the page is not kept out of it',
    async (t) => {
      for (const pixel of [false, true]) {
        world.serve('/cached', world.html(world.tag(pixel ? both : ''), '', 'Cached'));
        const earlier = stored('PageView').length;
        const page = await open(await world.visitor(t), '/cached');
        await page.evaluate(() => {
          window.born = 'here';
          addEventListener('pageshow', (event) => (window.persisted = event.persisted));
        });
        await until(() => stored('PageView').length > earlier);
        const before = stored('PageView').length;
        await page.evaluate(() => (location.href = '/away'));
        await page.waitForFunction(() => document.title == 'Away');
        await page.evaluate(() => history.back());
        await page.waitForFunction(() => document.title == 'Cached' && window.persisted);
        assert.equal(await page.evaluate(() => window.born), 'here');
        await settled(page);
        // The real Pixel sends one of its own then.
        assert.equal(stored('PageView').length - before, pixel ? 0 : 1);
        if (pixel) assert.equal((await views(page)).length, 2);
        await page.close();
      }
    },
  );

  await world.scene('16: a page that is only prerendered is not counted', async (t) => {
    const visitor = await world.visitor(t);
    await visitor.addInitScript(() => {
      window.prerenders = true;
      Object.defineProperty(document, 'prerendering', { get: () => window.prerenders });
    });
    const page = await open(visitor, '/');
    await settled(page);
    assert.equal(stored('PageView').length, 0);
    assert.equal(await page.evaluate(() => document.cookie), '');
    await page.evaluate(() => {
      window.prerenders = false;
      document.dispatchEvent(new Event('prerenderingchange'));
    });
    await until(() => stored('PageView').length == 1);
    await until(async () => (await views(page)).length == 1);
  });

  await world.scene(
    '17: revoke stands before init, grant comes with the consent, and the script only then',
    async (t) => {
      world.serve('/asks', world.html(world.tag(both + ' data-consent="pending"')));
      const page = await open(await world.visitor(t), '/asks');
      const commands = () =>
        page.evaluate(() => fbq.queue.map(([name, what]) => (name == 'consent' ? what : name)));
      assert.deepEqual(await commands(), ['set', 'revoke', 'init']);
      assert.equal(await page.evaluate(() => document.querySelectorAll('script[src*=facebook]').length), 0);
      await page.evaluate(() => rastro.consent('granted'));
      await until(async () => (await views(page)).length == 1);
      await until(() => stored('PageView').length == 1);
      await page.evaluate(() => rastro.consent('denied'));
      await page.evaluate(() => rastro.track('Search').outcome);
      assert.equal((await sent(page)).length, 1);
    },
  );

  await world.scene('18: one external file under a strict policy, which hands its nonce on', async (t) => {
    const policy = `script-src 'nonce-abc' 'strict-dynamic'; connect-src ${world.track} https://www.facebook.com; default-src 'none'; img-src data:`;
    world.serve('/strict', world.html(world.tag(both + ' nonce="abc"')), {
      headers: { 'content-security-policy': policy },
    });
    const page = await open(await world.visitor(t), '/strict');
    await until(async () => (await views(page)).length == 1);
    await until(() => stored('PageView').length == 1);
    assert.equal(await page.evaluate(() => document.querySelector('script[src*=facebook]').nonce), 'abc');
  });

  await world.scene('27: the address bar can be cleaned before the Pixel reads it', async (t) => {
    world.serve('/volta', world.html(world.tag(both + ' data-clean-url')));
    const page = await open(
      await world.visitor(t),
      '/volta?status=approved&external_reference=ana%40example.com&payment_id=1&utm_source=ig#passo',
    );
    await until(async () => (await views(page)).length == 1);
    assert.equal((await views(page))[0].dl, host + '/volta?utm_source=ig#passo');
    await until(() => stored('PageView')[0]);
    assert.equal(stored('PageView')[0].event.event_source_url, host + '/volta?utm_source=ig');
  });
});
