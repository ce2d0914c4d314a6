// A strict stand-in for the gateway: what README.md says of the contract, and nothing that it does not say.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createHash, randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';

export const publishableKey = 'pk_test_0123456789abcdef';
export const secretKey = 'sk_test_0123456789abcdef';

const envelope = ['sent_at', 'sdk', 'consent', 'attribution', 'idempotency_key', 'test_event_code'];
const eventFields = [
  'event_name',
  'event_id',
  'event_time',
  'action_source',
  'event_source_url',
  'referrer_url',
  'user_data',
  'custom_data',
];
const userFields = 'em ph fn ln ct st zp country db ge external_id fbp fbc'.split(' ');

const problem = (status, type, detail, errors, headers) => ({
  status,
  headers: { 'content-type': 'application/problem+json', ...headers },
  body: {
    type: 'urn:rastro:problem:' + type,
    title: type,
    status,
    detail,
    request_id: randomUUID(),
    ...(errors && { errors }),
  },
});

const unknownFields = (object, known, pointer) =>
  Object.keys(object)
    .filter((name) => !known.includes(name))
    .map((name) => ({ pointer: `${pointer}/${name}`, detail: 'is not known' }));

function checkEvent(event, pointer, shift, consented) {
  if (!event || typeof event != 'object') return [{ pointer, detail: 'must be an event' }];
  const errors = unknownFields(event, eventFields, pointer);
  const wrong = (field, detail) => errors.push({ pointer: `${pointer}/${field}`, detail });
  if (typeof event.event_name != 'string' || !/^.{1,50}$/.test(event.event_name))
    wrong('event_name', 'must be a name');
  if (typeof event.event_id != 'string' || !/^.{1,100}$/.test(event.event_id))
    wrong('event_id', 'must be an id');
  const age = Date.now() / 1000 - (event.event_time + shift / 1000);
  if (!Number.isInteger(event.event_time)) wrong('event_time', 'must be whole seconds');
  else if (age > 7 * 86400 || age < -60) wrong('event_time', 'must be within the last seven days');
  if (event.action_source != 'website') wrong('action_source', 'must be website');
  if (!/^https?:\/\//.test(event.event_source_url)) wrong('event_source_url', 'must be an address');
  if (/#|@|%40/.test(event.event_source_url + (event.referrer_url ?? '')))
    wrong('event_source_url', 'is not clean');
  if (consented && !event.user_data) wrong('user_data', 'is missing');
  if (!consented && event.user_data) wrong('user_data', 'nobody consented to it');
  errors.push(...unknownFields(event.user_data ?? {}, userFields, `${pointer}/user_data`));
  const { fbp, fbc } = event.user_data ?? {};
  if (fbp && !/^fb\.\d\.\d{13}\.\d+$/.test(fbp)) wrong('user_data/fbp', "is not in Meta's form");
  if (fbc && !/^fb\.\d\.\d{10,13}\.[\w-]+(\.[\w-]+)?$/.test(fbc))
    wrong('user_data/fbc', "is not in Meta's form");
  return errors;
}

/** `origins`: exact origins, or patterns such as http://*.example.com.br:1234. */
export async function startGateway({ origins, sdkFile, cookieDomain, port = 0 }) {
  const sdk = await readFile(sdkFile);
  const sdkHash = createHash('sha256').update(sdk).digest('hex').slice(0, 16);
  const events = new Map();
  const purchases = new Map();
  const refreshed = new Map();

  const allows = (origin) =>
    origins.some(
      (known) =>
        known == origin ||
        new RegExp('^' + known.replace(/[.]/g, '\\.').replace('*', '[^.]+') + '$').test(origin),
    );

  function accept(event, refused) {
    const key = event.event_name + ' ' + event.event_id;
    if (events.has(key)) return false;
    events.set(key, { ...event, forwarding: refused ? 'withheld' : 'queued' });
    return true;
  }

  function answer(request, url, text) {
    const { origin } = request.headers;
    const key = url.searchParams.get('key') ?? request.headers.authorization?.replace('Bearer ', '');
    if (url.searchParams.get('key')?.startsWith('sk_') || (origin && key?.startsWith('sk_'))) {
      return problem(403, 'secret-key-in-browser', 'this key was shown to a browser: revoke it');
    }
    if (key != publishableKey && key != secretKey)
      return problem(401, 'unauthenticated', 'there is no such key');
    if (origin && !allows(origin))
      return problem(403, 'origin-not-allowed', `${origin} is not in the dataset's allowed origins`);
    if (!/^(text\/plain|application\/json)\b/.test(request.headers['content-type'])) {
      return problem(415, 'unsupported-media-type', 'must be text/plain or application/json');
    }
    if (text.length > 1_000_000) return problem(413, 'too-large', 'the body is too large');
    let body;
    try {
      body = JSON.parse(text);
    } catch (error) {
      return problem(400, 'malformed', String(error));
    }
    if (!Number.isInteger(body.sent_at))
      return problem(422, 'invalid', 'sent_at', [{ pointer: '/sent_at', detail: 'must be milliseconds' }]);
    const late = Date.now() - body.sent_at;
    const shift = Math.abs(late) > 60_000 ? late : 0;
    const { consent = {} } = body;
    const consented = consent.ad_storage == 'granted' && consent.ad_user_data == 'granted';
    const cookies = () => {
      const [name, rid] = /_rid=([^;]+)/.exec(request.headers.cookie ?? '') ?? [];
      if (!cookieDomain || !consented || !name || refreshed.get(rid) > Date.now() - 86400e3) return {};
      refreshed.set(rid, Date.now());
      return {
        'set-cookie': `_rid=${rid}; Domain=${cookieDomain}; Path=/; Max-Age=34128000; SameSite=Lax`,
      };
    };
    const path = url.pathname;
    if (path == '/api/meta/conversions') {
      const errors = unknownFields(body, [...envelope, 'events'], '');
      if (!Array.isArray(body.events) || !body.events.length)
        errors.push({ pointer: '/events', detail: 'must hold events' });
      if (errors.length) return problem(422, 'invalid', 'the request is not valid', errors);
      const results = body.events.map((event, index) => {
        const errors = checkEvent(event, `/events/${index}`, shift, consented);
        const { event_name, event_id } = event;
        const status = errors.length ? 'rejected' : accept(event, !consented) ? 'accepted' : 'duplicate';
        return { index, status, event_name, event_id, ...(errors.length && { errors }) };
      });
      const count = (status) => results.filter((result) => result.status == status).length;
      return {
        status: 200,
        headers: cookies(),
        body: {
          request_id: randomUUID(),
          accepted: count('accepted'),
          duplicate: count('duplicate'),
          rejected: count('rejected'),
          results,
        },
      };
    }
    const what = { '/api/leads/capture': 'lead', '/api/purchases/record': 'purchase' }[path];
    if (!what) return problem(404, 'not-found', 'there is no such path');
    const thing = body[what];
    const errors = unknownFields(body, [...envelope, what, 'event', ...(what == 'lead' ? ['asks'] : [])], '');
    errors.push(...checkEvent(body.event, '/event', shift, consented));
    if (!thing) errors.push({ pointer: '/' + what, detail: 'is missing' });
    if (what == 'lead') {
      const { email, phone } = thing ?? {};
      if (!email && !phone) errors.push({ pointer: '/lead', detail: 'must have an email or a phone' });
      const wrong = [];
      if (email && !/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(email))
        wrong.push({ pointer: '/lead/email', detail: 'must be an e-mail address' });
      if (phone && phone.replace(/\D/g, '').length < 10)
        wrong.push({ pointer: '/lead/phone', detail: 'must have area code and number' });
      // Where somebody can be asked, or nobody be reached.
      if (body.asks || wrong.length == !!email + !!phone) errors.push(...wrong);
    } else if (thing) {
      if (!thing.order_id) errors.push({ pointer: '/purchase/order_id', detail: 'is missing' });
      if (!(thing.value > 0)) errors.push({ pointer: '/purchase/value', detail: 'must be above zero' });
      if (thing.currency != 'BRL') errors.push({ pointer: '/purchase/currency', detail: 'must be BRL' });
    }
    if (errors.length) return problem(422, 'invalid', 'the request is not valid', errors);
    const { event } = body;
    const receipt = {
      status: 'accepted',
      event_id: event.event_id,
      forwarding: consented ? 'queued' : 'withheld',
      request_id: randomUUID(),
      warnings: [],
    };
    if (what == 'purchase') {
      const { status = 'approved', order_id } = thing;
      const known = purchases.get(order_id);
      if (known && (known.status == status || known.status == 'approved'))
        return problem(409, 'duplicate', 'this order was recorded before');
      const purchase_id = known?.purchase_id ?? randomUUID();
      purchases.set(order_id, { status, purchase_id });
      if (status == 'approved') accept(event, !consented);
      return { status: 202, headers: cookies(), body: { ...receipt, purchase_id } };
    }
    if (!accept(event, !consented)) return problem(409, 'duplicate', 'this lead was received before');
    return { status: 202, headers: cookies(), body: { ...receipt, lead_id: randomUUID() } };
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://gateway');
    const { origin } = request.headers;
    const cors = origin
      ? {
          'access-control-allow-origin': origin,
          'access-control-allow-credentials': 'true',
          'access-control-expose-headers': 'Retry-After, X-Request-Id',
          vary: 'Origin',
        }
      : { vary: 'Origin' };
    if (request.method == 'GET' && (url.pathname == '/sdk.js' || url.pathname == `/sdk/${sdkHash}.js`)) {
      const gzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
      response.writeHead(200, {
        'content-type': 'text/javascript; charset=utf-8',
        'cache-control': 'public, max-age=3600, stale-while-revalidate=86400',
        'cross-origin-resource-policy': 'cross-origin',
        'access-control-allow-origin': '*',
        'x-content-type-options': 'nosniff',
        etag: `"${sdkHash}"`,
        ...(gzip && { 'content-encoding': 'gzip' }),
      });
      return response.end(gzip ? gzipSync(sdk, { level: 9 }) : sdk);
    }
    if (request.method == 'OPTIONS') {
      response.writeHead(204, {
        ...cors,
        'access-control-allow-methods': 'POST',
        'access-control-allow-headers': 'content-type, authorization, x-idempotency-key',
        'access-control-max-age': '7200',
      });
      return response.end();
    }
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const { status, headers, body } = answer(request, url, Buffer.concat(chunks).toString());
      response.writeHead(status, { 'content-type': 'application/json', ...cors, ...headers });
      response.end(JSON.stringify(body));
    });
  });
  await new Promise((done) => server.listen(port, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}`, events, close: () => server.close() };
}
