import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from '../support/load.js';

const { cleanAddress, routeOf, isOurs } = await load('sdk/address.ts');
const { readCookie, domainsOf, dotsOf, clickCookie } = await load('sdk/cookies.ts');
const { retryDelay } = await load('sdk/retry.ts');

test('27: an address leaves without what is personal', () => {
  const host = 'https://loja.example.com.br';
  const cases = [
    // Mercado Pago's return: an e-mail address in external_reference.
    [
      '/obrigado?collection_status=approved&payment_id=1234567890&external_reference=ana%40example.com&utm_source=ig',
      '/obrigado?utm_source=ig',
    ],
    ['/?utm_source=ana@example.com&gclid=Cj0_x', '/?utm_source=_&gclid=Cj0_x'],
    ['/?UTM_SOURCE=x&fbclid=IwAR0aB_c-D', '/?fbclid=IwAR0aB_c-D'],
    ['/cliente/123.456.789-09/pedidos', '/cliente/_/pedidos'],
    ['/fone/+55(11)91234-5678', '/fone/_'],
    ['/u/ana@example.com/perfil', '/u/_/perfil'],
    ['/u/ana%40example.com', '/u/_'],
    ['/senha/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b', '/senha/_'],
    ['/s/1e5f8a4c-93b2-4d1c-a9f0-7c51b2d0e811', '/s/_'],
    [
      '/p/7?utm_id=120210000000000001&utm_content=a%2Bb#token=abc',
      '/p/7?utm_id=120210000000000001&utm_content=a%2Bb',
    ],
    [
      '/blog/2026/11/como-funciona-o-implante-dentario-passo-a-passo',
      '/blog/2026/11/como-funciona-o-implante-dentario-passo-a-passo',
    ],
    ['/?src=afiliado&sck=HOTMART_1&xcod=x1&q=clareamento', '/?src=afiliado&sck=HOTMART_1&xcod=x1'],
    [
      '/?gbraid=0AAA&wbraid=Cj&ttclid=t&msclkid=m&cpf=12345678909',
      '/?gbraid=0AAA&wbraid=Cj&ttclid=t&msclkid=m',
    ],
  ];
  for (const [dirty, clean] of cases) assert.equal(cleanAddress(host + dirty), host + clean);
  assert.equal(cleanAddress(host + '/?produto=7&cpf=1', ['produto']), host + '/?produto=7');
  assert.equal(cleanAddress(host + '/?produto=ana@example.com', ['produto']), host + '/?produto=_');
  assert.equal(cleanAddress(''), undefined);
  assert.equal(cleanAddress('file:///home/ana/index.html'), undefined);
});

test('4: what a campaign or a tag manager appends is no new page', () => {
  const page = routeOf('https://loja.example.com.br/p?pagina=2');
  assert.equal(
    routeOf('https://loja.example.com.br/p?pagina=2&xcod=a&sck=b&utm_source=ig&fbclid=1#topo'),
    page,
  );
  assert.notEqual(routeOf('https://loja.example.com.br/p?pagina=3'), page);
  // Who appends with `searchParams.set` writes the whole query anew, the way it writes it.
  for (const query of ['q=bolo%20de%20cenoura', 'q=Jos%e9', 'busca', "q=l'eau", 'q=(a)~*&&b=', 'q=a/b?c:d@e']) {
    const url = new URL('https://loja.example.com.br/busca?' + query);
    url.searchParams.set('xcod', 'a');
    assert.equal(routeOf(url.href), routeOf('https://loja.example.com.br/busca?' + query));
  }
});

test('our own pages and payment pages bring nobody', () => {
  assert.equal(isOurs('https://www.example.com.br/x', 'example.com.br'), true);
  assert.equal(isOurs('https://www.mercadopago.com.br/checkout', 'example.com.br'), true);
  assert.equal(isOurs('https://www.google.com/', 'example.com.br'), false);
});

test('a cookie is found by its whole name and decoded', () => {
  const jar = '_fbpx=1; x_fbp=2; _fbp=fb.1.2.3; _rat=%7B%22a%22%3A%22b%3D1%22%7D; leer=';
  assert.equal(readCookie('_fbp', jar), 'fb.1.2.3');
  assert.equal(readCookie('_rat', jar), '{"a":"b=1"}');
  assert.equal(readCookie('_fbc', jar), '');
  assert.equal(readCookie('leer', jar), '');
});

test('20: the domains to try, and their index at Meta', () => {
  assert.deepEqual(domainsOf('loja.example.com.br'), [
    'br',
    'com.br',
    'example.com.br',
    'loja.example.com.br',
    '',
  ]);
  assert.deepEqual(domainsOf('localhost'), ['localhost', '']);
  const index = {
    com: 0,
    'example.com': 1,
    'www.example.com': 2,
    'example.co.uk': 2,
    localhost: 0,
    '127.0.0.1': 0,
    '': 0,
  };
  for (const domain in index) assert.equal(dotsOf(domain), index[domain], domain);
});

test("23: fbc in Meta's form, with its case", () => {
  const made = 'fb.2.1700000000123.';
  // Rows of the table that Meta's own builder was executed for.
  assert.equal(clickCookie('', 'AbC_d-1', made), 'fb.2.1700000000123.AbC_d-1');
  assert.equal(clickCookie('fb.1.1600000000000.Old', 'Old', made), 'fb.1.1600000000000.Old');
  assert.equal(clickCookie('fb.1.1600000000000.Old', null, made), 'fb.1.1600000000000.Old');
  assert.equal(
    clickCookie('fb.1.1600000000000.Old.AQQAAQMC', 'Old', made),
    'fb.1.1600000000000.Old.AQQAAQMC',
  );
  assert.equal(clickCookie('fb.1.1600000000000.Old.BA', 'New', made), 'fb.2.1700000000123.New');
  assert.equal(clickCookie('fb.1.1600000000000.old', 'Old', made), 'fb.2.1700000000123.Old');
});

test('the next try: what the gateway asks for, else jitter that grows to a minute', () => {
  assert.equal(retryDelay(1, '7', 0.5), 7000);
  assert.equal(retryDelay(1, null, 0.5), 500);
  assert.equal(retryDelay(4, null, 1), 8000);
  assert.equal(retryDelay(40, null, 1), 60000);
  assert.equal(retryDelay(2, undefined, 0), 0);
  assert.equal(
    retryDelay(2, 'Fri, 27 Nov 2026 23:59:59 GMT', 0.5),
    1000,
    'a date is not read: the jitter holds',
  );
});
