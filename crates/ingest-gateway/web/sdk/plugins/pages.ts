import { routeOf } from '../address.ts';
import type { Plugin } from '../types.ts';

export interface PagesOptions {
  /** What makes two addresses the same page. Default: path and query without the campaign. */
  key?(address: string): string;
  /** How long an address must stay, so that a bounce through a route is no view. */
  settleMs?: number;
}

/** Counts the page, each route of a single-page application, and each return from the back-forward cache. */
export const pagesWith =
  ({ key = routeOf, settleMs = 200 }: PagesOptions = {}): Plugin =>
  (client, _, { listen }) => {
    const { navigation }: any = window;
    const here = () => key(location.href);
    let route = here();
    let before = route;
    let timer: any;
    const look = () => {
      if (here() != route && here() == before) {
        route = before;
        client.page();
      }
      before = here();
    };
    client.page();
    // The real Pixel sends a view of its own then.
    listen('pageshow', (event) => event.persisted && !(window as any).fbq?.callMethod && client.page());
    // Without the Navigation API the address is looked at: wrappers of pushState fight each other.
    if (!navigation) return setInterval(look, settleMs);
    listen(
      'currententrychange',
      () => {
        clearTimeout(timer);
        before = here();
        timer = setTimeout(look, settleMs);
      },
      navigation,
    );
  };

export const pages: Plugin = pagesWith();
