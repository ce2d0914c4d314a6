/** The campaign's parameters: they make a touch, stay in a cleaned address, and are no page of their own. */
export const campaign = /^(utm_.+|\w+clk?id|.braid|src|sck|xcod)$/;

const without = (address: string, drop: (name: string) => unknown) => {
  const url = new URL(address);
  [...url.searchParams.keys()].forEach((name) => drop(name) && url.searchParams.delete(name));
  url.hash = '';
  return url;
};

/**
 * An address without what is neither the campaign's nor to be kept, nor looks personal. Undefined if there
 * is none.
 */
export const cleanAddress = (address: string, keep?: string[]) => {
  // http, https; not file, about, or none.
  if (address[0] == 'h') {
    const url = without(address, (name) => !campaign.test(name) && !keep?.includes(name));
    // Ten digits in a part of the path are somebody's number, or a token. In the query they are an ad's or a
    // click's.
    url.pathname = url.pathname.replace(/\/([^/\d]*\d){10}[^/]*/g, '/_');
    return url.href.replace(/[^/?&=]+(@|%40)[^/?&]+/g, '_');
  }
};

/** What a page is, for counting its views: campaign names and what a tag manager appends make no new one. */
export const routeOf = (address: string) => without(address, (name) => campaign.test(name)).href;

/** Whether a referrer brought nobody: a page of ours, or a payment page that the visitor comes back from. */
export const isOurs = (referrer: string, domain: string) =>
  referrer.includes(domain) || /mercadopago|paypal|pagseg/.test(referrer);
