// Runs Segment's Facebook destination, as Segment's own service does, against a gateway. Its host is written into it, so that the
// connection is led elsewhere below it: as a proxy or a DNS entry would do.
//
// Usage: node client.js GATEWAY_URL DATASET_ID SECRET_KEY
'use strict';
const http = require('node:http');
const https = require('node:https');

const [, , url, pixelId, key] = process.argv;
const gateway = new URL(url);
process.env.ACTIONS_FB_CAPI_SYSTEM_USER_TOKEN = key;
const asked = [];
https.request = (options, done) => {
  asked.push({ host: options.hostname, path: options.path });
  const { hostname, port } = gateway;
  return http.request({ ...options, protocol: 'http:', host: hostname, hostname, port, agent: undefined }, done);
};

const { createTestIntegration } = require('@segment/actions-core');
const destination = require('@segment/action-destinations/dist/destinations/facebook-conversions-api').default;

const segment = (event, properties, more) => ({
  type: 'track',
  event,
  messageId: `segment-${event}`,
  timestamp: new Date().toISOString(),
  userId: 'user-42',
  properties,
  context: {
    ip: '203.0.113.7',
    userAgent: 'Mozilla/5.0',
    page: { url: 'https://loja.example/obrigado' },
    traits: { email: ' Ana.Souza@Example.com', phone: '+55 11 91234-5678', firstName: 'Ana' },
  },
  ...more,
});

async function main() {
  const integration = createTestIntegration(destination);
  const settings = { pixelId };
  const statuses = [];
  for (const [action, event, mapping] of [
    [
      'purchase2',
      segment('Order Completed', {
        currency: 'BRL',
        revenue: 129.9,
        order_id: 'segment-order',
        products: [{ product_id: '7', quantity: 1, price: 129.9 }],
      }),
      { currency: 'BRL', value: 129.9 },
    ],
    ['pageView2', segment('Page', {}, { type: 'page', name: 'Home' }), {}],
    ['custom2', segment('Schedule', {}), { event_name: 'Schedule' }],
  ]) {
    const common = {
      __segment_internal_sync_mode: 'add',
      action_source: 'website',
      event_source_url: 'https://loja.example/obrigado',
      user_data: { email: { '@path': '$.context.traits.email' }, phone: { '@path': '$.context.traits.phone' },
        client_ip_address: { '@path': '$.context.ip' }, client_user_agent: { '@path': '$.context.userAgent' } },
    };
    const responses = await integration.testAction(action, {
      event,
      settings,
      useDefaultMappings: true,
      mapping: { ...common, ...mapping },
    });
    statuses.push(responses.at(-1).status);
  }
  process.stdout.write(JSON.stringify({ statuses, asked }));
}

main().catch((error) => {
  console.error(error, error.response?.data);
  process.exitCode = 1;
});
