// What goes on beside the log, in a whole gateway: heads leave, old segments go, and the API and the metrics say so.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SignedHead, verifyAuditLog } from '@gatehouse/verify';
import { expect, it, onTestFinished } from 'vitest';
import { GatehouseError, loadSettings, openGateway } from '../src/index.ts';
import { Harness, SECRET_KEY } from './harness.ts';

const DAY = 86_400_000;

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 5));
}

const api = async (harness: Harness, method: string, path: string) => {
  const headers = { authorization: `Bearer ${harness.gateway.adminToken}` };
  const answer = await harness.gateway.api.request(`/api/v1${path}`, { method, headers });
  return { status: answer.status, body: (await answer.json()) as unknown };
};

it('[AUD-HEADS-OUT] heads go to a file and a webhook; a receiver that hangs holds up no call', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-heads-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'heads.jsonl');
  let hangs = true;
  const received: SignedHead[] = [];
  const server = createServer((request, response) => {
    if (hangs) return;
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      received.push(JSON.parse(body) as SignedHead);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const webhook = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const harness = await Harness.open({
    flags: { 'audit.heads.file': file, 'audit.heads.webhook': webhook, 'audit.heads.allow': ['127.0.0.1'] },
  });
  await harness.record('rec', { tools: [{ name: 'read_it', inputSchema: { type: 'object' } }] });
  const { token } = await harness.grant('rec', { version: '1', default: 'deny', tools: { read_it: {} } });
  const client = harness.client('rec', token);
  await client.initialize();
  await until(async () => {
    await client.call('read_it');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { audit } = (await api(harness, 'GET', '/status')).body as { audit: { heads: { waiting: number }[] } };
    return audit.heads[1]!.waiting > 0;
  });
  expect((await client.call('read_it')).message?.result?.isError).not.toBe(true);
  hangs = false;
  server.closeAllConnections();
  const { audit } = harness.gateway;
  await harness.gateway.close();
  const heads = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as SignedHead);
  // The last head of each chain is the one over its `stop`.
  const report = await verifyAuditLog({
    dir: join(harness.dir, 'audit'),
    publicKeys: [{ publicKey: audit.publicKey() }],
    externalHeads: heads,
  });
  expect(report).toMatchObject({ ok: true, externalHeadHeld: true, externalHeads: { given: heads.length } });
  for (const chain of report.chains) {
    expect(heads.some(({ stream, seq }) => stream === chain.stream && seq === chain.lastSeq - 1)).toBe(true);
  }
  await harness.close();
});

it('[AUD-HEADS-OUT] a webhook that may not be reached is refused at the start, by name', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'gatehouse-heads-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const { settings } = loadSettings({ env: {}, flags: { data: dir, 'audit.heads.webhook': 'https://10.0.0.7/x' } });
  const error = await openGateway(settings, { env: { GATEHOUSE_SECRET_KEY: SECRET_KEY } }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(GatehouseError);
  expect((error as GatehouseError).items[0]).toMatchObject({ pointer: 'audit.heads.webhook' });
  expect((error as GatehouseError).items[0]!.message).toContain('private address');
});

it('[AUD-RETENTION] the API shows and cuts what is old, says who asked, and the metrics count it', async () => {
  let now = Date.now() - 500 * DAY;
  const clock = (): number => now;
  const harness = await Harness.open({ clock });
  const { dir } = harness;
  await harness.gateway.close();
  now = Date.now();
  const next = await Harness.open({ dir, clock });
  const view = await api(next, 'GET', '/audit/retention');
  expect(view.body).toMatchObject({
    age: 400 * DAY,
    due: [{ stream: 'calls', firstSeq: 1 }, { stream: 'admin' }],
    kept: [],
  });
  const cut = await api(next, 'POST', '/audit/retention');
  expect((cut.body as { cut: unknown }).cut).toEqual((view.body as { due: unknown }).due);
  expect((await api(next, 'GET', '/audit/retention')).body).toMatchObject({ due: [] });
  const changes = (await api(next, 'GET', '/audit/changes?action=audit.cut')).body as { items: { actor: object }[] };
  expect(changes.items.map(({ actor }) => actor)).toMatchObject([{ kind: 'local-admin' }, { kind: 'local-admin' }]);
  expect((await api(next, 'GET', '/audit/verify')).body).toMatchObject({ ok: true, cutCount: 2 });
  const metrics = await (await fetch(`${next.base}metrics`)).text();
  expect(metrics).toMatch(/gatehouse_audit_cut_records_total [1-9]/);
  expect(metrics).toMatch(/gatehouse_audit_retention_timestamp_seconds \d+/);
  expect(metrics).toMatch(/gatehouse_audit_reserve_bytes \d+/);
  await next.close();
});
