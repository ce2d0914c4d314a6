// The way from the page to the gateway. Numbers are those of the complaints in the reference.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { key, skip, startWorld } from '../support/world.js';

const collect = '/api/meta/conversions';

test('delivery', { skip }, async (t) => {
  const world = await startWorld(t);
  const { host, proxy, until, stored, posts, said } = world;
  const quiet = 'data-pages="off"';
  world.serve('/', world.html(world.tag(quiet), '<a href="/next">next</a>'));
  world.serve('/next', world.html(world.tag(quiet), 'next', 'Next'));
  world.serve('/blank', world.html('', 'blank'));
  const open = async (visitor, path = '/') => {
    const page = await visitor.newPage();
    await page.goto(host + path);
    await page.waitForFunction(() => window.rastro?.track);
    return page;
  };
  const kept = (page, store = 'localStorage') =>
    page.evaluate(
      (store) => Object.keys(window[store]).filter((name) => name.startsWith('rastro:q:')),
      store,
    );

  await world.scene('5: events go without a preflight, as text, with the key in the query', async (t) => {
    const page = await open(await world.visitor(t));
    const outcome = await page.evaluate(
      () => rastro.track('ViewContent', { value: 129.9, currency: 'BRL', content_ids: ['7'] }).outcome,
    );
    assert.equal(outcome.status, 'accepted');
    const [post] = posts();
    assert.match(post.headers['content-type'], /^text\/plain/);
    assert.equal(post.url, `${collect}?key=${key}`);
    assert.equal(proxy.requests.filter(({ method }) => method == 'OPTIONS').length, 0);
    assert.deepEqual(await kept(page), []);
  });

  await world.scene(
    '5: an answer that the page may not read still stores, and the event is kept for later',
    async (t) => {
      proxy.fault = ({ path }) => (path == collect ? { strip: true } : undefined);
      const page = await open(await world.visitor(t, { quiet: false }));
      await page.evaluate(() => void rastro.track('Search'));
      await until(() => stored('Search')[0]);
      assert.equal((await kept(page)).length, 1);
      proxy.fault = () => undefined;
      await page.evaluate(() => rastro.flush());
      await until(async () => (await kept(page)).length == 0);
      assert.equal(stored('Search').length, 1);
      assert.equal(said().at(-1).status, 'duplicate');
    },
  );

  await world.scene('7: two hundred large events, then the page is closed: nothing is lost', async (t) => {
    const visitor = await world.visitor(t);
    const page = await open(visitor);
    // 100 may wait. What is sent meanwhile makes room.
    await page.evaluate(async () => {
      const filler = 'ç'.repeat(3000);
      for (let i = 0; i < 200; i++) {
        rastro.track('Big' + i, { filler });
        if (i == 54 || i == 109) await rastro.flush();
      }
    });
    await page.close({ runBeforeUnload: true });
    const again = await open(visitor, '/next');
    await until(() => stored().filter(({ event }) => /^Big/.test(event.event_name)).length == 200);
    await until(async () => (await kept(again)).length == 0);
    for (const { text } of posts(collect)) assert.ok(Buffer.byteLength(text) < 65536);
  });

  await world.scene('8: a beacon that met a 503 is delivered by the next page', async (t) => {
    const visitor = await world.visitor(t);
    const page = await open(visitor);
    proxy.fault = ({ path }) => (path == collect ? { status: 503 } : undefined);
    await page.evaluate(() => {
      rastro.track('AddToCart');
      location.href = '/next';
    });
    await until(() => posts(collect).find(({ text }) => /AddToCart/.test(text)));
    await page.waitForFunction(() => document.title == 'Next' && window.rastro?.track);
    assert.equal(stored('AddToCart').length, 0);
    proxy.fault = () => undefined;
    await page.evaluate(() => rastro.flush());
    await until(() => stored('AddToCart')[0]);
    const added = posts(collect)
      .flatMap(({ body }) => body.events)
      .filter(({ event_name }) => event_name == 'AddToCart');
    assert.ok(added.length > 1);
    const ids = new Set(added.map(({ event_id }) => event_id));
    assert.equal(ids.size, 1);
  });

  await world.scene(
    '9, 24: what is tracked while leaving arrives: link, location, close, hide',
    async (t) => {
      const visitor = await world.visitor(t);
      // Often, because a request that begins just before the page goes is lost only sometimes.
      for (const leave of ['link', 'close', 'hide', ...Array(12).fill('location')]) {
        const page = await open(visitor);
        const id = randomUUID();
        await page.evaluate(
          ([leave, eventId]) => {
            document
              .querySelector('a')
              .addEventListener('click', () => rastro.track('Leave', {}, { eventId }));
            addEventListener('pagehide', () => leave == 'close' && rastro.track('Leave', {}, { eventId }));
            if (leave == 'link') document.querySelector('a').click();
            if (leave == 'location') {
              rastro.track('Leave', {}, { eventId });
              location.href = '/blank';
            }
            if (leave == 'hide') {
              rastro.track('Leave', {}, { eventId });
              Object.defineProperty(document, 'hidden', { value: true });
              document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
            }
          },
          [leave, id],
        );
        if (leave == 'close') await page.close({ runBeforeUnload: true });
        await until(() => stored('Leave').find(({ event }) => event.event_id == id), leave);
        await page.close();
      }
    },
  );

  await world.scene('9: beacons carry what a request has not taken yet', async (t) => {
    const page = await open(await world.visitor(t));
    const beacons = await page.evaluate(() => {
      const sent = [];
      const original = navigator.sendBeacon;
      navigator.sendBeacon = function (url, body) {
        const done = original.call(navigator, url, body);
        sent.push({
          type: typeof body,
          events: JSON.parse(body).events.map((event) => event.event_name),
          done,
        });
        return done;
      };
      rastro.track('One');
      rastro.track('Two');
      dispatchEvent(new PageTransitionEvent('pagehide'));
      return sent;
    });
    assert.deepEqual(
      beacons.map(({ events }) => events.sort()),
      [['One', 'Two']],
    );
    assert.equal(beacons[0].type, 'string');
    assert.equal((await kept(page)).length, 2, 'a beacon is no acknowledgement');
    await until(() => stored('One')[0] && stored('Two')[0]);
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })));
    await until(async () => (await kept(page)).length == 0);
    assert.equal(stored('One').length + stored('Two').length, 2);
  });

  await world.scene('7: a beacon that the browser refuses goes in halves', async (t) => {
    const page = await open(await world.visitor(t));
    const sizes = await page.evaluate(() => {
      const sizes = [];
      navigator.sendBeacon = (url, body) => {
        const { length } = JSON.parse(body).events;
        sizes.push(length);
        return length < 3;
      };
      for (let i = 0; i < 8; i++) rastro.track('Half' + i);
      dispatchEvent(new PageTransitionEvent('pagehide'));
      return sizes;
    });
    assert.deepEqual(sizes, [8, 4, 2, 2, 4, 2, 2]);
  });

  await world.scene('10: three tabs with one queue: each event is stored once', async (t) => {
    const visitor = await world.visitor(t);
    proxy.fault = ({ path }) => (path == collect ? 'cut' : undefined);
    const page = await open(visitor);
    await page.evaluate(() => [1, 2, 3, 4, 5].forEach((i) => rastro.track('Tab' + i)));
    await until(() => posts(collect).find(({ text }) => /Tab5/.test(text)));
    const tabs = [page, await open(visitor), await open(visitor)];
    proxy.fault = () => undefined;
    await Promise.all(tabs.map((tab) => tab.evaluate(() => rastro.flush())));
    await until(async () => (await kept(page)).length == 0);
    assert.deepEqual(
      stored()
        .map(({ event }) => event.event_name)
        .filter((name) => /^Tab/.test(name))
        .sort(),
      ['Tab1', 'Tab2', 'Tab3', 'Tab4', 'Tab5'],
    );
    assert.ok(said().every(({ status }) => status != 'rejected'));
  });

  await world.scene('11: an event survives the death of its page', async (t) => {
    const visitor = await world.visitor(t);
    proxy.fault = ({ path }) => (path == collect ? 'cut' : undefined);
    const page = await open(visitor);
    await page.evaluate(() => void rastro.track('Crash'));
    const devtools = await visitor.newCDPSession(page);
    const crashed = new Promise((done) => page.on('crash', done));
    devtools.send('Page.crash').catch(() => {});
    await crashed;
    proxy.fault = () => undefined;
    await open(visitor);
    await until(() => stored('Crash')[0]);
  });

  await world.scene('13: storage that is full or forbidden: the event arrives all the same', async (t) => {
    for (const how of ['full', 'forbidden']) {
      const visitor = await world.visitor(t);
      await visitor.addInitScript((how) => {
        if (how == 'full') {
          try {
            for (let size = 2 ** 22; size > 8; size /= 2) {
              for (let i = 0; ; i++) localStorage.setItem('full' + size + '/' + i, 'x'.repeat(size));
            }
          } catch {}
          Storage.prototype.setItem = () => {
            throw new DOMException('full', 'QuotaExceededError');
          };
        } else {
          for (const name of ['localStorage', 'sessionStorage']) {
            Object.defineProperty(window, name, {
              get() {
                throw new DOMException('forbidden', 'SecurityError');
              },
            });
          }
        }
      }, how);
      const page = await open(visitor);
      const outcome = await page.evaluate(() => rastro.track('Storage').outcome);
      assert.equal(outcome.status, 'accepted', how);
      assert.equal(
        (
          await page.evaluate(
            () =>
              rastro.trackPurchase({
                orderId: crypto.getRandomValues(new Uint32Array(1))[0] + '',
                value: 1,
              }).outcome,
          )
        ).status,
        'accepted',
      );
    }
  });

  await world.scene('30: ids on a plain http host, where crypto.randomUUID is missing', async (t) => {
    const page = await open(await world.visitor(t));
    const [missing, ids] = await page.evaluate(() => [
      typeof crypto.randomUUID,
      [1, 2, 3].map(() => rastro.track('Id').eventId),
    ]);
    await until(() => stored('Id').length == 3);
    assert.equal(missing, 'undefined');
    assert.equal(new Set(ids).size, 3);
    ids.forEach((id) =>
      assert.match(id, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/),
    );
  });

  await world.scene('429: the gateway names the time of the next try', async (t) => {
    let refuse = true;
    proxy.fault = ({ path }) =>
      path == collect && refuse ? { status: 429, headers: { 'retry-after': '1' } } : undefined;
    const page = await open(await world.visitor(t));
    await page.evaluate(() => {
      // Which timer led to each request.
      window.asked = [];
      let last;
      const [later, ask] = [setTimeout, fetch];
      window.setTimeout = (action, delay) =>
        later(() => {
          last = delay;
          action();
        }, delay);
      window.fetch = (...said) => {
        // While the answer is awaited: it waits too.
        if (asked.push(last) == 1) rastro.track('Meanwhile');
        return ask(...said);
      };
      rastro.track('Patience');
    });
    await until(() => posts(collect).find(({ status, text }) => status == 429 && /Patience/.test(text)));
    refuse = false;
    await until(() => stored('Patience')[0] && stored('Meanwhile')[0]);
    assert.deepEqual(await page.evaluate(() => asked), [20, 1000]);
  });

  await world.scene(
    'a request that cannot be answered stops after six tries, each second one without keepalive, until the visitor is back',
    async (t) => {
      proxy.fault = ({ path }) => (path == collect ? 'cut' : undefined);
      const page = await open(await world.visitor(t, { quiet: false }));
      // Chromium itself repeats a request once that a cut connection swallowed: the SDK's tries are counted
      // in the page.
      await page.evaluate(() => {
        Math.random = () => 0;
        window.tries = [];
        const original = fetch;
        window.fetch = (url, options) => {
          tries.push(options.keepalive);
          return original(url, options);
        };
        rastro.track('Blocked');
      });
      await page.waitForFunction(() => tries.length == 6);
      await page.evaluate(() => void rastro.track('Blocked too'));
      await page.evaluate(() => new Promise((done) => setTimeout(done, 100)));
      assert.deepEqual(await page.evaluate(() => tries), [true, false, true, false, true, false]);
      proxy.fault = () => undefined;
      await page.evaluate(() => dispatchEvent(new Event('online')));
      await until(() => stored('Blocked')[0] && stored('Blocked too')[0]);
    },
  );

  await world.scene('what was refused is reported and removed', async (t) => {
    const page = await open(await world.visitor(t));
    const outcome = await page.evaluate(
      () => rastro.trackPurchase({ orderId: 'negative', value: -1 }).outcome,
    );
    assert.equal(outcome.status, 'rejected');
    assert.deepEqual(
      outcome.errors.map(({ pointer }) => pointer),
      ['/purchase/value'],
    );
    assert.deepEqual(await kept(page), []);
  });

  await world.scene("an answer that is not the gateway's acknowledges nothing", async (t) => {
    proxy.fault = ({ path }) =>
      path == collect
        ? { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Wi-Fi</h1>' }
        : undefined;
    const page = await open(await world.visitor(t));
    await page.evaluate(() => void rastro.track('Portal'));
    await until(() => posts(collect).find(({ text }) => /Portal/.test(text)));
    proxy.fault = ({ path }) => (path == collect ? { status: 200, body: '{"ok":true}' } : undefined);
    await page.evaluate(() => rastro.flush());
    assert.equal((await kept(page)).length, 1);
    proxy.fault = () => undefined;
    await page.evaluate(() => rastro.flush());
    await until(() => stored('Portal')[0]);
    proxy.fault = ({ path }) =>
      path == '/api/leads/capture' ? { status: 200, body: '{"ok":true}' } : undefined;
    await page.evaluate(() => void rastro.trackLead({ email: 'ana@example.com' }));
    await until(() => posts('/api/leads/capture')[0]);
    await page.evaluate(() => rastro.flush());
    assert.equal((await kept(page, 'sessionStorage')).length, 1);
    proxy.fault = () => undefined;
    await page.evaluate(() => rastro.flush());
    await until(() => stored('Lead')[0]);
  });

  await world.scene(
    'when the queue is full the oldest page view goes first, a purchase last',
    async (t) => {
      const visitor = await world.visitor(t);
      proxy.fault = ({ path }) => (/^\/api/.test(path) ? 'cut' : undefined);
      const page = await open(visitor);
      const orderId = 'full-' + randomUUID();
      await page.evaluate((orderId) => {
        rastro.trackPurchase({ orderId, value: 10 });
        rastro.track('Old');
        for (let i = 0; i < 100; i++) rastro.track('PageView', { i });
      }, orderId);
      const names = await kept(page);
      assert.equal(names.length, 100);
      assert.ok(names.includes('rastro:q:Purchase:' + orderId));
      assert.ok(names.some((name) => name.startsWith('rastro:q:Old:')));
    },
  );

  await world.scene('broken and old things in storage are thrown away', async (t) => {
    const visitor = await world.visitor(t);
    const first = await visitor.newPage();
    await first.goto(host + '/blank');
    await first.evaluate((key) => {
      localStorage['rastro:q:Broken:1'] = '{"name":';
      localStorage['rastro:q:Old:1'] = JSON.stringify({ name: 'Old:1', key, at: Date.now() - 7 * 864e5 });
      localStorage['rastro:p:Purchase:1'] = Date.now() - 7 * 864e5;
      localStorage['rastro:p:Purchase:2'] = Date.now() + 864e5;
      localStorage['of-the-page'] = 'stays';
    }, key);
    const page = await open(visitor);
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).sort()), [
      'of-the-page',
      'rastro:p:Purchase:2',
    ]);
  });

  await world.scene(
    'calls before the script is there are replayed in order; a second copy of it does nothing',
    async (t) => {
      world.serve(
        '/early',
        world.html(
          `<script>window.rastro = []; rastro.push(['typo']); rastro.push(['track', 'First', { n: 1 }]); rastro.push(['track', 'Second'])</script>${world.tag(quiet)}${world.tag(quiet)}`,
        ),
      );
      const page = await open(await world.visitor(t), '/early');
      await page.evaluate(() => rastro.push(['track', 'Third']));
      await until(() => stored().length == 3);
      assert.deepEqual(
        stored()
          .map(({ event }) => event.event_name)
          .sort(),
        ['First', 'Second', 'Third'],
      );
    },
  );
});
