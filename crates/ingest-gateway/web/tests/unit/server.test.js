import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { load } from '../support/load.js';

test('14: on a server nothing happens and nothing throws', async () => {
  assert.equal(typeof window, 'undefined');
  const { createRastro, pixel, pages, links, forms, googleConsent } = await load('sdk/index.ts');
  const client = createRastro({ key: 'pk_x', endpoint: '' }, [pixel, pages, links(), forms, googleConsent]);
  const withheld = { status: 'withheld', why: 'server-render' };
  assert.deepEqual(await client.track('ViewContent').outcome, withheld);
  assert.deepEqual(await client.trackLead({ email: 'ana@example.com' }).outcome, withheld);
  assert.deepEqual(await client.trackPurchase({ orderId: '1', value: 1 }).outcome, withheld);
  assert.deepEqual(await client.page().outcome, withheld);
  client.identify({ em: 'ana@example.com' });
  client.consent('denied');
  assert.equal(client.visitorId(), '');
  assert.equal(client.attribution().last, undefined);
  await client.flush();
  client.reset();
  client.destroy();
});

test('14: hooks render on a server', async () => {
  const { createRastro } = await load('sdk/index.ts');
  const react = { external: ['react'] };
  const { RastroProvider, useLeadForm, usePurchaseTracking, useTrackOnce, usePageView, useRastro } =
    await load('react/index.tsx', react);
  const client = createRastro({ key: 'pk_y', endpoint: '' });
  const All = () => {
    useTrackOnce('ViewContent', {}, { id: '1' });
    usePageView('/');
    usePurchaseTracking({ orderId: '1', value: 1 });
    return createElement('p', null, useLeadForm().state);
  };
  assert.equal(
    renderToString(createElement(RastroProvider, { client }, createElement(All))),
    '<p>idle</p>',
  );
  const Alone = () => createElement('p', null, useRastro().visitorId());
  assert.throws(() => renderToString(createElement(Alone)), /RastroProvider/);
});
