import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, vi } from 'vitest';
import { csvCell } from './export.ts';
import type { AuditLog, AuditQuery } from './log.ts';
import { denial, intent, outcome, START, testFolder, testLog } from './testing.ts';

const found = async (log: AuditLog, query: AuditQuery): Promise<string[]> =>
  (await log.search(query)).rows.map((row) => row.requestId);

/** Rows of the index without what depends on the order of building. */
function rows(dir: string): unknown[] {
  const db = new DatabaseSync(join(dir, 'index.db'), { readOnly: true });
  const all = db
    .prepare(
      `SELECT calls.*, segments.name AS file, g.key AS grant_id, g.label AS grant_label, i.key AS identity_id,
       i.label AS identity_label, t.key AS server, t.label AS tool FROM calls JOIN segments ON segments.id = segment
       LEFT JOIN names g ON g.name_id = grant_name LEFT JOIN names i ON i.name_id = identity_name
       LEFT JOIN names t ON t.name_id = tool_name ORDER BY calls.writer, seq`,
    )
    .all();
  db.close();
  return all.map(
    ({ id: _id, segment: _s, outcome_segment: _o, grant_name: _g, identity_name: _i, tool_name: _t, ...row }) => row,
  );
}

async function fill(log: AuditLog): Promise<void> {
  await log.append(intent('a', { traceId: 't1', session: 's1' }), 'process');
  await log.append(intent('b', { server: 'files', tool: 'read_file', grant: { id: 'g2', label: 'ben' } }), 'process');
  log.enqueue(outcome('a', { status: 200, bytes: 77, upstreamMs: 1.5 }));
  log.enqueue(outcome('b', { status: 200, isError: true }));
  await log.append(denial('c', { identity: { id: 'i2', name: 'Ben' } }), 'process');
  await log.append(
    { kind: 'decision', requestId: 'd', server: 'flux', method: 'tools/list', decision: { outcome: 'allow' } },
    'process',
  );
  await log.append(
    {
      kind: 'aggregate',
      requestId: 'e',
      source: '10.0.0.1',
      count: 250,
      decision: { outcome: 'deny', rule: '(authentication)' },
    },
    'process',
  );
  await log.append(intent('f'), 'process');
}

