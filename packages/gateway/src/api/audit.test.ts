import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_TOKEN, fillTestApi, NOW, openTestApi, type TestApi } from './testing.ts';

let api: TestApi;
let grantId: string;
beforeAll(async () => {
  api = await openTestApi();
  ({ grantId } = await fillTestApi(api));
  const { id, version } = await policyOf();
  const caller = {
    grant: { id: grantId, label: 'ana on flux' },
    identity: { id: 'idn_1', name: 'ana' },
    server: 'flux',
    method: 'tools/call',
  };
  await api.audit.append(
    {
      ...caller,
      kind: 'decision',
      requestId: 'denied-1',
      tool: 'draw',
      decision: {
        outcome: 'deny',
        rule: '/tools/draw/args/count/lte',
        message: 'count is 8; at most 4 is allowed.',
        policy: { id, version },
      },
    },
    'process',
  );
  api.now.value += 1000;
  await api.audit.append(
    { ...caller, kind: 'intent', requestId: 'allowed-1', tool: 'draw', decision: { outcome: 'allow' } },
    'process',
  );
  await api.audit.append({ ...caller, kind: 'outcome', requestId: 'allowed-1', result: { status: 200 } }, 'process');
});
afterAll(() => api.close());

const policyOf = async () =>
  (await api.call('GET', '/servers/flux/policies/default')).body as { id: string; version: number };
const ids = (answer: { body: { items: { requestId: string }[] } }): string[] =>
  answer.body.items.map((row) => row.requestId);

