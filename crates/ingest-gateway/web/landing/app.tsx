import { createRastro, links, pages, pixel } from '@rastro/browser';
import type { Rastro } from '@rastro/browser';
import { RastroProvider } from '@rastro/react';
import { StrictMode } from 'react';
import { createRoot, hydrateRoot } from 'react-dom/client';
import { decided, Page } from './page.tsx';

/** Both sides of hydration: the build renders it without a window. */
export const App = ({ client, path }: { client: Rastro; path: string }) => (
  <StrictMode>
    <RastroProvider client={client}>
      <Page path={path} />
    </RastroProvider>
  </StrictMode>
);

const given = typeof document == 'undefined' ? {} : document.documentElement.dataset;
// Outside of React, which may render twice.
export const client = createRastro(
  {
    key: given.key ?? '',
    endpoint: given.endpoint ?? '',
    pixelId: given.pixel,
    consent: decided() ?? 'pending',
    cleanUrl: true,
  },
  [...(given.pixel ? [pixel] : []), pages, links()],
);

if (typeof document != 'undefined') {
  const root = document.getElementById('app')!;
  const app = <App client={client} path={location.pathname} />;
  if (root.firstElementChild) hydrateRoot(root, app);
  else createRoot(root).render(app);
}
