// The conformance suite has no tokens: this adds one to each request, and changes nothing else, the Host least of all.
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TokenRelay {
  /** Same path as the target. */
  url: string;
  close(): Promise<void>;
}

/** @param target an http: URL */
export async function startTokenRelay(target: string, token: string): Promise<TokenRelay> {
  const { hostname, port, pathname } = new URL(target);
  const server = createServer((request, response) => {
    const onward = forward({
      host: hostname,
      port,
      method: request.method,
      path: request.url,
      headers: { ...request.headers, authorization: `Bearer ${token}` },
    });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      // Heads go on at once: a stream may be silent for long.
      response.flushHeaders();
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
