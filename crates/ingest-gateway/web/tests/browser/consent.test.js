// What the visitor allows, what is kept where, and what the plug-ins for forms, links and Google add.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { skip, startWorld } from '../support/world.js';

test('consent and privacy', { skip }, async (t) => {
  const world = await startWorld(t);
  const { host, proxy, until, stored, posts, said } = world;
  world.serve('/', world.html(world.tag('data-pages="off"')));
  world.serve('/asks', world.html(world.tag('data-consent="pending"')));
  world.serve('/refused', world.html(world.tag('data-consent="denied"')));
  world.serve('/blank', world.html('', 'blank'));
  const open = async (visitor, path = '/', tab) => {
    const page = tab ?? (await visitor.newPage());
    await page.goto(host + path);
    await page.waitForFunction(() => window.rastro?.track);
    return page;
  };
  const quiet = (page) => page.evaluate(() => new Promise((done) => setTimeout(done, 300)));
  const written = (page) =>
    page.evaluate(() => ({
      cookies: document.cookie,
      local: JSON.stringify(localStorage),
      session: JSON.stringify(sessionStorage),
    }));

  await world.scene(
    'pending: nothing leaves, nothing is written; granted: it goes with its own time and address',
    async (t) => {
      const page = await open(await world.visitor(t), '/asks?utm_source=ig&fbclid=AbC');
      await page.evaluate(() => void rastro.track('Search'));
      await quiet(page);
      assert.deepEqual(posts(), []);
      assert.deepEqual(await written(page), { cookies: '', local: '{}', session: '{}' });
      assert.equal(await page.evaluate(() => rastro.visitorId()), '');
      const before = Math.floor(Date.now() / 1000);
      await page.evaluate(() => {
        history.replaceState(null, '', '/elsewhere');
        rastro.consent('granted', { source: 'banner', ad_personalization: 'denied' });
      });
      const [search] = await until(() => stored('Search')[0] && stored('Search'));
      assert.equal(search.event.event_source_url, host + '/asks?utm_source=ig&fbclid=AbC');
      assert.ok(search.event.event_time <= before);
      assert.match(search.event.user_data.fbc, /^fb\.2\.\d+\.AbC$/);
      const { at, ...consent } = search.envelope.consent;
      assert.deepEqual(consent, {
        ad_storage: 'granted',
        ad_user_data: 'granted',
        ad_personalization: 'denied',
        source: 'banner',
      });
      assert.equal(search.envelope.attribution.last.utm_source, 'ig');
      assert.equal(search.envelope.attribution.first.landing, '/asks');
    },
  );

  await world.scene(
    '17: what was tracked while refusing never appears, however often the visitor changes their mind',
    async (t) => {
      const page = await open(await world.visitor(t), '/refused');
      const withheld = await page.evaluate(async () => {
        const outcomes = [await rastro.track('Refused').outcome];
        rastro.consent('pending');
        const held = rastro.track('Held');
        rastro.consent('denied');
        outcomes.push(await held.outcome);
        rastro.consent('granted');
        await rastro.track('Granted').outcome;
        return outcomes;
      });
      assert.deepEqual(withheld, [
        { status: 'withheld', why: 'consent' },
        { status: 'withheld', why: 'consent' },
      ]);
      assert.deepEqual(
        said()
          .map(({ event }) => event.event_name)
          .filter((name) => name != 'PageView'),
        ['Granted'],
      );
    },
  );

  await world.scene('every change of consent, from each state to each', async (t) => {
    const page = await open(await world.visitor(t));
    const states = ['granted', 'denied', 'pending'];
    const results = await page.evaluate(async (states) => {
      const results = {};
      for (const from of states) {
        for (const to of states) {
          rastro.consent(from);
          const tracked = rastro.track(`${from} ${to}`);
          rastro.consent(to);
          rastro.consent('granted');
          results[`${from} ${to}`] = (await tracked.outcome).status;
        }
      }
      return results;
    }, states);
    assert.deepEqual(results, {
      'granted granted': 'accepted',
      'granted denied': 'withheld',
      'granted pending': 'accepted',
      'denied granted': 'withheld',
      'denied denied': 'withheld',
      'denied pending': 'withheld',
      'pending granted': 'accepted',
      'pending denied': 'withheld',
      'pending pending': 'accepted',
    });
  });

  await world.scene(
    "refusal: cookies and queue go; the lead still reaches the business, without ads",
    async (t) => {
      const visitor = await world.visitor(t);
      proxy.fault = ({ path }) => (/^\/api/.test(path) ? 'cut' : undefined);
      const page = await open(visitor, '/?utm_source=ig&fbclid=AbC');
      await page.evaluate(() => {
        rastro.track('Search');
      });
      assert.match((await written(page)).cookies, /_fbc=.*_rat=/);
      await page.evaluate(() => rastro.consent('denied'));
      const after = await written(page);
      assert.equal(after.cookies, '');
      assert.doesNotMatch(after.local, /rastro:q/);
      proxy.fault = () => undefined;
      const outcome = await page.evaluate(
        () => rastro.trackLead({ name: 'Ana', email: 'ana@example.com' }).outcome,
      );
      assert.equal(outcome.status, 'accepted');
      assert.equal(outcome.forwarding, 'withheld');
      const [{ event, envelope, lead }] = stored('Lead');
      assert.equal(lead.email, 'ana@example.com');
      assert.equal(event.user_data, undefined);
      assert.equal(envelope.attribution, undefined);
      assert.equal(envelope.consent.ad_storage, 'denied');
      assert.equal((await written(page)).cookies, '');
    },
  );

  await world.scene(
    'a lead that is sent while nobody has answered yet is not kept waiting, and not for ads',
    async (t) => {
      const page = await open(await world.visitor(t), '/asks');
      const outcome = await page.evaluate(() => rastro.trackLead({ email: 'ana@example.com' }).outcome);
      assert.equal(outcome.status, 'accepted');
      assert.equal(outcome.forwarding, 'withheld');
      assert.equal((await written(page)).cookies, '');
    },
  );

  await world.scene('12: contact data rests in this tab only, and goes at logout', async (t) => {
    const visitor = await world.visitor(t);
    proxy.fault = ({ path }) => (/^\/api/.test(path) ? 'cut' : undefined);
    const page = await open(visitor);
    await page.evaluate(() => {
      rastro.trackLead({ name: 'Ana Souza', email: 'ana@example.com', phone: '31912345678' });
      const orderId = 'PED-12';
      rastro.trackPurchase({ orderId, value: 10, email: 'ana@example.com', service_type: 'implante' });
      rastro.trackPurchase({ orderId: 'PED-13', value: 10, cpf: '529.982.247-25' });
      rastro.trackPurchase({ orderId: 'PED-14', value: 10, service_type: 'implante' });
      rastro.identify({ em: 'ana@example.com' });
      rastro.track('Search');
      rastro.track('Schedule', {}, { user: { ph: '31912345678' } });
    });
    const { local, session } = await written(page);
    assert.doesNotMatch(local, /ana|Souza|31912345678|982\.247|PED-12/i);
    assert.match(local, /PED-14/);
    assert.match(session, /ana@example\.com.*PED-12|PED-12.*ana@example\.com/);
    const visitorId = await page.evaluate(() => rastro.visitorId());
    await page.evaluate(() => rastro.reset());
    const after = await written(page);
    assert.doesNotMatch(after.session + after.local, /rastro:q|ana/);
    assert.notEqual(await page.evaluate(() => rastro.visitorId()), visitorId);
    proxy.fault = () => undefined;
    await page.evaluate(() => rastro.track('After').outcome);
    assert.equal(stored('After')[0].event.user_data.em, undefined);
  });

  await world.scene('20: cookies stand on the registrable domain, whatever stands before it', async (t) => {
    const visitor = await world.visitor(t);
    const page = await open(visitor, '/?fbclid=AbC');
    await until(async () => /_rid=/.test((await written(page)).cookies));
    const cookies = await visitor.cookies();
    const domains = Object.fromEntries(cookies.map(({ name, domain }) => [name, domain]));
    const ours = '.example.com.br';
    assert.deepEqual(domains, { _rid: ours, _fbp: ours, _fbc: ours, _rat: ours, _raf: ours });
    assert.match(cookies.find(({ name }) => name == '_fbp').value, /^fb\.2\.\d{13}\.\d{10}$/);
    const days = ({ expires }) => Math.round((expires - Date.now() / 1000) / 86400);
    assert.deepEqual(Object.fromEntries(cookies.map((cookie) => [cookie.name, days(cookie)])), {
      _rid: 395,
      _fbp: 90,
      _fbc: 90,
      _rat: 90,
      _raf: 90,
    });
    assert.ok(cookies.every(({ sameSite }) => sameSite == 'Lax'));
  });

  await world.scene(
    'the first touch stays, the last one moves; a page of ours and a payment page are no touch',
    async (t) => {
      const visitor = await world.visitor(t);
      const page = await open(visitor, '/?utm_source=ig&utm_campaign=a&src=afiliado');
      const touches = () => page.evaluate(() => rastro.attribution());
      await open(visitor, '/?utm_source=google&gclid=Cj0', page);
      let { first, last } = await touches();
      assert.equal(first.utm_source, 'ig');
      assert.equal(first.src, 'afiliado');
      assert.equal(last.gclid, 'Cj0');
      await open(visitor, '/', page);
      assert.equal((await touches()).last.gclid, 'Cj0');
      const others = await world.visitor(t);
      for (const [referer, kept] of [
        ['https://www.google.com/', 'https://www.google.com/'],
        ['https://www.mercadopago.com.br/', undefined],
      ]) {
        const tab = await (await world.visitor(t)).newPage();
        await tab.goto(host + '/', { referer });
        await tab.waitForFunction(() => window.rastro?.track);
        assert.equal(await tab.evaluate(() => rastro.attribution().last?.referrer), kept);
      }
      await others.close();
    },
  );

  await world.scene(
    'cookies are refused by the browser: click and touch last as long as the page',
    async (t) => {
      const visitor = await world.visitor(t);
      await visitor.addInitScript(() =>
        Object.defineProperty(document, 'cookie', { get: () => '', set() {} }),
      );
      const page = await open(visitor, '/?fbclid=AbC&utm_source=ig');
      await page.evaluate(() => rastro.track('Search').outcome);
      const [{ event, envelope }] = stored('Search');
      assert.match(event.user_data.fbc, /\.AbC$/);
      assert.equal(envelope.attribution.last.utm_source, 'ig');
      // Without a domain of ours to tell by, another's page is another's, and a page of ours is ours.
      for (const [referer, kept] of [
        ['https://www.google.com/', 'https://www.google.com/'],
        [host + '/outra', undefined],
      ]) {
        const tab = await visitor.newPage();
        await tab.goto(host + '/', { referer });
        await tab.waitForFunction(() => window.rastro?.track);
        assert.equal(await tab.evaluate(() => rastro.attribution().last?.referrer), kept);
      }
    },
  );

  await world.scene(
    '19: a cookie that the gateway sets is kept, though its answer cannot be read',
    async (t) => {
      const visitor = await world.visitor(t, { quiet: false });
      proxy.fault = ({ path }) => (/^\/api/.test(path) ? { strip: true } : undefined);
      const page = await open(visitor);
      await page.evaluate(() => void rastro.track('Search'));
      const answered = await until(() =>
        posts().find(({ answerHeaders }) => answerHeaders?.['set-cookie']),
      );
      const rid = /_rid=([^;]+)/.exec(answered.answerHeaders['set-cookie'][0])[1];
      await until(async () =>
        (await visitor.cookies()).some(({ name, value }) => name == '_rid' && value == rid),
      );
      proxy.fault = () => undefined;
      await page.evaluate(() => rastro.track('View').outcome);
      assert.equal(
        posts().filter(({ answerHeaders }) => answerHeaders?.['set-cookie']).length,
        1,
        'once a day',
      );
    },
  );

  await world.scene(
    '24, 29: a plain form is a lead, its submission is not delayed, a double click is one lead',
    async (t) => {
      world.serve(
        '/form',
        world.html(
          world.tag('data-pages="off"'),
          `<form data-rastro="lead" action="/blank" method="post">
      <input name="name" value="Ana"><input name="email" value="ana@example.com"><input name="phone" value="99999-9999">
      <input name="password" type="password" value="segredo"><input name="password" type="password" value="segredo">
      <input name="dias" type="checkbox" value="seg" checked><input name="dias" type="checkbox" value="ter" checked>
      <input name="anexo" type="file"><input name="g-recaptcha-response" type="hidden" value="${'x'.repeat(1500)}">
      <textarea name="mensagem">${'z'.repeat(2000)}</textarea><button>Enviar</button></form>`,
        ),
      );
      const page = await open(await world.visitor(t), '/form');
      await page.evaluate(() => {
        const form = document.querySelector('form');
        form.addEventListener('submit', (event) => window.blocked && event.preventDefault());
        window.blocked = true;
        document.querySelector('button').click();
        document.querySelector('button').click();
        window.blocked = false;
        document.querySelector('button').click();
      });
      await page.waitForURL(host + '/blank');
      await until(() => stored('Lead')[0]);
      assert.equal(stored('Lead').length, 1);
      assert.deepEqual(stored('Lead')[0].lead, {
        name: 'Ana',
        email: 'ana@example.com',
        phone: '99999-9999',
        dias: ['seg', 'ter'],
        anexo: {},
        'g-recaptcha-response': 'x'.repeat(1500),
        mensagem: 'z'.repeat(2000),
      });
      assert.equal(new Set(said().map(({ event }) => event.event_id)).size, 1);
    },
  );

  await world.scene(
    'a WhatsApp link carries the code of its Contact; a link to a checkout the campaign',
    async (t) => {
      world.serve(
        '/links',
        world.html(
          world.tag('data-pages="off" data-links="pay.hotmart.com"'),
          `
      <a id="wa" href="https://wa.me/+5531900000000?text=Ol%C3%A1!%20Quero%20marcar"><b>WhatsApp</b></a>
      <a id="pay" href="https://pay.hotmart.com/X1?off=abc&sck=own">Comprar</a>
      <a id="buy" href="https://pay.hotmart.com/X1">Comprar</a><a id="else" href="https://example.org/?a=1">x</a>`,
        ),
      );
      const page = await open(await world.visitor(t), '/links?utm_source=ig&src=afiliado');
      const hrefs = await page.evaluate(() => {
        addEventListener('click', (event) => event.preventDefault());
        const hrefs = {};
        for (const id of ['wa', 'wa', 'pay', 'buy', 'else']) {
          const link = document.getElementById(id);
          (link.firstElementChild ?? link).click();
          hrefs[id] = link.href;
        }
        return hrefs;
      });
      await until(() => stored('Contact')[0]);
      const text = new URL(hrefs.wa).searchParams.get('text');
      assert.match(hrefs.wa, /^https:\/\/wa\.me\/\+5531900000000\?text=[^+]+$/);
      assert.equal(text, `Olá! Quero marcar [${stored('Contact')[0].event.event_id.slice(0, 8)}]`);
      assert.equal(stored('Contact').length, 1);
      const visitorId = await page.evaluate(() => rastro.visitorId());
      assert.deepEqual(Object.fromEntries(new URL(hrefs.pay).searchParams), {
        off: 'abc',
        sck: 'own',
        utm_source: 'ig',
        src: 'afiliado',
      });
      assert.deepEqual(Object.fromEntries(new URL(hrefs.buy).searchParams), {
        sck: visitorId,
        utm_source: 'ig',
        src: 'afiliado',
      });
      assert.equal(hrefs.else, 'https://example.org/?a=1');
    },
  );

  await world.scene(
    "Google's consent mode is followed: its default asks, its update answers",
    async (t) => {
      world.serve(
        '/google',
        world.html(
          `<script>
      window.dataLayer = window.dataLayer || []; function gtag() { dataLayer.push(arguments); }
      gtag('consent', 'default', { ad_storage: 'denied', ad_user_data: 'denied', ad_personalization: 'denied', analytics_storage: 'denied', wait_for_update: 500 });
    </script>` + world.tag('data-consent="google"'),
        ),
      );
      const page = await open(await world.visitor(t), '/google');
      await quiet(page);
      assert.deepEqual(posts(), []);
      await page.evaluate(() => {
        dataLayer.push({ event: 'other' }, null, 'text');
        gtag('consent', 'update', { ad_storage: 'granted', ad_user_data: 'granted' });
      });
      const [{ envelope }] = await until(() => stored('PageView')[0] && stored('PageView'));
      assert.equal(envelope.consent.source, 'google');
      assert.equal(envelope.consent.analytics_storage, 'denied');
      assert.equal(await page.evaluate(() => dataLayer.length), 5);
      await page.evaluate(() => gtag('consent', 'update', { ad_user_data: 'denied' }));
      assert.deepEqual(await page.evaluate(() => rastro.track('Search').outcome), {
        status: 'withheld',
        why: 'consent',
      });
    },
  );

  await world.scene('a wrong clock of the device is told by sent_at', async (t) => {
    const visitor = await world.visitor(t);
    await visitor.addInitScript(() => {
      const { now } = Date;
      Date.now = () => now() - 30 * 864e5;
    });
    const page = await open(visitor);
    assert.equal((await page.evaluate(() => rastro.track('Clock').outcome)).status, 'accepted');
    const [{ event, envelope }] = stored('Clock');
    assert.ok(Math.abs(envelope.sent_at / 1000 - event.event_time) < 10);
  });

  await world.scene('nothing that a page does wrong throws', async (t) => {
    const page = await open(await world.visitor(t));
    const statuses = await page.evaluate(async () => {
      const circle = {};
      circle.circle = circle;
      const all = [
        rastro.track('Circle', circle),
        rastro.trackPurchase(),
        rastro.trackLead(),
        rastro.track(),
      ];
      rastro.identify();
      rastro.consent('granted', null);
      return Promise.all(all.map(({ outcome }) => outcome.then(({ status }) => status)));
    });
    assert.ok(
      statuses.every((status) => status == 'withheld' || status == 'rejected'),
      String(statuses),
    );
  });

  await world.scene('a destroyed client does nothing more, and a new one can be made', async (t) => {
    const page = await open(await world.visitor(t));
    await page.evaluate(() => {
      rastro.destroy();
      void rastro.track('Late');
      document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
    });
    await quiet(page);
    assert.deepEqual(posts(), []);
  });
});
