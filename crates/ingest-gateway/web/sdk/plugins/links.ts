import { campaign } from '../address.ts';
import type { Plugin } from '../types.ts';

export interface LinksOptions {
  /** Checkout hosts, such as pay.hotmart.com: links to them carry the campaign on. */
  hosts?: string[];
  /** false: leave WhatsApp links alone. */
  whatsapp?: boolean;
}

/**
 * A click on a WhatsApp link is a Contact with a code in its text; a link to a checkout carries the campaign
 * on.
 */
export const links =
  ({ hosts, whatsapp }: LinksOptions = {}): Plugin =>
  (client, _, { listen_: listen }) => {
    listen('click', ({ target }) => {
      const link = (target as Element).closest('a')!;
      const url = new URL(link.href);
      const { searchParams: query, hostname } = url;
      if (whatsapp != false && /^(wa\.me|api\.whatsapp\.com|send)$/.test(hostname)) {
        const text = query.get('text') || '';
        // Once per link: the code of the first click stays.
        if (!/]$/.test(text)) query.set('text', `${text} [${client.track('Contact').eventId.slice(0, 8)}]`);
      } else if (hosts?.includes(hostname)) {
        const brought: any = { sck: client.visitorId(), ...client.attribution().last };
        for (const name in brought) {
          if (campaign.test(name) && !query.has(name)) query.set(name, brought[name]);
        }
      } else return;
      // Apps on iPhones show a plus as it stands. One before a number stays.
      link.href = url.href.replace(/\+(?!\d{9})/g, '%20');
    });
  };
