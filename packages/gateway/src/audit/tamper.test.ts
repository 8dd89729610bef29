import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PublicKeyInput, type SignedHead, type VerifyReport, verifyAuditLog } from '@gatehouse/verify';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAuditLog } from './log.ts';
import { denial, handTimers, intent, outcome } from './testing.ts';

type Files = Map<string, Buffer>;
interface Parsed {
  seq: number;
  kind: string;
  writer: string;
  head?: SignedHead;
}

let publicKeys: PublicKeyInput[];
/** A small log: writer w1 stopped in order, writer w2 killed, its last two records behind its last head. */
let original: Files;
let folder: string;
const KILLED = 'calls/w2-000000000001.jsonl';
const STOPPED = 'calls/w1-000000000001.jsonl';

function readFiles(dir: string): Files {
  const files: Files = new Map();
  for (const stream of ['calls', 'admin']) {
    for (const name of readdirSync(join(dir, stream)))
      files.set(`${stream}/${name}`, readFileSync(join(dir, stream, name)));
  }
  return files;
}

/** Verifies the log with these files in place of its own, in the one folder of this suite. */
async function check(files: Files, externalHead?: SignedHead): Promise<VerifyReport> {
  const touched = [...original].filter(([name, data]) => files.get(name) !== data).map(([name]) => name);
  try {
    for (const name of touched) {
      const data = files.get(name);
      if (data) writeFileSync(join(folder, name), data);
      else rmSync(join(folder, name));
    }
    return await verifyAuditLog({ dir: folder, publicKeys, ...(externalHead && { externalHead }) });
  } finally {
    for (const name of touched) writeFileSync(join(folder, name), original.get(name)!);
  }
}

