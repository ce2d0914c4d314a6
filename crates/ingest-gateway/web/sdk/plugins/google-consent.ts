import type { Plugin } from '../types.ts';

/**
 * Follows `gtag('consent', ...)`. A default that denies is a question not yet answered, so it means pending.
 */
export const googleConsent: Plugin = (client) => {
  const layer: any[] = ((window as any).dataLayer ||= []);
  let signals: any = {};
  const hear = (said: any) => {
    if (said?.[0] != 'consent') return;
    signals = { ...signals, ...said[2], source: 'google' };
    const both = signals.ad_storage + signals.ad_user_data;
    client.consent(
      both == 'grantedgranted' ? 'granted' : said[1] == 'update' ? 'denied' : 'pending',
      signals,
    );
  };
  const { push } = layer;
  layer.push = (...all: any[]) => {
    all.forEach(hear);
    return push.apply(layer, all);
  };
  layer.forEach(hear);
};