describe('search', () => {
  it('[AUD-SEARCH] finds by each field, newest first, with what is not indexed yet', async () => {
    const { log } = await testLog();
    await fill(log);
    expect(log.stats().indexLag).toBeGreaterThan(8);
    expect(await found(log, {})).toEqual(['f', 'e', 'd', 'c', 'b', 'a']);
    expect(log.stats().indexLag).toBe(0);
    const cases: [AuditQuery, string[]][] = [
      [{ server: 'files' }, ['b']],
      [{ tool: 'read_file' }, ['b']],
      [{ grant: 'g2' }, ['b']],
      [{ grant: 'ben' }, ['b']],
      [{ identity: 'i2' }, ['c']],
      [{ identity: 'Ben' }, ['c']],
      [{ outcome: 'deny' }, ['e', 'c']],
      [{ outcome: 'error' }, ['b']],
      [{ outcome: 'allow' }, ['d', 'a']],
      [{ outcome: 'unknown' }, ['f']],
      [{ rule: '(default deny)' }, ['c']],
      [{ requestId: 'a' }, ['a']],
      [{ method: 'tools/list' }, ['d']],
      [{ text: 'LIST' }, ['d', 'c']],
      [{ text: '100%' }, []],
      [{ outcome: 'deny', identity: 'i2', tool: 'flux_generate_image' }, ['c']],
      [{ outcome: 'deny', tool: 'read_file' }, []],
      [{ to: START }, []],
      [{ from: START + 1_000_000 }, []],
    ];
    for (const [query, ids] of cases) expect(await found(log, query), JSON.stringify(query)).toEqual(ids);
    const { time } = (await log.search({ requestId: 'c' })).rows[0]!;
    expect(await found(log, { from: time, to: time + 1 })).toEqual(['c']);
    await log.close();
  });

  it('[AUD-UNKNOWN] one row per call; without an outcome it shows as unknown', async () => {
    const { log } = await testLog();
    await fill(log);
    const [row] = (await log.search({ requestId: 'a' })).rows;
    expect(row).toMatchObject({
      outcome: 'allow',
      status: 200,
      bytes: 77,
      upstreamMs: 1.5,
      traceId: 't1',
      session: 's1',
      policy: { id: 'p1', version: '3' },
    });
    expect((await log.search({ requestId: 'e' })).rows[0]).toMatchObject({ count: 250, source: '10.0.0.1' });
    expect((await log.search({ requestId: 'f' })).rows[0]).toMatchObject({ kind: 'intent', outcome: 'unknown' });
    log.enqueue(outcome('f'));
    expect((await log.search({ requestId: 'f' })).rows[0]).toMatchObject({ outcome: 'allow' });
    expect(await log.byRequestId('b')).toMatchObject([
      { outcome: 'error', records: [{ kind: 'intent' }, { kind: 'outcome', result: { is_error: true } }] },
    ]);
    expect(await log.byRequestId('nobody')).toEqual([]);
    await log.close();
  });

  it('[AUD-INDEX-EXACT] finds the whole records of calls that stand behind names of any script', async () => {
    const { log } = await testLog();
    const names = ['Ana', 'Bjørn Müller', '李小龍', '🦊 fox', 'quote " and \\ backslash', 'Ω'];
    for (const [i, name] of names.entries()) {
      log.enqueue(intent(`r${i}`, { identity: { id: `i${i}`, name } }));
      log.enqueue(outcome(`r${i}`));
    }
    for (const [i, name] of names.entries()) {
      const [row, ...more] = await log.byRequestId(`r${i}`);
      expect(more).toEqual([]);
      expect(row).toMatchObject({ outcome: 'allow', identity: { id: `i${i}`, name } });
      expect(row?.records).toMatchObject([
        { kind: 'intent', request_id: `r${i}`, identity: { name } },
        { kind: 'outcome', request_id: `r${i}` },
      ]);
      expect(await found(log, { identity: name })).toEqual([`r${i}`]);
    }
    await log.close();
  });

  it('pages through all rows once, also where many have one time', async () => {
    const { log } = await testLog({ clock: () => START });
    for (let i = 0; i < 25; i += 1) log.enqueue(denial(`r${i}`));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await log.search({ limit: 7, ...(cursor !== undefined && { cursor }) });
      seen.push(...page.rows.map((row) => row.requestId));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => `r${24 - i}`));
    await expect(log.search({ cursor: 'nonsense' })).rejects.toThrow('begin without a cursor');
    await expect(log.search({ limit: 0 })).rejects.toThrow('from 1 to 1000');
    await expect(log.search({ from: Number.NaN })).rejects.toThrow('from is not a time');
    await log.close();
  });

  it('[AUD-INDEX] the index built in slices equals the one built again from the segments', async () => {
    const dir = testFolder();
    const { log, tick } = await testLog({ dir, maxSegmentBytes: 1200 });
    for (const _round of [1, 2, 3]) {
      await fill(log);
      tick();
      tick();
    }
    await log.close();
    const { log: second } = await testLog({ dir });
    await fill(second);
    await second.search({});
    await second.close();
    const built = rows(dir);
    expect(built).toHaveLength(24);
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(dir, `index.db${suffix}`), { force: true });
    const { log: third } = await testLog({ dir });
    expect((await third.search({ limit: 1000 })).rows).toHaveLength(24);
    await third.close();
    expect(rows(dir)).toEqual(built);
    for (const suffix of ['-wal', '-shm']) rmSync(join(dir, `index.db${suffix}`), { force: true });
    writeFileSync(join(dir, 'index.db'), 'this is no database'.repeat(100));
    const { log: fourth } = await testLog({ dir });
    expect((await fourth.search({ limit: 1000 })).rows).toHaveLength(24);
    await fourth.close();
    expect(rows(dir)).toEqual(built);
  });

  it('[AUD-WRITERS] two processes on one folder: a chain each, one index, found from both, verified together', async () => {
    const dir = testFolder();
    const { log: one } = await testLog({ dir, writer: 'w1' });
    const { log: two } = await testLog({ dir, writer: 'w2', clock: () => START + 10_000 });
    await one.append(intent('a'), 'process');
    await two.append(intent('b'), 'process');
    expect([await found(one, {}), await found(two, {})]).toEqual([
      ['b', 'a'],
      ['b', 'a'],
    ]);
    one.enqueue(outcome('a'));
    two.enqueue(outcome('b'));
    await one.close();
    expect((await two.search({ outcome: 'allow' })).rows.map((row) => row.writer)).toEqual(['w2', 'w1']);
    await two.close();
    expect(await two.verify()).toMatchObject({ ok: true, unproven: 0, intentsWithoutOutcome: { count: 0 } });
    expect(rows(dir)).toHaveLength(2);
  });

  it('fills the index behind the calls, when no more come', async () => {
    const { log, tick } = await testLog();
    await fill(log);
    tick();
    expect(log.stats().indexLag).toBeGreaterThan(0);
    await vi.waitFor(
      () => {
        tick();
        expect(log.stats().indexLag).toBe(0);
      },
      { timeout: 8_000 },
    );
    await log.close();
  });

  it('a broken index fails the search alone', async () => {
    const { log, dir } = await testLog();
    await log.append(denial('a'), 'process');
    const blocked = new DatabaseSync(join(dir, 'index.db'));
    blocked.exec('CREATE TABLE calls (id); PRAGMA user_version = 0; BEGIN EXCLUSIVE');
    blocked.exec('ROLLBACK');
    blocked.close();
    expect(await found(log, {})).toEqual(['a']);
    await log.close();
    await expect(log.search({})).rejects.toThrow('closed');
  });
});

describe('export', () => {
  it('[AUD-CSV] neutralises cells that a spreadsheet would take for a formula', async () => {
    expect(
      ['=1+1', '+1', '-1', '@x', '\t=1', ' =1', '＝1']
        .map(csvCell)
        .every((cell) => cell.replace('"', '').startsWith("'")),
    ).toBe(true);
    expect(['plain', -32601, true, undefined, 'a"b', 'a,b', 'two\nlines'].map(csvCell)).toEqual([
      'plain',
      '-32601',
      'true',
      '',
      '"a""b"',
      '"a,b"',
      '"two\nlines"',
    ]);
    const { log } = await testLog();
    await fill(log);
    await log.append(denial('x', { grant: { id: 'g9', label: '=HYPERLINK("http://e","x")' } }), 'process');
    const lines = await Array.fromAsync(log.exportCsv({}));
    expect(lines).toHaveLength(8);
    expect(lines[0]).toMatch(/^time,request_id,kind,outcome,/);
    expect(lines.at(-1)).toContain(`"'=HYPERLINK(""http://e"",""x"")"`);
    expect(await Array.fromAsync(log.exportCsv({ outcome: 'error' }))).toHaveLength(2);
    await log.close();
  });
});
