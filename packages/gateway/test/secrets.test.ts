// P6: canary values go through everything that a gateway does, and are then searched for in everything that it left behind.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { RecordingUpstream } from '@gatehouse/testkit';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { openGateway } from '../src/index.ts';
import { ADMIN, Harness, SECRET_KEY } from './harness.ts';

const UPSTREAM_SECRET = 'canary-upstream-credential-5d1f';
const ARGUMENT = 'canary-argument-9a3c';
const NESTED = 'canary-nested-71be';

function filesBelow(folder: string): string[] {
  return (
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      // Reading it in this process would drop the lock that stands on it; it is empty.
      .filter((entry) => entry.name !== 'lock.db')
      .map((entry) => join(entry.parentPath, entry.name))
  );
}

it('[P6] tokens, upstream credentials and argument values stay out of files, log lines, answers and metrics', async () => {
  const lines: string[] = [];
  const logger = pino(
    { level: 'debug' },
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(chunk.toString('utf8'));
        done();
      },
    }),
  );
  const harness = await Harness.open({ logger });
  const upstream = await RecordingUpstream.start({
    tools: [
      { name: 'get_a', inputSchema: { type: 'object', properties: { q: { type: 'string' }, o: { type: 'object' } } } },
    ],
  });
  const { services } = harness.gateway;
  await services.servers.create(
    {
      slug: 'rec',
      transport: { kind: 'http', url: upstream.url },
      credentials: { kind: 'headers', values: { authorization: `Bearer ${UPSTREAM_SECRET}` } },
    },
    ADMIN,
  );
  await harness.gateway.readDefinitions('rec', { accept: true, actor: ADMIN });
  const { token } = await harness.grant('rec', {
    version: '1',
    default: 'deny',
    tools: { get_a: { args: { q: { neq: 'no' } }, rate_limit: '2/minute' } },
  });
  const client = harness.client('rec', token);
  await client.initialize();
  const answers: string[] = [];
  for (let call = 0; call < 3; call++) {
    answers.push((await client.call('get_a', { q: ARGUMENT, o: { [NESTED]: [ARGUMENT] } })).text);
  }
  answers.push((await client.call('get_a', { q: 7, o: ARGUMENT })).text);
  answers.push((await client.call('no_such_tool', { q: ARGUMENT })).text);
  await client.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"q":"${ARGUMENT}"}}`);
  await harness.client('rec', `${token}x`).request('ping');
  upstream.options.intercept = (_request, response) => {
    response.destroy();
    return true;
  };
  answers.push((await client.call('get_a', { q: ARGUMENT })).text);
  // What was meant to arrive did: the search below would find nothing in a gateway that does nothing.
  expect(upstream.calls()[0]?.headers.authorization).toBe(`Bearer ${UPSTREAM_SECRET}`);
  expect(upstream.calls()[0]?.body.toString()).toContain(ARGUMENT);

  const admin = { authorization: `Bearer ${harness.gateway.adminToken}` };
  const pages = ['status', 'servers', 'servers/rec', 'servers/rec/tools', 'servers/rec/policies', 'identities'];
  pages.push('tokens', 'grants', 'audit/records', 'audit/changes', 'audit/export', 'audit/export?format=csv');
  for (const page of pages) {
    const answer = await harness.gateway.api.request(`/api/v1/${page}`, { headers: admin });
    expect(answer.status, page).toBe(200);
    answers.push(await answer.text());
  }
  answers.push(await (await fetch(`${harness.base}metrics`)).text(), await (await fetch(harness.base)).text());
  await harness.gateway.close();
  const left = [...answers, ...lines, ...filesBelow(harness.dir).map((file) => readFileSync(file, 'latin1'))];
  expect(left.length).toBeGreaterThan(20);
  for (const secret of [token, UPSTREAM_SECRET, ARGUMENT, NESTED, SECRET_KEY, harness.gateway.adminToken]) {
    expect(left.filter((text) => text.includes(secret))).toEqual([]);
  }
  await upstream.close();
  await harness.close();
});

it('[P6] a gateway with another key does not open what was sealed', async () => {
  const harness = await Harness.open();
  await harness.gateway.close();
  const settings = harness.settings;
  await expect(
    openGateway(settings, { env: { GATEHOUSE_SECRET_KEY: SECRET_KEY.split('').reverse().join('') } }),
  ).rejects.toMatchObject({ code: 'key_missing' });
  await harness.close();
});
