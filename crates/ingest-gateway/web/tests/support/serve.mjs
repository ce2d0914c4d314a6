// `npm run serve`: the landing page on one port, the stub of the gateway on another. For looking at it.
import { join } from 'node:path';
import { root } from '../../build.mjs';
import { publishableKey, startGateway } from './gateway.js';
import { startLanding } from './landing.js';

const port = Number(process.env.PORT ?? 8090);
const endpoint = process.env.RASTRO_GATEWAY_URL ?? 'http://127.0.0.1:8091';
await startLanding({ port, endpoint, key: process.env.RASTRO_KEY ?? publishableKey });
if (!process.env.RASTRO_GATEWAY_URL) {
  await startGateway({
    port: 8091,
    origins: [`http://127.0.0.1:${port}`, `http://localhost:${port}`],
    sdkFile: join(root, 'dist/sdk.js'),
  });
}
console.log(`landing page: http://127.0.0.1:${port}/  gateway: ${endpoint}`);
