// Every page of a running dashboard in a real Chromium: light and dark, desktop, tablet and phone. No error in the console (a broken
// content policy is one), nothing wider than the screen, nothing that axe finds, and a screenshot of each. Then without colours, by
// keyboard, without JavaScript, and in a browser of another language and zone. It sends one dead letter again.
//
//   DASHBOARD_URL=http://127.0.0.1:9180 DASHBOARD_KEY=ak_... node check.mjs [folder for screenshots] [page ...]
//
// playwright-core and axe-core are those of ../../ingest-gateway/web: `scripts/install.sh node-tests chromium` installs them.
import { mkdirSync, readFileSync, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(new URL('../../ingest-gateway/web/package.json', import.meta.url));
const { chromium } = require('playwright-core');

const { env, argv } = process;
const [folder = '', ...only] = argv.slice(2);
const url = env.DASHBOARD_URL ?? 'http://127.0.0.1:9180';
const browserPath = [env.CHROME_PATH, '/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => path && existsSync(path));
if (!browserPath) throw new Error('no Chromium: set CHROME_PATH or install it');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
if (folder) mkdirSync(folder, { recursive: true });

const problems = [];
problems.push = (...more) => (more.forEach((one) => console.error(`  ! ${one}`)), Array.prototype.push.apply(problems, more));
const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] });
const context = await browser.newContext({ locale: 'en-US', timezoneId: 'UTC', bypassCSP: false });

// Signing in by the form, as a person does.
const entrance = await context.newPage();
await entrance.goto(`${url}/entrar`);
const login = { name: 'entrar', path: '/entrar' };
const visit = async (page, { name, path, status = 200 }, theme, width) => {
  const errors = [];
  const onConsole = (message) => message.type() === 'error' && errors.push(message.text());
  const onError = (error) => errors.push(String(error));
  page.on('console', onConsole);
  page.on('pageerror', onError);
  await page.setViewportSize({ width, height: 900 });
  await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
  // From an address to the same one with a mark behind it a browser only scrolls.
  await page.goto('about:blank');
  const answer = await page.goto(url + path);
  const where = `${name} ${theme} ${width}`;
  if (answer.status() !== status) problems.push(`${where}: HTTP ${answer.status()}`);
  const bytes = (await answer.body()).length;
  // The revenue page has ten cards with a table behind each.
  if (bytes > (name.startsWith('receita') ? 80_000 : 60_000)) problems.push(`${where}: ${bytes} bytes of HTML`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (wide > 0) problems.push(`${where}: ${wide} px wider than the screen`);
  if (folder) await page.screenshot({ path: join(folder, `${name}-${theme}-${width}.png`), fullPage: true });
  // evaluate() is not bound by the page's content policy, and what axe adds is gone with the page.
  const found = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ['violations'] })`);
  for (const { id, help, nodes } of found.violations)
    problems.push(`${where}: ${id} (${help}), ${nodes.length}x, such as ${nodes[0].html.slice(0, 160)}`);
  // Of a page that is not there the browser says so itself.
  const ours = errors.filter((error) => status === 200 || !error.includes(`status of ${status}`));
  problems.push(...ours.map((error) => `${where}: ${error}`));
  page.off('console', onConsole);
  page.off('pageerror', onError);
  console.log(`${where}: ${bytes} bytes, ${found.violations.length} violations`);
};
const shapes = [['light', 1360], ['dark', 1360], ['light', 820], ['light', 390], ['dark', 390]];
for (const [theme, width] of shapes) await visit(entrance, login, theme, width);

await entrance.goto('about:blank');
await entrance.goto(`${url}/entrar#key=${env.DASHBOARD_KEY}`);
await entrance.waitForFunction(() => !location.hash);
if ((await entrance.inputValue('#key')) !== env.DASHBOARD_KEY) problems.push('the key behind # was not filled in');
await entrance.fill('#name', 'Ana');
await entrance.click('main button');
await entrance.waitForURL(`${url}/`);

