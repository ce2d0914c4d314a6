// What the gateway must answer to a page, asked without a browser. With RASTRO_GATEWAY_URL: of the real one.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { root } from '../../build.mjs';
import { publishableKey, secretKey, startGateway } from '../support/gateway.js';

const { env } = process;
const key = env.RASTRO_KEY ?? publishableKey;
const secret = env.RASTRO_SECRET_KEY ?? secretKey;
const page = `http://loja.example.com.br:${env.RASTRO_PAGE_PORT ?? 1234}`;
let gateway;
before(async () => {
  gateway = env.RASTRO_GATEWAY_URL
    ? { url: env.RASTRO_GATEWAY_URL, close() {} }
    : await startGateway({
        origins: ['http://*.example.com.br:1234'],
        sdkFile: join(root, 'dist/sdk.js'),
        cookieDomain: 'example.com.br',
      });
});
after(() => gateway.close());

const event = (more) => ({
  event_name: 'ViewContent',
  event_id: randomUUID(),
  event_time: Math.floor(Date.now() / 1000),
  action_source: 'website',
  event_source_url: page + '/',
  user_data: { fbp: 'fb.2.1795808043105.9472395788', external_id: randomUUID() },
  ...more,
});
const granted = { ad_storage: 'granted', ad_user_data: 'granted', at: 1795808000000, source: 'banner' };
const envelope = (more) => ({ sent_at: Date.now(), sdk: 'browser/0.1.0', consent: granted, ...more });
const ask = async (
  path,
  body,
  { origin = page, type = 'text/plain;charset=UTF-8', asked = key, headers, method = 'POST' } = {},
) => {
  const answer = await fetch(`${gateway.url}${path}${asked ? '?key=' + asked : ''}`, {
    method,
    headers: { ...(origin && { origin }), ...(type && { 'content-type': type }), ...headers },
    body: method == 'POST' ? (typeof body == 'string' ? body : JSON.stringify(body)) : undefined,
  });
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    body: text && /json/.test(answer.headers.get('content-type')) ? JSON.parse(text) : text,
  };
};
const collect = '/api/meta/conversions';
const readable = ({ headers }) => {
  assert.equal(headers.get('access-control-allow-origin'), page);
  assert.equal(headers.get('access-control-allow-credentials'), 'true');
  assert.match(headers.get('access-control-expose-headers'), /Retry-After/i);
  assert.match(headers.get('vary'), /Origin/i);
};

test('5: text/plain with the key in the query is JSON', async () => {
  for (const type of ['text/plain;charset=UTF-8', 'text/plain', 'application/json']) {
    const answer = await ask(collect, envelope({ events: [event()] }), { type });
    assert.equal(answer.status, 200);
    assert.equal(answer.body.results[0].status, 'accepted');
    readable(answer);
  }
  assert.equal((await ask(collect, '{}', { type: 'application/xml' })).status, 415);
});

test('a preflight passes with the key and without it', async () => {
  for (const asked of [key, '']) {
    const answer = await ask(collect, null, {
      method: 'OPTIONS',
      asked,
      type: '',
      headers: { 'access-control-request-method': 'POST' },
    });
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get('access-control-allow-origin'), page);
    assert.match(answer.headers.get('access-control-allow-headers'), /content-type/i);
    assert.equal(answer.headers.get('access-control-max-age'), '7200');
  }
});

test('6: errors can be read by the page too', async () => {
  const answers = [
    [401, await ask(collect, envelope({ events: [event()] }), { asked: 'pk_nobody_0123456789abcdef' })],
    [400, await ask(collect, '{"events":')],
    [415, await ask(collect, '', { type: 'application/xml' })],
    [422, await ask(collect, envelope({ events: [] }))],
    [
      422,
      await ask(
        '/api/leads/capture',
        envelope({ lead: { email: 'nonsense' }, event: event({ event_name: 'Lead' }) }),
      ),
    ],
  ];
  for (const [status, answer] of answers) {
    assert.equal(answer.status, status);
    readable(answer);
    assert.equal(answer.body.status, status);
  }
  assert.ok(answers.at(-1)[1].body.errors.some(({ pointer }) => pointer == '/lead/email'));
});

