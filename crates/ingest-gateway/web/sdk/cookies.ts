/** The value of a cookie, decoded: the Pixel writes some of them encoded. '' if it is absent. */
export const readCookie = (name: string, jar: string) =>
  decodeURIComponent(('; ' + jar).split('; ' + name + '=')[1]?.split(';')[0] || '');

/** The domains a page may try to write cookies for, widest first, its host alone ('') last. */
export const domainsOf = (host: string) =>
  host
    .split('.')
    .map((_, from, labels) => labels.slice(~from).join('.'))
    .concat('');

/** Meta's index of a domain: the dots in it. None in an IP address. */
export const dotsOf = (domain: string) => domain.split(/\.(?=\D)/).length - 1;

/**
 * `_fbc`: the stored one, unless the click is another. Case is kept. `made` is what stands before the click.
 */
export const clickCookie = (stored: string, click: string | null, made: string) =>
  click && !stored.includes('.' + click) ? made + click : stored;