// Pages that are about something lead to it from another page.
const page = await context.newPage();
const link = async (from, selector) => {
  await page.goto(url + from);
  const found = await page.locator(selector).first().getAttribute('href').catch(() => null);
  if (!found) problems.push(`${from}: no ${selector}`);
  return found ?? from;
};
page.setDefaultTimeout(5_000);
const pages = [
  { name: 'geral', path: '/' },
  { name: 'geral-7d', path: '/?p=7d&lang=en' },
  { name: 'parados', path: '/parados' },
  { name: 'evento-procura', path: '/evento' },
  { name: 'evento', path: await link('/parados', '#preview a[href^="/evento"]') },
  { name: 'disjuntor', path: await link('/', 'a[href^="/disjuntor"]') },
  { name: 'qualidade', path: '/qualidade' },
  { name: 'alertas', path: '/alertas' },
  { name: 'alerta', path: await link('/alertas', 'main a[href^="/alertas/"]') },
  { name: 'metodo', path: '/metodo' },
  { name: 'runbook', path: '/runbook#dead-letters' },
  { name: 'nada', path: '/nada', status: 404 },
  { name: 'conjuntos', path: '/conjuntos' },
  { name: 'conjunto-novo', path: '/conjuntos/novo' },
  { name: 'conjunto', path: await link('/conjuntos', 'main table a') },
  { name: 'receita', path: '/receita' },
  { name: 'receita-90d', path: '/receita?p=90d&lang=en' },
  { name: 'receita-canal', path: '/receita?p=365d&canal=meta&modelo=first' },
];
// Two at a time: most of it is waiting for the browser.
const due = pages
  .filter(({ name }) => !only.length || only.includes(name))
  .flatMap((one) => shapes.map((shape) => [one, ...shape]));
const work = async (tab) => {
  for (let next; (next = due.shift()); ) await visit(tab, ...next);
};
await Promise.all([work(page), work(await context.newPage())]);

// By keyboard: through the bars of a chart.
await page.setViewportSize({ width: 1360, height: 900 });
await page.goto(`${url}/`);
const bar = page.locator('#volume .col[tabindex="0"]');
if (await bar.count()) {
  const before = await bar.getAttribute('aria-label');
  await bar.focus();
  await page.keyboard.press('ArrowLeft');
  const after = await page.evaluate(() => document.activeElement.getAttribute('aria-label'));
  if (!after || after === before) problems.push('the arrow keys do not walk through the bars');
}
// A page keeps itself fresh, what is on it goes on working, and it says so when it does not.
await page.bringToFront();
await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url });
const look = () => page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
// Changes a heading and waits until a refresh has put it right.
const refreshed = async (where, card) => {
  const heading = await page.locator(`${card} h2`).first().textContent();
  await page.evaluate((card) => (document.querySelector(`${card} h2`).textContent = 'of before'), card);
  await look();
  const is = ([card, text]) => document.querySelector(`${card} h2`).textContent === text;
  await page.waitForFunction(is, [card, heading]).catch(() => problems.push(`${where} does not refresh itself`));
};
await page.goto(`${url}/parados`);
await refreshed('/parados', '#causes');
const event = pages.find(({ name }) => name === 'evento').path;
await page.goto(url + event);
const copy = page.locator('main [data-copy]').first();
await refreshed(event, `#${await copy.evaluate((button) => button.closest('section[id]').id)}`);
await copy.click();
const copied = await page.evaluate(() => navigator.clipboard.readText());
if (copied !== (await copy.getAttribute('data-copy'))) problems.push(`after a refresh a button copies “${copied}”`);
await page.route('**/*', (route) => route.abort());
await page.evaluate(() => {
  const now = Date.now() + 179_000;
  Date.now = () => now;
});
await look();
await page.locator('#stamp').waitFor({ state: 'visible' }).catch(() => problems.push('a stale page does not say so'));
const stale = await page.locator('#stamp').textContent();
if (!stale.includes('de há 3 min')) problems.push(`a stale page says “${stale}”`);
await page.unroute('**/*');

