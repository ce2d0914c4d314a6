// How long one call of `track` keeps a page's main thread, in Chromium, with the script as a gateway serves it.
//
// Usage: node track-time.mjs GATEWAY_URL PUBLISHABLE_KEY. Prints {"calls", "median_ms", "p95_ms"}.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [, , gateway, key] = process.argv;
const calls = 200;
const executablePath = [process.env.CHROME_PATH, '/usr/bin/chromium', '/usr/bin/google-chrome'].find(
  (path) => path && existsSync(path),
);
if (!executablePath) {
  console.error('no Chromium: the time of track is not measured');
  console.log('{}');
  process.exit();
}
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
try {
  const page = await browser.newPage();
  // At the gateway's own origin, which may send unless others are named.
  await page.route('**/page', (route) =>
    route.fulfill({
      contentType: 'text/html',
      body: `<!doctype html><script src="${gateway}/sdk.js" data-key="${key}"></script>`,
    }),
  );
  await page.goto(gateway + '/page');
  await page.waitForFunction(() => typeof rastro == 'object' && rastro.visitorId());
  const times = await page.evaluate(async (calls) => {
    const times = [];
    for (let call = 0; call < calls; call++) {
      const params = { content_ids: ['7'], value: 129.9, currency: 'BRL' };
      const began = performance.now();
      const { outcome } = rastro.track('ViewContent', params);
      times.push(performance.now() - began);
      // As pages do it: one at a time, not a thousand in a row.
      await outcome;
    }
    return times.sort((one, other) => one - other);
  }, calls);
  const at = (share) => times[Math.ceil(times.length * share) - 1];
  console.log(JSON.stringify({ calls, median_ms: at(0.5), p95_ms: at(0.95) }));
} finally {
  await browser.close();
}
