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
  (client, _, hooks) => {
    const { navigation }: any = window;
    const here = () => key(location.href);
    let route: string;
    /** `counted`: this address has its view already. */
    const arrive = (counted?: unknown) => {
      route = here();
      counted || client.page();
    };
    const look = () => {
      const there = here();
      setTimeout(() => there == here() && there != route && arrive(), settleMs);
    };
    arrive();
    // A route that has not settled yet still waits for its view.
    hooks.renamed_ = (from) => key(from) == route && arrive(true);
    // Of a route that was left before it settled this is the view. The real Pixel sends one of its own then.
    hooks.listen_('pageshow', (event) => event.persisted && arrive((window as any).fbq?.callMethod));
    // Without the Navigation API the address is looked at: wrappers of pushState fight each other.
    if (navigation) hooks.listen_('currententrychange', look, navigation);
    else setInterval(look, settleMs);
  };

export const pages: Plugin = pagesWith();
