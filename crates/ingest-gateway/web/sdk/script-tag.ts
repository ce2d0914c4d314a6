import { createRastro } from './core.ts';
import { forms } from './plugins/forms.ts';
import { googleConsent } from './plugins/google-consent.ts';
import { links } from './plugins/links.ts';
import { pages } from './plugins/pages.ts';
import { pixel, pixelCalls } from './plugins/pixel.ts';
import type { Plugin } from './types.ts';

const script = document.currentScript as HTMLScriptElement;
const early = (window as any).rastro;

// A second copy of the script does nothing.
if (!early?.track) {
  const { dataset: said } = script;
  const google = said.consent == 'google';
  const client: any = ((window as any).rastro = createRastro(
    {
      key: said.key!,
      endpoint: new URL(script.src).origin,
      pixelId: said.pixel,
      consent: google ? 'pending' : (said.consent as any),
      keepParameters: said.keep?.split(' '),
      cleanUrl: said.cleanUrl != null,
    },
    // What is not asked for is false here, and no plug-in.
    [
      google && googleConsent,
      said.pixel && (said.loadPixel != null ? pixel : pixelCalls),
      forms,
      links({ hosts: said.links?.split(' ') }),
      said.pages != 'off' && pages,
    ] as Plugin[],
  ));
  // What was called before we came: rastro.push(['trackLead', {...}]).
  client.push = ([name, ...args]: any[]) => client[name]?.(...args);
  early?.forEach(client.push);
}
