// Sends events to a gateway with Meta's official Node SDK, unmodified but for the host, and prints what it made of the answers.
//
// Usage: node client.js GATEWAY_URL DATASET_ID SECRET_KEY
'use strict';
const sdk = require('facebook-nodejs-business-sdk');

const [, , url, datasetId, key] = process.argv;
Object.defineProperty(sdk.FacebookAdsApi, 'GRAPH', { get: () => url });

const now = Math.floor(Date.now() / 1000);

function event(id, time = now) {
  const user = new sdk.UserData()
    .setEmail('Ana.Souza@Example.com ')
    .setPhone('+55 11 91234-5678')
    .setClientIpAddress('203.0.113.7')
    .setClientUserAgent('test ua');
  const data = new sdk.CustomData().setValue(123.45).setCurrency('brl').setOrderId(id);
  return new sdk.ServerEvent()
    .setEventName('Purchase')
    .setEventTime(time)
    .setEventId(id)
    .setEventSourceUrl('https://shop.example/thanks')
    .setActionSource('website')
    .setUserData(user)
    .setCustomData(data);
}

async function outcome(token, dataset, events, code) {
  const request = new sdk.EventRequest(token, dataset).setEvents(events);
  if (code) request.setTestEventCode(code);
  try {
    const answer = await request.execute();
    return { events_received: answer.events_received, messages: answer.messages, trace: answer.fbtrace_id };
  } catch (error) {
    const { status, response } = error;
    return {
      status,
      code: response?.code,
      subcode: response?.error_subcode ?? null,
      transient: response?.is_transient,
    };
  }
}

async function main() {
  const batch = Array.from({ length: 20 }, (_, number) => event(`node-${number}`));
  const seen = {
    batch: await outcome(key, datasetId, batch, 'TEST1'),
    again: await outcome(key, datasetId, batch),
    async: (
      await Promise.all(
        Array.from({ length: 5 }, (_, number) => outcome(key, datasetId, [event(`node-async-${number}`)])),
      )
    ).map((answer) => answer.events_received),
    too_old: await outcome(key, datasetId, [event('node-old', now - 8 * 86400)]),
    other_dataset: await outcome(key, '999', [event('node-other')]),
    wrong_key: await outcome('EAAnobodys', datasetId, [event('node-wrong')]),
  };
  process.stdout.write(JSON.stringify(seen));
}

main();