const linesOf = (data: Buffer): string[] => data.toString('latin1').split('\n').slice(0, -1);
const joined = (lines: readonly string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
const parsed = (data: Buffer): Parsed[] => linesOf(data).map((line) => JSON.parse(line) as Parsed);

function changed(name: string, edit: (lines: string[]) => string[]): Files {
  return new Map([...original, [name, joined(edit(linesOf(original.get(name)!)))]]);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-tamper-'));
  let now = Date.parse('2026-03-01T10:00:00Z');
  const timers = handTimers();
  const open = (writer: string) =>
    openAuditLog({
      dir: folder,
      writer,
      clock: () => now++,
      hmacKey: Buffer.alloc(32, 1),
      signingSeed: Buffer.alloc(32, 2),
      keyId: 'k',
      headEvery: 5,
      schedule: timers.schedule,
    });
  for (const writer of ['w1', 'w2']) {
    const log = await open(writer);
    for (let i = 0; i < 4; i += 1) {
      await log.append(intent(`${writer}-${i}`), 'process');
      log.enqueue(outcome(`${writer}-${i}`));
    }
    await log.admin({ actor: { kind: 'local-admin', id: 'me' }, action: 'grant.create', target: writer });
    await log.append(denial(`${writer}-denied`), 'process');
    publicKeys = [{ keyId: 'k', publicKey: log.publicKey() }];
    if (writer === 'w1') await log.close();
    else {
      timers.run();
      await log.append(denial('behind-1'), 'process');
      await log.append(denial('behind-2'), 'power');
    }
  }
  original = readFiles(folder);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Names and numbers of all records, with what stands before. */
function everyRecord(): { name: string; index: number; seq: number; count: number }[] {
  return [...original].flatMap(([name, data]) => {
    const records = parsed(data);
    return records.map((record, index) => ({ name, index, seq: record.seq, count: records.length }));
  });
}

const chainOf = (name: string): { stream: string; writer: string } => ({
  stream: name.split('/')[0]!,
  writer: name.split('/')[1]!.slice(0, 2),
});

describe('[P7] the record proves itself up to its last signed head', () => {
  it('as it was written it verifies, and says what lies behind the last head', async () => {
    const report = await check(original);
    expect(report).toMatchObject({ ok: true, unproven: 2, torn: [], intentsWithoutOutcome: { count: 0 } });
    expect(report.chains.find((chain) => chain.stream === 'calls' && chain.writer === 'w2')).toMatchObject({
      unproven: 2,
    });
  });

  it('any byte flipped: found, and its record is the first bad one', async () => {
    const places = [...original].flatMap(([name, data]) => Array.from(data, (_, offset) => ({ name, offset })));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...places), fc.integer({ min: 1, max: 255 }), async ({ name, offset }, mask) => {
        const data = Buffer.from(original.get(name)!);
        data[offset]! ^= mask;
        const report = await check(new Map([...original, [name, data]]));
        const index = original.get(name)!.subarray(0, offset).toString('latin1').split('\n').length - 1;
        if (offset === data.length - 1) {
          // The last line feed: the line looks as if it had never been finished.
          expect(report.torn).toMatchObject([{ ...chainOf(name), afterSeq: index }]);
          return;
        }
        expect(report.ok).toBe(false);
        expect(report.problems[0]).toMatchObject({ ...chainOf(name), seq: index + 1, line: index + 1 });
      }),
      { numRuns: 120 },
    );
  });

  it('each record deleted: found where it is missing, or unproven behind the last head', async () => {
    for (const { name, index, seq, count } of everyRecord()) {
      const report = await check(changed(name, (lines) => lines.toSpliced(index, 1)));
      if (index < count - 1) {
        expect(report.problems[0], `${name} ${seq}`).toMatchObject({ ...chainOf(name), seq });
        expect(['sequence_gap', 'missing_segment']).toContain(report.problems[0]!.code);
      } else if (chainOf(name).writer === 'w1') {
        // The start record of w2 names the end of w1.
        expect(report.problems[0], name).toMatchObject({ ...chainOf(name), code: 'truncated', seq });
      } else {
        const before = await check(original);
        expect(report.ok).toBe(true);
        expect(report.records).toBe(before.records - 1);
      }
    }
  });

  it('each two neighbours exchanged: found, and the first of them named', async () => {
    for (const { name, index, seq, count } of everyRecord()) {
      if (index === count - 1) continue;
      const report = await check(
        changed(name, (lines) => lines.with(index, lines[index + 1]!).with(index + 1, lines[index]!)),
      );
      expect(report.problems[0], `${name} ${seq}`).toMatchObject({ ...chainOf(name), code: 'reordered', seq });
    }
  });

  it('each record written twice, or again at the end: found and named', async () => {
    for (const { name, index, seq } of everyRecord()) {
      const twice = await check(changed(name, (lines) => lines.toSpliced(index, 0, lines[index]!)));
      expect(twice.problems[0]).toMatchObject({ ...chainOf(name), code: 'duplicate', seq, line: index + 2 });
      const again = await check(changed(name, (lines) => [...lines, lines[index]!]));
      expect(again.problems[0]).toMatchObject({ ...chainOf(name), code: 'duplicate', seq });
    }
  });

  it('a record of another chain put in: found and named', async () => {
    for (const { name, index, seq } of everyRecord()) {
      const other = name === STOPPED ? KILLED : STOPPED;
      const line = linesOf(original.get(other)!)[1]!;
      const report = await check(changed(name, (lines) => lines.toSpliced(index, 0, line)));
      expect(report.problems[0]).toMatchObject({ ...chainOf(name), code: 'foreign_record', seq, line: index + 1 });
    }
  });

  it('a stopped chain cut at any record: found through the next start', async () => {
    const { length } = linesOf(original.get(STOPPED)!);
    for (let kept = 1; kept < length; kept += 1) {
      const report = await check(changed(STOPPED, (lines) => lines.slice(0, kept)));
      expect(report.problems[0]).toMatchObject({ ...chainOf(STOPPED), code: 'truncated', seq: kept + 1 });
    }
    const without = new Map(original);
    without.delete(STOPPED);
    expect((await check(without)).problems[0]).toMatchObject({ ...chainOf(STOPPED), code: 'missing_chain' });
  });

  it('the newest chain cut: between heads unproven, at a head found only with a head from outside', async () => {
    const records = parsed(original.get(KILLED)!);
    const last = records.findLast((record) => record.kind === 'head')!;
    for (let kept = 1; kept < records.length; kept += 1) {
      const cut = changed(KILLED, (lines) => lines.slice(0, kept));
      const proven = records.slice(0, kept).findLast((record) => record.kind === 'head')?.seq ?? 0;
      const report = await check(cut);
      expect(report).toMatchObject({ ok: true });
      expect(report.chains.find((chain) => chain.stream === 'calls' && chain.writer === 'w2')).toMatchObject({
        provenSeq: proven,
        unproven: kept - proven,
      });
      expect(report.cannotProve.join(' ')).toContain('can cut off records back to an earlier head');
      const outside = await check(cut, last.head!);
      if (kept >= last.head!.seq) expect(outside).toMatchObject({ ok: true, externalHeadHeld: true });
      else {
        expect(outside).toMatchObject({ ok: false, externalHeadHeld: false });
        expect(outside.problems[0]).toMatchObject({ ...chainOf(KILLED), code: 'truncated', seq: kept + 1 });
      }
    }
  });

  it('a torn last line is reported as torn, not as tampering', async () => {
    const data = original.get(KILLED)!;
    const { length } = linesOf(data);
    const report = await check(new Map([...original, [KILLED, data.subarray(0, data.length - 20)]]));
    expect(report).toMatchObject({ ok: true, torn: [{ ...chainOf(KILLED), afterSeq: length - 1, line: length }] });
  });
});
