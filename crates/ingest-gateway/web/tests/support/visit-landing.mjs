// Somebody clicks an ad, agrees to cookies and asks for an appointment on the landing page, in Chromium.
//
// Usage: node visit-landing.mjs ADDRESS_OF_THE_CLICK. Prints {"lead": true}, or {} where there is no Chromium.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [, , address] = process.argv;
const executablePath = [process.env.CHROME_PATH, '/usr/bin/chromium', '/usr/bin/google-chrome'].find(
  (path) => path && existsSync(path),
);
if (!executablePath) {
  if (process.env.CI) throw new Error('no Chromium: set CHROME_PATH or install it');
  console.error('no Chromium: nobody visits the landing page');
  console.log('{}');
  process.exit();
}
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
try {
  const context = await browser.newContext({ locale: 'pt-BR', viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  await page.goto(address);
  // React takes the page over before it listens.
  await page.waitForFunction(() =>
    Object.keys(document.querySelector('footer')).some((name) => name.startsWith('__react')),
  );
  await page.click('.banner button:has-text("Aceitar")');
  await page.fill('#name', 'Ana Souza');
  await page.fill('#phone', '31912345678');
  await page.fill('#email', 'ana@example.com');
  await page.click('button:has-text("Pedir avaliação")');
  await page.waitForSelector('.thanks');
  console.log(JSON.stringify({ lead: true }));
} finally {
  await browser.close();
}