// The same text without JavaScript, and in a browser of Brazil: what a page says is the server's, in the zone that it is set to.
const others = {
  'without JavaScript': { javaScriptEnabled: false },
  'in a browser of Brazil': { locale: 'pt-BR', timezoneId: 'America/Sao_Paulo' },
};
const tabs = [];
for (const [where, options] of Object.entries(others)) {
  const other = await browser.newContext({ ...options, storageState: await context.storageState() });
  tabs.push([where, await other.newPage()]);
}
const text = async (tab, path) => {
  await tab.goto('about:blank');
  await tab.goto(url + path);
  // #stamp says how old the page is.
  const main = await tab.locator('main').textContent();
  const stamp = await tab.locator('main #stamp').textContent({ timeout: 50 }).catch(() => '');
  return main.replace(stamp, '').replace(/\s+/g, ' ');
};
const difference = (one, two) => {
  let at = 0;
  while (one[at] === two[at]) at += 1;
  return `“${one.slice(Math.max(0, at - 30), at + 40)}” and “${two.slice(Math.max(0, at - 30), at + 40)}”`;
};
const numbers = (words) => words.match(/\d[\d.,]*/g)?.length ?? 0;
let alike = 0;
for (const { name, path } of pages.filter(({ name }) => !only.length || only.includes(name))) {
  for (const [where, tab] of tabs) {
    // How long ago something was may change between two looks.
    let [ours, theirs] = ['', ' '];
    for (let look = 0; look < 4 && ours !== theirs; look += 1)
      [ours, theirs] = await Promise.all([text(page, path), text(tab, path)]);
    if (ours === theirs) alike += 1;
    else problems.push(`${name}: other text ${where}: ${difference(ours, theirs)}`);
    if (name === 'geral' && numbers(theirs) < 20) problems.push(`${name}: numbers are missing ${where}`);
  }
}
console.log(`${alike} times the same text`);
// Nor is there a button that would do nothing.
const [, silent] = tabs[0];
await silent.goto(url + event);
if (await silent.locator('[data-copy]:visible').count()) problems.push('without JavaScript there is a button to copy');

// In grey every state is still told apart; whether it is legible is for people, who look at the picture.
const devtools = await context.newCDPSession(page);
await devtools.send('Emulation.setEmulatedVisionDeficiency', { type: 'achromatopsia' });
await page.goto(`${url}/`);
const picture = await page.screenshot({ fullPage: true, ...(folder && { path: join(folder, 'geral-grey-1360.png') }) });
await devtools.send('Emulation.setEmulatedVisionDeficiency', { type: 'none' });
const canvas = await (await browser.newContext()).newPage();
const { coloured, tones } = await canvas.evaluate(async (data) => {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
  const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
  context.drawImage(image, 0, 0);
  const { data: pixels } = context.getImageData(0, 0, image.width, image.height);
  const tones = new Set();
  let coloured = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    const [red, green, blue] = pixels.slice(at, at + 3);
    coloured += Math.max(red, green, blue) - Math.min(red, green, blue) > 3;
    tones.add(green);
  }
  return { coloured, tones: tones.size };
}, picture.toString('base64'));
if (coloured || tones < 16) problems.push(`in grey: ${coloured} pixels have a colour, ${tones} tones`);
console.log(`in grey: ${tones} tones`);

// By keyboard: one dead letter is sent again.
await page.goto(`${url}/parados`);
const here = () => page.evaluate(() => document.activeElement.textContent.trim());
let presses = 0;
while (!(await here()).startsWith('Reenviar 1') && presses < 200) {
  await page.keyboard.press('Tab');
  presses += 1;
}
if (presses === 200) problems.push('by keyboard: “Reenviar 1” is not reached');
else {
  const seen = await page.evaluate(() => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement);
    return (outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none';
  });
  if (!seen) problems.push('by keyboard: where the focus is cannot be seen');
  await page.keyboard.press('Enter');
  await page.locator('.banner.ok', { hasText: '1' }).waitFor().catch(() => problems.push('by keyboard: nothing says that one was sent again'));
}
console.log(`by keyboard: ${presses} presses to send one again`);
await browser.close();

console.log(problems.length ? `${problems.length} problems` : 'no problems');
process.exit(problems.length ? 1 : 0);
