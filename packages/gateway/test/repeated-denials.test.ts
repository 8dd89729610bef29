// Repeated equal denials of one grant: few records, each counted, and each still explained by its own request id.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSettings, openGateway } from '../src/index.ts';
import { OWN_RECORDS } from '../src/proxy/denials.ts';
import { ADMIN, type Decision, Harness, type RawClient, SECRET_KEY } from './harness.ts';

const tool = (name: string) => ({ name, inputSchema: { type: 'object', properties: {} } });
const POLICY = {
  version: '1',
  default: 'deny',
  tools: {
    get_limited: { limits: [{ counter: 'c', window: 'hour', max: 1 }] },
    get_denied: { action: 'deny' },
  },
};

let harness: Harness;
let token: string;
beforeEach(async () => {
  harness = await Harness.open();
  await harness.record('up', { tools: ['get_limited', 'get_denied', 'get_other'].map(tool), sessions: false });
  ({ token } = await harness.grant('up', POLICY));
});
afterEach(() => harness.close());

async function denials(client: RawClient, name: string, times: number): Promise<Decision[]> {
  const answers = [];
  for (let i = 0; i < times; i++) answers.push(await client.call(name));
  return answers.map((answer) => answer.message?.result?._meta?.['dev.gatehouse/decision'] as Decision);
}

const rows = async (query: { rule?: string; outcome?: string; tool?: string } = {}) =>
  (await harness.gateway.audit.search({ server: 'up', limit: 1000, ...query })).rows;

async function api(path: string): Promise<{ status: number; body: { sentences?: string[]; items?: unknown[] } }> {
  const response = await fetch(`${harness.base}api/v1${path}`, {
    headers: { authorization: `Bearer ${harness.gateway.adminToken}` },
  });
  return { status: response.status, body: (await response.json()) as { sentences?: string[] } };
}

async function metric(outcome: string): Promise<number> {
  const text = await (await fetch(`${harness.base}metrics`)).text();
  return Number(new RegExp(`gatehouse_messages_total{server="up",outcome="${outcome}"} (\\d+)`).exec(text)?.[1] ?? 0);
}

