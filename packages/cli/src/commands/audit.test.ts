import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeApi, fakeApi, run } from '../../test/harness.ts';
import { EXIT } from '../exit-codes.ts';

const ROW = {
  time: Date.parse('2026-05-01T10:00:00Z'),
  requestId: 'req-1',
  outcome: 'deny',
  server: 'flux',
  tool: 'evil\u001b[2J',
  identity: { id: 'i', name: 'ana' },
  rule: '/tools/a',
  message: 'No.\nReally.',
  count: 1,
};

let folder: string;
let api: FakeApi;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-audit-'));
});
afterEach(async () => {
  await api.close();
  rmSync(folder, { recursive: true });
});

describe('audit', () => {
  it('search turns times into RFC 3339 and shows rows safely', async () => {
    api = await fakeApi({ 'GET /audit/records': { body: { items: [ROW], next: 'c2' } } });
    const { stdout, stderr } = await api.run([
      'audit',
      'search',
      '--from',
      '24h',
      '--outcome',
      'deny',
      '--rule',
      '/a',
      '--limit',
      '5',
    ]);
    expect(api.seen[0]?.path).toBe('/audit/records?from=2026-04-30T12%3A00%3A00.000Z&outcome=deny&rule=%2Fa&limit=5');
    expect(stdout).toMatch(/\n2026-05-01T10:00:00\.000Z +deny +flux +evil\\u\{1b\}\[2J +ana +\/tools\/a +req-1\n/);
    expect(stderr).toBe('More: add --cursor c2\n');
    expect((await api.run(['audit', 'search', '--limit', '0'])).code).toBe(EXIT.usage);
  });

  it('[AUD-REPEATED] search says how many equal denials a row stands for', async () => {
    api = await fakeApi({ 'GET /audit/records': { body: { items: [{ ...ROW, count: 190 }] } } });
    expect((await api.run(['audit', 'search'])).stdout).toMatch(/ deny ×190 +flux /);
  });

  it('tail prints a line for each event, and says what was dropped', async () => {
    const text = `: hi\n\nevent: row\ndata: ${JSON.stringify(ROW)}\n\nevent: dropped\ndata: {"count":7}\n\n`;
    api = await fakeApi({ 'GET /audit/tail': { text, headers: { 'content-type': 'text/event-stream' } } });
    const { stdout, stderr } = await api.run(['audit', 'tail', '--server', 'flux']);
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(stdout).toContain('req-1  No.\nReally.');
    expect(stderr).toContain('7 calls came too fast');
    expect(JSON.parse((await api.run(['audit', 'tail', '--json'])).stdout)).toEqual(ROW);
  });

  it('show prints the whole records; an unknown request id is exit code 3', async () => {
    api = await fakeApi({
      'GET /audit/records/req-1': { body: { items: [{ ...ROW, records: [{ seq: 1, tool: '\u202e' }] }] } },
    });
    const { stdout } = await api.run(['audit', 'show', 'req-1']);
    expect(stdout).toContain('"tool": "\\u202e"');
    expect((await api.run(['audit', 'show', 'req-2'])).code).toBe(EXIT.notFound);
  });

  it('export passes the bytes on, to standard output or a new file of mode 600', async () => {
    const text = '{"a":"é"}\n{"b":"\\u001b"}\n';
    api = await fakeApi({ 'GET /audit/export': { text } });
    expect((await api.run(['audit', 'export', '--format', 'csv', '--server', 'flux'])).stdout).toBe(text);
    expect(api.seen[0]?.path).toBe('/audit/export?format=csv&server=flux');
    const file = join(folder, 'a.jsonl');
    expect((await api.run(['audit', 'export', '--output', file])).code).toBe(EXIT.ok);
    expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual([text, 0o600]);
    const again = await api.run(['audit', 'export', '--output', file]);
    expect([again.code, again.stderr]).toEqual([EXIT.usage, expect.stringContaining('exists already')]);
    expect((await api.run(['audit', 'export', '--format', 'xml'])).code).toBe(EXIT.usage);
  });

  it('verify of a gateway elsewhere asks it; [CLI-EXIT] a log that was changed is exit code 4', async () => {
    const report = {
      ok: false,
      records: 0,
      proven: 0,
      unproven: 0,
      heads: 0,
      chains: [],
      problems: [],
      problemCount: 1,
      torn: [],
      intentsWithoutOutcome: { count: 0, examples: [] },
      unchecked: 0,
      signaturesChecked: true,
      cannotProve: [],
    };
    api = await fakeApi({ 'GET /audit/verify': { body: report } });
    const { code, stdout } = await api.run(['audit', 'verify', '--json']);
    expect([code, JSON.parse(stdout)]).toEqual([EXIT.denied, report]);
    expect((await api.run(['audit', 'verify', '--api', api.url, '--dir', folder])).code).toBe(EXIT.usage);
  });

  it('[AUD-RETENTION] retention shows what is due, and cuts it only when told so', async () => {
    const cut = {
      stream: 'calls',
      writer: 'w1',
      firstSeq: 1,
      lastSeq: 40,
      firstTime: '2025-01-01T00:00:00.000Z',
      lastTime: '2025-01-02T00:00:00.000Z',
      segments: 2,
      bytes: 2 * 1024 * 1024,
    };
    const kept = [{ stream: 'calls', writer: 'w2', name: 'w2-1.jsonl', reason: 'limits are rebuilt from it' }];
    const view = { age: 400 * 86_400_000, before: '2025-03-28T00:00:00.000Z', due: [cut], kept };
    api = await fakeApi({
      'GET /audit/retention': { body: view },
      'POST /audit/retention': { body: { cut: [cut] } },
    });
    const shown = await api.run(['audit', 'retention']);
    expect(shown.stdout).toContain('older than 400 days are cut: before 2025-03-28T00:00:00.000Z');
    expect(shown.stdout).toMatch(/calls\/w1 +40 +2 +2\.0 +2025-01-01/);
    expect(shown.stderr).toContain('calls/w2-1.jsonl of w2: limits are rebuilt from it');
    expect(JSON.parse((await api.run(['audit', 'retention', '--json'])).stdout)).toEqual(view);
    expect((await api.run(['audit', 'retention', '--apply'])).code).toBe(EXIT.usage);
    expect(api.seen.some(({ method }) => method === 'POST')).toBe(false);
    expect((await api.run(['audit', 'retention', '--apply', '--yes'])).stdout).toContain('Cut: 2 segments.');
    expect(JSON.parse((await api.run(['audit', 'retention', '--apply', '--yes', '--json'])).stdout)).toEqual({
      cut: [cut],
    });
  });

  it('verify of files elsewhere needs the public key, and files that are there', async () => {
    api = await fakeApi({});
    expect((await run(['audit', 'verify', '--dir', folder])).code).toBe(EXIT.usage);
    const missing = join(folder, 'none');
    expect((await run(['audit', 'verify', '--dir', folder, '--public-key', missing])).code).toBe(EXIT.notFound);
    expect((await run(['audit', 'verify', '--dir', folder, '--file', 'x', '--public-key', missing])).code).toBe(
      EXIT.usage,
    );
    expect(existsSync(missing)).toBe(false);
  });
});

describe('why', () => {
  it('asks about a request, or about a tool with a grant', async () => {
    api = await fakeApi({ 'GET /why': { body: { sentences: ['It is \u001bhidden.', 'Two.'] } } });
    expect((await api.run(['why', 'req-1'])).stdout).toBe('It is \\u{1b}hidden.\nTwo.\n');
    await api.run(['why', 'some_tool', '--grant', 'g 1']);
    expect(api.seen.map(({ path }) => path)).toEqual(['/why?requestId=req-1', '/why?tool=some_tool&grant=g+1']);
  });
});
