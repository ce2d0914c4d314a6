export { createRastro } from './core.ts';
export type * from './types.ts';
export { pixel, pixelCalls } from './plugins/pixel.ts';
export { pages, pagesWith } from './plugins/pages.ts';
export { links } from './plugins/links.ts';
export { forms } from './plugins/forms.ts';
export { googleConsent } from './plugins/google-consent.ts';