describe('audit records', () => {
  it('are found newest first, page by page', async () => {
    expect(ids(await api.call('GET', '/audit/records'))).toEqual(['allowed-1', 'denied-1']);
    const page = await api.call('GET', '/audit/records?limit=1');
    expect(ids(page)).toEqual(['allowed-1']);
    const rest = await api.call('GET', `/audit/records?limit=1&cursor=${page.body.next}`);
    expect(ids(rest)).toEqual(['denied-1']);
    expect(rest.body.next).toBeUndefined();
  });

  it.each([
    ['outcome=deny', ['denied-1']],
    ['requestId=allowed-1', ['allowed-1']],
    ['server=flux&tool=draw&grant=ana%20on%20flux&identity=ana', ['allowed-1', 'denied-1']],
    ['rule=%2Ftools%2Fdraw%2Fargs%2Fcount%2Flte', ['denied-1']],
    [`to=${encodeURIComponent(new Date(NOW + 1000).toISOString())}`, ['denied-1']],
    [`from=${encodeURIComponent('2026-05-01T10:00:01+02:00')}`, ['allowed-1']],
    ['tool=none', []],
  ])('are filtered by %s', async (query, expected) => {
    expect(ids(await api.call('GET', `/audit/records?${query}`))).toEqual(expected);
  });

  it('refuses a query that cannot be answered', async () => {
    for (const query of ['limit=0', 'limit=1001', 'limit=x', 'from=yesterday', 'cursor=!', 'format=csv']) {
      expect((await api.call('GET', `/audit/records?${query}`)).status, query).toBe(400);
    }
    expect((await api.call('GET', '/audit/export?format=xml')).status).toBe(400);
  });

  it('of one call come whole', async () => {
    const { body } = await api.call('GET', '/audit/records/allowed-1');
    expect(body.items).toHaveLength(1);
    expect(body.items[0].records.map((record: { kind: string }) => record.kind)).toEqual(['intent', 'outcome']);
    expect((await api.call('GET', '/audit/records/none')).status).toBe(404);
  });

  it('are exported as JSON Lines and as CSV', async () => {
    const lines = await api.call('GET', '/audit/export?outcome=deny');
    expect(lines.headers.get('content-type')).toBe('application/x-ndjson');
    expect(JSON.parse(lines.text.trimEnd())).toMatchObject({ kind: 'decision', request_id: 'denied-1' });
    expect(lines.text.endsWith('\n')).toBe(true);
    const csv = await api.call('GET', '/audit/export?format=csv');
    expect(csv.headers.get('content-disposition')).toContain('gatehouse-audit.csv');
    expect(csv.text.split('\r\n')).toHaveLength(4);
  });

  it('[AUD-INDEX-THREAD] that cannot be searched answer 503 with the reason, an export too, and calls go on', async () => {
    const broken = await openTestApi();
    try {
      const folder = join(broken.dir, 'audit');
      for (const suffix of ['', '-wal', '-shm']) rmSync(join(folder, `index.db${suffix}`), { force: true });
      mkdirSync(join(folder, 'index.db'));
      const paths = ['records', 'records/x', 'changes', 'export?outcome=deny', 'export?format=csv'];
      for (const path of paths) {
        const { status, body } = await broken.call('GET', `/audit/${path}`);
        expect([status, body.code], path).toEqual([503, 'audit_unavailable']);
        expect(body.detail).toContain('EISDIR');
      }
      expect((await broken.call('GET', '/why?requestId=x')).status).toBe(503);
      expect((await broken.call('GET', '/audit/export')).text).toContain('"kind":"start"');
      await broken.audit.append({ kind: 'intent', requestId: 'on' }, 'process');
      rmdirSync(join(folder, 'index.db'));
      expect(ids(await broken.call('GET', '/audit/records'))).toEqual(['on']);
    } finally {
      await broken.close();
    }
  });

  it('are verified, and the key is there for others to verify them', async () => {
    const report = await api.call('GET', '/audit/verify');
    expect(report.body).toMatchObject({ ok: true, problemCount: 0, signaturesChecked: true });
    expect((await api.call('GET', '/audit/key')).body).toMatchObject({
      algorithm: 'Ed25519',
      publicKey: api.audit.publicKey(),
    });
  });

  it('are followed live, and only those asked for', async () => {
    const response = await api.app.request('/api/v1/audit/tail?tool=draw', {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const reader = response.body!.getReader();
    const read = async (): Promise<string> => new TextDecoder().decode((await reader.read()).value);
    expect(await read()).toBe(': following\n\n');
    const record = { kind: 'decision' as const, server: 'flux', decision: { outcome: 'deny', rule: '(default deny)' } };
    await api.audit.append({ ...record, requestId: 'live-1', tool: 'other' }, 'process');
    await api.audit.append({ ...record, requestId: 'live-2', tool: 'draw' }, 'process');
    const event = await read();
    expect(event).toContain('id: live-2');
    expect(JSON.parse(/^data: (.*)$/m.exec(event)![1]!)).toEqual(
      (await api.call('GET', '/audit/records?requestId=live-2')).body.items[0],
    );
    await reader.cancel();
  });
});

describe('changes of state', () => {
  it('[AUD-ADMIN] are found by action, target and actor, with before and after', async () => {
    const { body } = await api.call('GET', '/audit/changes?action=grant.create');
    expect(body.items).toHaveLength(1);
    expect(body.items[0]).toMatchObject({ action: 'grant.create', target: grantId, actor: { kind: 'local-admin' } });
    expect((await api.call('GET', `/audit/changes?target=${grantId}&limit=1`)).body.items).toHaveLength(1);
    expect((await api.call('GET', '/audit/changes?actor=nobody')).body.items).toEqual([]);
    expect((await api.call('GET', '/audit/changes?who=x')).status).toBe(400);
  });

  it('come newest first, page by page', async () => {
    const all = (await api.call('GET', '/audit/changes')).body.items as { seq: number }[];
    const first = await api.call('GET', '/audit/changes?limit=2');
    const rest = await api.call('GET', `/audit/changes?cursor=${first.body.next}`);
    expect([...first.body.items, ...rest.body.items]).toEqual(all);
  });
});

describe('GET /why', () => {
  const why = async (query: string) => await api.call('GET', `/why?${query}`);
  const text = async (query: string): Promise<string> => (await why(query)).body.sentences.join('\n');

  it('[GW-WHY] tells the truth about a denial, with the rule of the version that decided', async () => {
    const changed = { version: '1', default: 'deny', tools: { draw: {} } };
    await api.call('PUT', '/servers/flux/policies/default', changed);
    const said = await text('requestId=denied-1');
    expect(said).toContain('ana asked for the tool draw of flux');
    expect(said).toContain('count is 8; at most 4 is allowed.');
    expect(said).toContain('The rule at /tools/draw/args/count/lte of the policy decided; it says: 4');
    expect(said).toContain('default in version 1. It is at version 2 now');
    expect((await why('requestId=none')).status).toBe(404);
  });

  it('[GW-WHY] tells what would happen, also of what is hidden from the caller', async () => {
    const policy = {
      version: '1',
      default: 'deny',
      hide: ['list_models'],
      tools: { draw: { rate_limit: '1/minute' } },
    };
    await api.call('PUT', '/servers/flux/policies/default', policy);
    expect(await text(`tool=list_models&grant=${grantId}`)).toContain('hides this tool');
    expect(await text('tool=none&grant=ana%20on%20flux')).toContain('lists no tool of that name');
    const prospect = await why(`tool=draw&grant=${grantId}`);
    expect(prospect.body.sentences[0]).toContain('depends on the arguments');
    expect(prospect.body.trace.decision).toEqual(prospect.body.decision);
    await api.call('PATCH', `/grants/${grantId}`, { policy: null });
    expect(await text(`tool=draw&grant=${grantId}`)).toContain('carries no policy');
  });

  it('finds the grant by its identity, where it has one', async () => {
    const answer = await why('tool=draw&grant=ana');
    expect(answer.status).toBe(200);
    expect(answer.body.sentences.length).toBeGreaterThan(0);
  });

  it('says of a revoked grant that it no longer holds', async () => {
    await api.call('DELETE', `/grants/${grantId}`);
    const answer = await why(`tool=draw&grant=${grantId}`);
    expect(answer.status).toBe(404);
    expect(answer.body.detail).toContain('revoked');
  });

  it('wants one question', async () => {
    for (const query of ['', 'tool=draw', 'grant=x', 'requestId=x&tool=y', 'requestId=x&grant=y']) {
      expect((await why(query)).status, query).toBe(400);
    }
  });
});
