import { cleanAddress } from '../address.ts';
import type { Plugin } from '../types.ts';

/**
 * Tells Meta's Pixel, with the gateway's event id, and at most once per browser. The page loads the Pixel.
 */
export const pixelCalls: Plugin = (_, { pixelId }, hooks) => {
  hooks.pixel_ = ({
    name,
    path_,
    pixel_: call,
    body_: { event, purchase: { order_id, value, currency, items } = {} as any },
  }) => {
    const mark = 'rastro:p:' + name;
    if (!call || hooks.local_[mark]) return;
    // What the gateway sends of an order, and nothing else: it may say who bought.
    const params = order_id ? { order_id, value, currency, contents: items } : event.custom_data || {};
    // Without a Pixel this throws, and nothing is marked.
    (window as any).fbq(call, pixelId, event.event_name, params, {
      eventID: event.event_id,
      eventSourceUrl: event.event_source_url,
    });
    // For nine weeks, of which the queue takes off its six days.
    if (path_) hooks.local_[mark] = Date.now() + 5e9;
  };
};

/** Loads the Pixel too, when consent is given, with everything off that it does by itself. */
export const pixel: Plugin = (client, options, hooks) => {
  const { pixelId } = options;
  // This Pixel is ours, and follows the default too.
  options.consent ||= 'granted';
  const script = document.createElement('script');
  script.nonce = document.currentScript?.nonce || '';
  const fbq: any = (...said: any[]) => {
    if (said[1] == 'grant') {
      if (options.cleanUrl) {
        const from = location.href;
        // The Pixel reads the address bar.
        history.replaceState(history.state, '', cleanAddress(from, options.keepParameters) + location.hash);
        hooks.renamed_?.(from);
      }
      script.src = 'https://connect.facebook.net/en_US/fbevents.js';
      document.head.append(script);
    }
    fbq.callMethod ? fbq.callMethod(...said) : fbq.queue.push(said);
  };
  // Without the second flag the first one loses our own later page views.
  Object.assign(fbq, {
    push: fbq,
    queue: [],
    loaded: true,
    version: '2.0',
    disablePushState: true,
    allowDuplicatePageViews: true,
  });
  (window as any)._fbq = (window as any).fbq = fbq;
  fbq('set', 'autoConfig', false, pixelId);
  // Before init, or it would not hold.
  fbq('consent', client.visitorId() ? 'grant' : 'revoke');
  fbq('init', pixelId);
  pixelCalls(client, options, hooks);
};
