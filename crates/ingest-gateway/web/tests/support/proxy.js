// Stands before the gateway, real or not: keeps what passed, and fails on command.
import { createServer, request as send } from 'node:http';

export async function startProxy({ target, port = 0 }) {
  const proxy = {
    /** `{ method, url, path, headers, body, status, answer }` of each request, in order. */
    requests: [],
    /** How many came, answered or not. */
    seen: 0,
    /**
     * Returns undefined to let a request pass; `'cut'`; `{ status, headers, body }`; `{ wait }`; or `{ strip
     * }`.
     */
    fault: () => undefined,
  };
  const forward = (request, text, strip) =>
    new Promise((done, fail) => {
      const url = new URL(request.url, target);
      const headers = { ...request.headers, 'content-length': Buffer.byteLength(text) };
      const outgoing = send(url, { method: request.method, headers }, (incoming) => {
        const chunks = [];
        incoming.on('data', (chunk) => chunks.push(chunk));
        incoming.on('end', () => {
          const headers = { ...incoming.headers };
          delete headers['transfer-encoding'];
          if (strip)
            for (const name of Object.keys(headers))
              if (name.startsWith('access-control')) delete headers[name];
          done({ status: incoming.statusCode, headers, body: Buffer.concat(chunks) });
        });
      });
      outgoing.on('error', fail);
      outgoing.end(text);
    });

  const server = createServer((request, response) => {
    proxy.seen++;
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', async () => {
      const text = Buffer.concat(chunks).toString();
      const seen = {
        method: request.method,
        url: request.url,
        path: request.url.split('?')[0],
        headers: request.headers,
        text,
      };
      try {
        seen.body = JSON.parse(text);
      } catch {}
      const fault = proxy.fault(seen);
      if (fault?.wait) await fault.wait;
      if (fault == 'cut') {
        proxy.requests.push({ ...seen, status: 0 });
        return request.socket.destroy();
      }
      if (fault?.status) {
        const { origin } = request.headers;
        response.writeHead(fault.status, {
          'content-type': 'application/problem+json',
          ...(origin && {
            'access-control-allow-origin': origin,
            'access-control-allow-credentials': 'true',
            'access-control-expose-headers': 'Retry-After',
          }),
          ...fault.headers,
        });
        proxy.requests.push({ ...seen, status: fault.status });
        return response.end(fault.body ?? JSON.stringify({ status: fault.status, detail: 'on command' }));
      }
      try {
        const { status, headers, body } = await forward(request, text, fault?.strip);
        let answer;
        try {
          answer = JSON.parse(body);
        } catch {}
        // Before the page can know of it.
        proxy.requests.push({ ...seen, status, answer, answerHeaders: headers });
        if (fault?.lose) return request.socket.destroy();
        response.writeHead(status, headers);
        response.end(body);
      } catch {
        request.socket.destroy();
      }
    });
  });
  await new Promise((done) => server.listen(port, '127.0.0.1', done));
  proxy.port = server.address().port;
  proxy.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return proxy;
}