describe('repeated equal denials', () => {
  it('[AUD-REPEATED] make some records of their own and one with the exact count, and the metrics count each', async () => {
    const client = harness.client('up', token);
    const told = await denials(client, 'get_denied', 60);
    expect(new Set(told.map((decision) => decision.requestId)).size).toBe(60);
    expect(told.every((decision) => decision.rule === '/tools/get_denied/action')).toBe(true);
    // Another tool, the same grant: no equal denial.
    await denials(client, 'get_other', 3);
    expect(await rows({ tool: 'get_denied' })).toHaveLength(OWN_RECORDS);
    expect(await metric('deny')).toBe(63);

    await harness.gateway.close();
    const { settings } = loadSettings({ env: {}, flags: { data: harness.dir, port: 0, log_level: 'silent' } });
    const again = await openGateway(settings, { env: { GATEHOUSE_SECRET_KEY: SECRET_KEY } });
    const kept = (await again.audit.search({ server: 'up', limit: 1000 })).rows;
    expect(kept.filter(({ tool }) => tool === 'get_other').map(({ count }) => count)).toEqual([1, 1, 1]);
    const denied = kept.filter(({ tool }) => tool === 'get_denied');
    expect(denied).toHaveLength(OWN_RECORDS + 1);
    expect(denied.reduce((sum, { count }) => sum + count, 0)).toBe(60);
    expect(denied[0]).toMatchObject({
      kind: 'aggregate',
      outcome: 'deny',
      rule: '/tools/get_denied/action',
      identity: { name: 'ana' },
      policy: { version: '1' },
      count: 60 - OWN_RECORDS,
    });
    for (const { requestId } of told) expect(await again.audit.byRequestId(requestId)).toHaveLength(1);
    expect(await again.audit.byRequestId(`${denied[0]?.requestId}.${60 - OWN_RECORDS + 1}`)).toEqual([]);
    expect((await again.audit.verify()).ok).toBe(true);
    await again.close();
  });

  it('[AUD-REPEATED, GW-WHY] the owner is told the truth about each of them, at once', async () => {
    const told = await denials(harness.client('up', token), 'get_denied', OWN_RECORDS + 5);
    for (const { requestId } of told) {
      const { status, body } = await api(`/why?requestId=${requestId}`);
      expect(status).toBe(200);
      expect(body.sentences?.join(' ')).toContain('It was denied.');
      expect(body.sentences?.join(' ')).toContain('/tools/get_denied/action');
    }
    const last = await api(`/why?requestId=${told.at(-1)?.requestId}`);
    expect(last.body.sentences?.join(' ')).toContain('one of 5 equal ones');
    expect((await api(`/audit/records/${told.at(-1)?.requestId}`)).body.items).toHaveLength(1);
    expect((await api(`/audit/records?requestId=${told.at(-1)?.requestId}`)).body.items).toHaveLength(1);
    const never = told.at(-1)?.requestId.replace(/\d+$/, '6');
    expect((await api(`/why?requestId=${never}`)).status).toBe(404);
  });

  it('[AUD-REPEATED] a limit that is used up denies in aggregate, and lets the next call pass as before', async () => {
    const client = harness.client('up', token);
    expect((await client.call('get_limited')).message?.result?.isError).toBeUndefined();
    await denials(client, 'get_limited', 40);
    harness.gateway.gate.denials.flush();
    const denied = await rows({ outcome: 'deny' });
    expect(denied).toHaveLength(OWN_RECORDS + 1);
    expect(denied[0]).toMatchObject({ rule: '/tools/get_limited/limits/0', count: 40 - OWN_RECORDS });
  });

  it('[AUD-REPEATED] are one kind whatever names a client makes up', async () => {
    const client = harness.client('up', token);
    for (let i = 0; i < 40; i++) await client.call(`made_up_${i}`);
    for (let i = 0; i < 40; i++) await client.request(`made/up${i}`);
    for (let i = 0; i < 40; i++) await client.post(`{"jsonrpc":"2.0","id":${i},`);
    harness.gateway.gate.denials.flush();
    for (const rule of ['(unknown tool)', '(unknown method)', '(message)']) {
      const found = await rows({ rule });
      expect([rule, found.length]).toEqual([rule, OWN_RECORDS + 1]);
      expect(found.reduce((sum, { count }) => sum + count, 0)).toBe(40);
    }
    expect(await metric('refuse')).toBe(80);
  });

  it('[AUD-REPEATED] of two grants, and under two versions of a policy, are told apart', async () => {
    const other = await harness.grant('up', { version: '1', default: 'deny' }, 'bob');
    await denials(harness.client('up', token), 'get_other', OWN_RECORDS + 2);
    await denials(harness.client('up', other.token), 'get_other', OWN_RECORDS + 3);
    await harness.gateway.services.policies.put(
      'up',
      'p-bob',
      { version: '1', default: 'deny', description: 'second' },
      undefined,
      ADMIN,
    );
    await denials(harness.client('up', other.token), 'get_other', OWN_RECORDS + 4);
    harness.gateway.gate.denials.flush();
    const found = (await rows({ tool: 'get_other' })).filter(({ kind }) => kind === 'aggregate');
    expect(found.map(({ identity, count }) => [identity?.name, count]).sort()).toEqual([
      ['ana', 2],
      ['bob', 3],
      ['bob', 4],
    ]);
  });

  it('[AUD-REPEATED, P3] while the log cannot be written, the answer says so', async () => {
    const client = harness.client('up', token);
    await denials(client, 'get_denied', OWN_RECORDS + 1);
    const { audit } = harness.gateway;
    Object.defineProperty(audit, 'writable', { value: false, configurable: true });
    expect((await client.call('get_denied')).status).toBe(503);
    Reflect.deleteProperty(audit, 'writable');
  });
});
