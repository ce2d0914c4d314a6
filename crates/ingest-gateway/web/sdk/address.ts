/** The campaign's parameters: they make a touch, stay in a cleaned address, and are no page of their own. */
export const campaign = /^(utm_.+|\w+clk?id|.braid|src|sck|xcod)$/;

/**
 * An address with what stays of its query, and no fragment. The query is written the way `searchParams` writes
 * it even if all of it stays, so that one page has one address: who sets one name writes all of them anew.
 */
const reduced = (address: string, stays: (one: [string, string]) => unknown) => {
  const url = new URL(address);
  url.search = new URLSearchParams([...url.searchParams].filter(stays)) as any;
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
    const url = reduced(address, ([name]) => campaign.test(name) || keep?.includes(name));
    // Ten digits in a part of the path are somebody's number, or a token. In the query they are an ad's or a
    // click's.
    url.pathname = url.pathname.replace(/\/([^/\d]*\d){10}[^/]*/g, '/_');
    return url.href.replace(/[^/?&=]+(@|%40)[^/?&]+/g, '_');
  }
};

/** What a page is, for counting its views: campaign names and what a tag manager appends make no new one. */
export const routeOf = (address: string) => reduced(address, ([name]) => !campaign.test(name)).href;

/** Whether a referrer brought nobody: a page of ours, or a payment page that the visitor comes back from. */
export const isOurs = (referrer: string, domain: string) =>
  referrer.includes(domain) || /mercadopago|paypal|pagseg/.test(referrer);