test('32: an origin that is not listed is refused and named, null too', async () => {
  for (const origin of ['https://stranger.example', 'null']) {
    const answer = await ask(collect, envelope({ events: [event()] }), { origin });
    assert.equal(answer.status, 403);
    assert.match(answer.body.type, /origin-not-allowed$/);
    assert.ok(answer.body.detail.includes(origin));
  }
});

test('a secret key in a browser is refused, and the answer says to revoke it', async () => {
  for (const how of [{ asked: secret }, { asked: '', headers: { authorization: 'Bearer ' + secret } }]) {
    const answer = await ask(collect, envelope({ events: [event()] }), how);
    assert.equal(answer.status, 403);
    assert.match(answer.body.detail, /revoke/);
  }
});

test('10: ten at once store one', async () => {
  const body = envelope({ events: [event()] });
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask(collect, body)));
  const statuses = answers.map(({ body }) => body.results[0].status).sort();
  assert.deepEqual(statuses, ['accepted', ...Array(9).fill('duplicate')]);
});

test('a lead and a purchase, and both again', async () => {
  const id = randomUUID();
  const lead = envelope({
    lead: { name: 'Ana', email: 'ana@example.com', phone: '(31) 91234-5678', service_type: 'implante' },
    event: event({ event_name: 'Lead', event_id: id }),
  });
  const first = await ask('/api/leads/capture', lead);
  assert.equal(first.status, 202);
  assert.equal(first.body.status, 'accepted');
  assert.equal(first.body.event_id, id);
  assert.equal(first.body.forwarding, 'queued');
  assert.ok(first.body.lead_id);
  assert.equal((await ask('/api/leads/capture', { ...lead, sent_at: Date.now() })).status, 409);

  const order_id = 'PED-' + randomUUID();
  const purchase = envelope({
    purchase: { order_id, value: 349.9, currency: 'BRL', service_type: 'implante' },
    event: event({ event_name: 'Purchase', event_id: order_id }),
  });
  const bought = await ask('/api/purchases/record', purchase);
  assert.equal(bought.status, 202);
  assert.ok(bought.body.purchase_id);
  assert.equal((await ask('/api/purchases/record', purchase)).status, 409);
});

test('a lead without consent is stored and not forwarded', async () => {
  const refused = { consent: { ...granted, ad_storage: 'denied' } };
  const { user_data, ...bare } = event({ event_name: 'Lead' });
  const answer = await ask(
    '/api/leads/capture',
    envelope({ ...refused, lead: { email: 'ana@example.com' }, event: bare }),
  );
  assert.equal(answer.status, 202);
  assert.equal(answer.body.forwarding, 'withheld');
});

test('a clock that is a month wrong loses nothing', async () => {
  const off = 30 * 86400;
  for (const sign of [-1, 1]) {
    const body = envelope({
      sent_at: Date.now() + sign * off * 1000,
      events: [event({ event_time: Math.floor(Date.now() / 1000) + sign * off })],
    });
    assert.equal((await ask(collect, body)).body.results[0].status, 'accepted');
  }
});

test('19: cookies are refreshed once a day, with consent only', async () => {
  const ask1 = (consent, rid) =>
    ask(
      collect,
      envelope({ consent, events: [event(consent == granted ? {} : { user_data: undefined })] }),
      { headers: { cookie: `_rid=${rid}` } },
    );
  const rid = randomUUID();
  const cookie = (await ask1(granted, rid)).headers.getSetCookie();
  assert.ok(cookie.some((line) => line.startsWith(`_rid=${rid};`) && /SameSite=Lax/i.test(line)));
  assert.deepEqual((await ask1(granted, rid)).headers.getSetCookie(), []);
  assert.deepEqual(
    (await ask1({ ...granted, ad_storage: 'denied' }, randomUUID())).headers.getSetCookie(),
    [],
  );
});

test('sdk.js is what the build made, for any page, and may be kept', async () => {
  const answer = await ask('/sdk.js', null, { method: 'GET', asked: '', type: '' });
  assert.equal(answer.status, 200);
  assert.equal(answer.body, await readFile(join(root, 'dist/sdk.js'), 'utf8'));
  assert.match(answer.headers.get('content-type'), /^text\/javascript/);
  assert.equal(answer.headers.get('access-control-allow-origin'), '*');
  assert.equal(answer.headers.get('cross-origin-resource-policy'), 'cross-origin');
  assert.match(answer.headers.get('cache-control'), /max-age=3600/);
  assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
  assert.ok(answer.headers.get('etag'));
});
