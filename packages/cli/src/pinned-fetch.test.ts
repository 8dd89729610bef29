import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CertificateAuthority } from '@gatehouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pinnedFetch } from './pinned-fetch.ts';

const authority = new CertificateAuthority();
const shown = authority.issue({ names: ['gate.example.com'] });
const sibling = authority.issue({ names: ['gate.example.com', '127.0.0.1'] });

let server: Server;
let url: string;
let arrived = 0;
beforeAll(async () => {
  server = createServer(shown, (request, response) => {
    arrived += 1;
    if (request.url === '/nothing') response.writeHead(204).end();
    else if (request.url === '/away') response.writeHead(302, { location: '/' }).end();
    else if (request.url !== '/never') request.pipe(response.writeHead(418, { 'x-method': request.method }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('the client of the gateway on this machine', () => {
  it('[GW-TLS] takes the one certificate, whatever its name and whoever signed it', async () => {
    const ask = pinnedFetch(shown.cert);
    const answer = await ask(`${url}/echo`, { method: 'POST', headers: { 'x-a': '1' }, body: 'grüße' });
    expect([answer.status, answer.headers.get('x-method'), await answer.text()]).toEqual([418, 'POST', 'grüße']);
    expect(await (await ask(`${url}/nothing`, {})).text()).toBe('');
    expect((await ask(`${url}/away`, {})).status).toBe(302);
  });

  it.each([
    ['another one of the same authority', sibling.cert],
    ['one of nobody', new CertificateAuthority().issue({ names: ['127.0.0.1'] }).cert],
  ])('[GW-TLS] sends nothing to a server that shows another than %s', async (_, certificate) => {
    const before = arrived;
    const asked = pinnedFetch(certificate)(url, { headers: { authorization: 'Bearer secret' } });
    await expect(asked).rejects.toThrow('fetch failed');
    expect(arrived).toBe(before);
  });

  it('ends with its signal, saying why', async () => {
    const reason = new DOMException('too long', 'TimeoutError');
    const aborter = new AbortController();
    const asked = pinnedFetch(shown.cert)(`${url}/never`, { signal: aborter.signal });
    aborter.abort(reason);
    await expect(asked).rejects.toBe(reason);
  });
});
