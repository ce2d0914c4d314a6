import { cleanAddress } from '../address.ts';
import type { Plugin } from '../types.ts';

/**
 * Tells Meta's Pixel, with the gateway's event id, and at most once per browser. The page loads the Pixel.
 */
export const pixelCalls: Plugin = (_, { pixelId }, hooks) => {
  const told: any = {};
  hooks.pixel = ({ name, pixel_: call, body_: { event, purchase } }) => {
    const { fbq } = window as any;
    const mark = 'rastro:p:' + name;
    if (!call || !fbq || told[mark] || hooks.local[mark]) return;
    const params = purchase ? { ...purchase, contents: purchase.items || [] } : event.custom_data || {};
    fbq(call, pixelId, event.event_name, params, {
      eventID: event.event_id,
      eventSourceUrl: event.event_source_url,
    });
    // For 60 days, of which the queue takes off its six.
    if (event.event_name != 'PageView') told[mark] = hooks.local[mark] = Date.now() + 46656e5;
  };
};

/** Loads the Pixel too, when consent is given, with everything off that it does by itself. */
export const pixel: Plugin = (client, options, hooks) => {
  const { pixelId } = options;
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
