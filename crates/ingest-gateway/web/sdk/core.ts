import { cleanAddress, isOurs } from './address.ts';
import { clickCookie, domainsOf, dotsOf, readCookie } from './cookies.ts';
import { retryDelay } from './retry.ts';
import type {
  Hooks,
  Item,
  Options,
  Params,
  Plugin,
  Rastro,
  Tracked,
  TrackOptions,
  UserData,
} from './types.ts';

declare const VERSION: string;

type Wire = Record<string, any>;
type Extra = { params?: Params; asks?: boolean };

const paths = ['meta/conversions', 'meta/conversions', 'leads/capture', 'purchases/record'];
const sixDays = 5184e5;
const clients: Record<string, Rastro> = {};
const json = JSON.stringify;

const attempt = <T>(action: () => T): T | undefined => {
  try {
    return action();
  } catch {}
};
const parse = (text: string) => attempt(() => JSON.parse(text));

/** A random UUID: every blob's address ends in one. `crypto.randomUUID` is missing on plain http. */
const uuid = () => URL.createObjectURL(new Blob()).slice(-36);

/**
 * The client of one key. A second call for the same key returns the first client.
 * Every call that needs a browser is an attempt, so that all of this is inert on a server.
 */
export const createRastro = (options: Options, plugins: Plugin[] = []): Rastro => {
  const { key, keepParameters: keep } = options;
  if (clients[key]) return clients[key];
  const page: Document & { prerendering?: boolean } = attempt(() => document)!;
  const landing = attempt(() => location.href)!;
  // Reading `localStorage` throws where storage is forbidden: the queue lives in memory then.
  const stores: Wire[] = [attempt(() => localStorage) || {}, attempt(() => sessionStorage) || {}];
  const queue: Record<string, Item> = {};
  /** What went as a beacon, of which nobody hears an answer. */
  const beaconed = new Set<Item>();
  /** What was tracked in this page, by name, and which Pixel calls were made, by mark. */
  let seen: Wire = {};
  /** What the visitor said, and what that means now: undefined is pending. */
  let wanted: boolean | undefined;
  let allowed: boolean | undefined;
  /** The same as the gateway gets it. */
  let record: Wire;
  let user: UserData = {};
  const from = page?.referrer;
  let referrer = from;
  let route = from;

  // The window captures what happens in its document, whether it bubbles or not. A destroyed client hears
  // nothing.
  const hooks: Hooks = {
    local_: stores[0],
    listen_: (type, action, target = window) =>
      target.addEventListener(
        type,
        (event) => clients[key] == client && attempt(() => action(event)),
        true,
      ),
  };

  // --- Cookies: who the visitor is, and what brought them

  /**
   * The visitor, Meta's two, last and first touch. Where cookies are refused they last as long as the page.
   */
  const cookies: Record<string, string> = { _rid: '', _fbp: '', _fbc: '', _rat: '', _raf: '' };
  let domain: string | undefined;
  const domains = () => domainsOf(location.hostname);

  const readable = (name: string) => attempt(() => readCookie(name, page.cookie)) || '';
  const writeCookie = (name: string, value: string, at = domain) =>
    attempt(() => {
      // 395 or 90 days.
      const seconds = value ? (name == '_rid' ? 34128e3 : 7776e3) : 0;
      page.cookie =
        `${name}=${encodeURIComponent(value)};path=/;samesite=lax;domain=${at};max-age=${seconds}` +
        (landing[4] == 's' ? ';secure' : '');
    });

  const identity = () => {
    // The browser refuses a wide domain such as com.br, so the widest accepted one is ours.
    domain ??=
      domains().find((candidate) => {
        writeCookie('_rt', '1', candidate);
        const accepted = readable('_rt');
        writeCookie('_rt', '', candidate);
        return accepted;
      }) || '';
    for (const name in cookies) cookies[name] = readable(name) || cookies[name];
    const now = Date.now();
    const url = new URL(cleanAddress(landing) || 'x:');
    const sender = cleanAddress(isOurs(from, domain || url.hostname) ? '' : from);
    const touch = json({
      ...Object.fromEntries(url.searchParams),
      landing: url.pathname,
      referrer: sender,
      at: now,
    });
    if (touch.length < 1200 && (url.search || (sender && !cookies._rat))) cookies._rat = touch;
    cookies._raf ||= cookies._rat;
    cookies._rid ||= uuid();
    const made = `fb.${dotsOf(domain)}.${now}.`;
    cookies._fbp ||= made + Math.floor(1e9 + Math.random() * 9e9);
    cookies._fbc = clickCookie(cookies._fbc, url.searchParams.get('fbclid'), made);
    for (const name in cookies) writeCookie(name, cookies[name]);
  };

  const attribution = () => ({ first: parse(cookies._raf), last: parse(cookies._rat) });

  const forgetVisitor = () => {
    for (const name in cookies) domains().forEach((at) => writeCookie(name, (cookies[name] = ''), at));
  };

  // --- The queue: nothing leaves it before the gateway's acknowledgement

  /** Purchases first, the oldest page view last: that is the order to send in, and to forget from the end. */
  const items = () => Object.values(queue).sort((a, b) => b.path_ - a.path_ || b.at - a.at);
  const unstore = ({ name }: Item) => stores.forEach((store) => delete store['rastro:q:' + name]);

  const settle = (item: Item, outcome: Wire) => {
    const { name } = item;
    delete queue[name];
    unstore(item);
    if (outcome.status == 'rejected') {
      delete seen[name];
      attempt(() => options.onError!({ name, ...outcome } as any));
    } else {
      tellPixel(item);
    }
    item.settled_?.(outcome);
  };
  /** Of the queue's oldest page views too, when it is full. */
  const withhold = (item: Item) => {
    item.pixel_ = '';
    settle(item, { status: 'withheld', why: 'consent' });
  };

  const enqueue = (item: Item) => {
    item.ready_ = 1;
    attempt(() => (stores[item.tab_]['rastro:q:' + item.name] = json(item)));
    schedule();
  };

  // --- Sending: one request at a time while the page lives, beacons when it goes

  let timer: any;
  let running: Promise<void> | 0 | undefined;
  let failures = 0;

  const schedule = () => {
    timer ||= setTimeout(pump, 20);
  };
  const addressOf = ([{ path_ }]: Item[]) => `${options.endpoint}/api/${paths[path_]}?key=${key}`;
  const write = (batch: Item[]) => {
    const [{ path_, body_ }] = batch;
    const consented = body_.event.user_data;
    return json({
      sent_at: Date.now(),
      sdk: 'browser/' + VERSION,
      consent: consented ? record : { ...record, ad_storage: 'denied' },
      attribution: consented && attribution(),
      ...(path_ > 1 ? body_ : { events: batch.map((item) => item.body_.event) }),
    });
  };
  /** Whether a browser still carries it when the page is gone: no character is more than three bytes. */
  const light = (text: string) => text.length < 2e4;
  /** What goes next: a lead or purchase alone, or some events. */
  const nextBatch = () => {
    const batch: Item[] = [];
    items().forEach((item) => {
      const [head] = batch;
      if (
        item.ready_ &&
        !beaconed.has(item) &&
        (!head || (head.path_ < 2 && light(write([...batch, item]))))
      ) {
        batch.push(item);
      }
    });
    return batch;
  };

  const run = async (): Promise<any> => {
    for (let batch: Item[]; (batch = nextBatch())[0];) {
      let asked: string | number | null | undefined;
      try {
        const body = write(batch);
        const answer = await fetch(addressOf(batch), {
          method: 'POST',
          body,
          credentials: 'include',
          // Every second try of a row without it.
          keepalive: !(failures++ & 1) && light(body),
          signal: AbortSignal.timeout?.(1e4),
        });
        if (answer.ok || /4(0[0139]|1[35]|22)/.test(answer.status as any)) {
          const said = await answer.json();
          batch.forEach((item, index) => {
            const result = !answer.ok
              ? { errors: [said], ...said, status: answer.status == 409 ? 'duplicate' : 'rejected' }
              : item.path_ > 1
                ? said
                : said.results[index];
            // Not our gateway's words: a portal answers everything with 200.
            if (!result.status) throw 0;
            settle(item, result);
          });
          failures = 0;
          continue;
        }
        asked = answer.headers.get('retry-after');
      } catch {
        // A browser may have no more room for requests that outlive their page: the same at once, without.
        if (failures & 1) continue;
        // Offline or blocked. After six tries only the visitor's return helps.
        asked = (failures > 4 && 1e6) as number;
      }
      // What was tracked meanwhile waits too.
      clearTimeout(timer);
      return (timer = setTimeout(pump, retryDelay(failures, asked, Math.random())));
    }
  };
  const pump = (): Promise<void> => {
    timer = 0;
    return (running ||= run().finally(() => (running = 0)));
  };

  const beacon = (batch: Item[]) => {
    if (!navigator.sendBeacon(addressOf(batch), write(batch)) && batch[1]) {
      const rest = batch.splice(batch.length >> 1);
      beacon(batch);
      beacon(rest);
    }
  };
  const onLife = ({ type }: Event) => {
    if (/^pre/.test(type)) applyConsent();
    if (/hide/.test(type) || page.hidden) {
      // What a request is carrying goes too: Chromium loses one in eight that began just before the page
      // went.
      for (let batch; (batch = nextBatch())[0]; beacon(batch)) batch.forEach((item) => beaconed.add(item));
    } else {
      // Beacons have no answer: what they carried goes again, and the gateway knows it.
      beaconed.clear();
      clearTimeout(timer);
      failures = 0;
      pump();
    }
  };

  // --- What is tracked: through consent to the Pixel and the queue

  const tellPixel = (item: Item) => {
    if (allowed) attempt(() => hooks.pixel_!(item));
    item.pixel_ = '';
  };

  const gate = (item: Item) => (allowed ? item.ready_ || admit(item) : refuse(item));
  const admit = (item: Item) => {
    const { event } = item.body_;
    event.user_data = { fbp: cookies._fbp, fbc: cookies._fbc, external_id: cookies._rid, ...event.user_data };
    // A lead or purchase counts at Meta when the business has it, not before.
    item.path_ > 1 || tellPixel(item);
    enqueue(item);
  };
  /**
   * Of what nobody consented to, only a lead or purchase reaches the gateway, with nothing that ads could
   * use.
   */
  const refuse = (item: Item) => {
    if (item.path_ < 2) return withhold(item);
    unstore(item);
    delete item.body_.event.user_data;
    item.pixel_ = '';
    item.tab_ = 1;
    enqueue(item);
  };

  const submit = (
    path: number,
    name: string,
    about: Wire,
    { eventId = uuid(), user: extra, pixel, custom, asks, params }: TrackOptions & Extra = {},
  ): Tracked<any> => {
    const at = Date.now();
    const claim = about.purchase?.status == 'pending';
    const user_data = { ...user, ...extra };
    const item: Item = {
      name: name + ':' + eventId + (claim ? ':pending' : ''),
      key,
      path_: path,
      at,
      tab_: path == 2 || json(user_data)[2] || /"(em|ph|cpf)\w*":/.test(json(about)) ? 1 : 0,
      pixel_: pixel == false || claim ? '' : 'trackSingle' + (custom ? 'Custom' : ''),
      // A copy, because the page may change what it gave us.
      body_: parse(
        json({
          ...about,
          asks,
          event: {
            event_name: name,
            event_id: eventId,
            event_time: Math.floor(at / 1e3),
            action_source: 'website',
            event_source_url: cleanAddress(location.href, keep),
            referrer_url: cleanAddress(referrer, keep),
            user_data,
            custom_data: params,
          },
        }),
      ),
    };
    const known = seen[item.name];
    const tracked = known || { eventId, outcome: new Promise((settled) => (item.settled_ = settled)) };
    if (known) {
      // The Pixel has its own mark, so that an earlier call without it does not silence this one.
      path > 1 || tellPixel(item);
    } else {
      seen[item.name] = tracked;
      queue[item.name] = item;
      items().slice(100).forEach(withhold);
      // Who sends a form wants an answer, with or without ads.
      if (path == 2 || allowed != undefined) gate(item);
    }
    return tracked;
  };

  /** `said`: by the page, which is more than a default. */
  const applyConsent = (said?: unknown) => {
    allowed = page.prerendering ? undefined : wanted;
    // Nobody's default overrules what the page's own consent tool told a Pixel that is not ours.
    if (options.consent || said) (window as any).fbq?.('consent', allowed ? 'grant' : 'revoke');
    if (allowed == undefined) return;
    for (const store of stores) {
      for (const name in store) {
        if (/^rastro:.:/.test(name)) {
          const item = parse(store[name]);
          if (!((item?.at || item) > Date.now() - sixDays)) delete store[name];
          else if (item.key == key) queue[item.name] ||= item;
        }
      }
    }
    allowed ? identity() : forgetVisitor();
    items().forEach(gate);
    schedule();
  };

  const client: any = {
    track: (name, params, more) => submit(name == 'PageView' ? 0 : 1, name, {}, { params, ...more }),

    trackLead: (lead, more) => submit(2, 'Lead', { lead }, more),

    trackPurchase: ({ orderId, ...said }, more) =>
      submit(3, 'Purchase', { purchase: { order_id: orderId, currency: 'BRL', ...said } }, {
        eventId: orderId,
        ...more,
      }),

    page(more) {
      referrer = route;
      route = location.href;
      return submit(0, 'PageView', {}, more);
    },

    identify(more) {
      user = { ...user, ...more };
    },

    consent(next, details) {
      record = { ad_storage: next, ad_user_data: next, ...details, at: Date.now() };
      wanted = next == 'pending' ? undefined : next == 'granted';
      applyConsent(clients[key]);
    },

    attribution,

    visitorId: () => cookies._rid,

    flush: pump,

    reset() {
      user = {};
      seen = {};
      items().forEach(withhold);
      forgetVisitor();
      allowed && identity();
    },

    destroy() {
      allowed = undefined;
      clearTimeout(timer);
      delete clients[key];
    },
  } satisfies Rastro;

  for (const name in client) {
    const method = client[name];
    client[name] = (...said: any[]) =>
      attempt(() => method(...said)) ?? {
        eventId: '',
        outcome: Promise.resolve({ status: 'withheld', why: 'server-render' }),
      };
  }
  client.consent(options.consent || 'granted');
  plugins.forEach((plugin) => attempt(() => plugin(client, options, hooks)));
  attempt(() => {
    'visibilitychange pagehide online prerenderingchange'
      .split(' ')
      .forEach((type) => hooks.listen_(type, onLife));
    clients[key] = client;
  });
  return client;
};
