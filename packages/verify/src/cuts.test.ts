import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { formatReport } from './format.ts';
import { ChainMaker, KEYS, wrongKey } from './testing.ts';
import type { SignedHead, VerifyReport } from './types.ts';
import { verifyAuditLog } from './verify.ts';

type Parts = readonly [chain: ChainMaker, first: number][];

/** Chains, each from one of its records on, as a folder. */
function folderOf(parts: Parts): string {
  const dir = mkdtempSync(join(tmpdir(), 'gatehouse-cuts-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  for (const stream of ['calls', 'admin']) mkdirSync(join(dir, stream));
  for (const [chain, first] of parts) {
    writeFileSync(
      join(dir, chain.stream, `${chain.writer}-${String(first).padStart(12, '0')}.jsonl`),
      chain.from(first),
    );
  }
  return dir;
}

/** The same verified as a folder and as an export; both must say the same. */
async function verified(parts: Parts, externalHeads?: readonly SignedHead[]): Promise<VerifyReport> {
  const more = externalHeads === undefined ? {} : { externalHeads };
  const inPlace = await verifyAuditLog({ dir: folderOf(parts), publicKeys: KEYS, ...more });
  const lines = parts.flatMap(([chain, first]) => chain.lines.slice(first - 1));
  const exported = await verifyAuditLog({ lines, publicKeys: KEYS, ...more });
  expect(exported.problems.map(({ code, seq }) => [code, seq])).toEqual(
    inPlace.problems.map(({ code, seq }) => [code, seq]),
  );
  expect([exported.ok, exported.proven, exported.cuts]).toEqual([inPlace.ok, inPlace.proven, inPlace.cuts]);
  return inPlace;
}

/** Seven records: start, a call, a head, a call, a head. */
const calls = (): ChainMaker => new ChainMaker('w1').start().call('r1').addHead().call('r2').addHead();
const admin = (cut: unknown): ChainMaker => new ChainMaker('w1', 'admin').start().addCut(cut).addHead();
const codes = (report: VerifyReport): unknown[] => report.problems.map(({ code, seq }) => [code, seq]);

describe('a log that retention cut', () => {
  it('[AUD-RETENTION] verifies from the cut on, and says what was cut and when', async () => {
    const chain = calls();
    const report = await verified([
      [chain, 5],
      [admin(chain.cut(4)), 1],
    ]);
    expect(report).toMatchObject({ ok: true, records: 6, proven: 6, unproven: 0, cutCount: 1, cutRecords: 4 });
    expect(report.cuts).toMatchObject([
      { stream: 'calls', writer: 'w1', firstSeq: 1, lastSeq: 4, time: '2027-04-05T10:00:00.000Z' },
    ]);
    expect(report.chains[0]).toMatchObject({ firstSeq: 5, lastSeq: 7, provenSeq: 7 });
    expect(formatReport(report)).toContain('calls/w1 up to record 4, 2026-03-01T10:00:00.000Z; cut at 2027-04-05');
    expect(report.cannotProve.join()).toContain('What was cut cannot be looked at');
  });

  it('[AUD-RETENTION] several cuts: the longest counts', async () => {
    const chain = calls();
    const told = new ChainMaker('w1', 'admin')
      .start()
      .addCut(chain.cut(2))
      .addCut(chain.cut(4, undefined, { first_seq: 3 }));
    const report = await verified([
      [chain, 5],
      [told.addHead(), 1],
    ]);
    expect(report).toMatchObject({ ok: true, cutCount: 2, cutRecords: 4 });
  });

  it('[AUD-RETENTION] a chain that was cut whole may still be named', async () => {
    const chain = calls();
    const next = new ChainMaker('w2').start(chain).addHead();
    const told = admin(chain.cut(7));
    expect(
      await verified([
        [next, 1],
        [told, 1],
      ]),
    ).toMatchObject({ ok: true, unproven: 0 });
    // In place the chain is missing behind its cut; an export of a part cannot say so.
    const shorter = admin(chain.cut(6));
    const report = await verifyAuditLog({
      dir: folderOf([
        [next, 1],
        [shorter, 1],
      ]),
      publicKeys: KEYS,
    });
    expect(codes(report)).toEqual([['missing_chain', 1]]);
  });

  it('[AUD-RETENTION] a run that was ended between its record and its work is no fault', async () => {
    const chain = calls();
    for (const first of [1, 3, 4, 5]) {
      expect(
        await verified([
          [chain, first],
          [admin(chain.cut(4)), 1],
        ]),
        `from ${first}`,
      ).toMatchObject({ ok: true, unproven: 0 });
    }
  });

  it('[AUD-RETENTION] told in the very chain that was cut', async () => {
    const own = new ChainMaker('w1', 'admin').start().add('admin').addHead();
    own.addCut(own.cut(3)).addHead();
    expect(await verified([[own, 4]])).toMatchObject({ ok: true, records: 2, proven: 2 });
  });
});

describe('what no record tells of is missing', () => {
  it('[AUD-RETENTION] segments removed without a record', async () => {
    const quiet = new ChainMaker('w1', 'admin').start().addHead();
    const report = await verified([
      [calls(), 5],
      [quiet, 1],
    ]);
    expect(codes(report)).toEqual([['missing_segment', 1]]);
    expect(report).toMatchObject({ ok: false, proven: 2, unproven: 3 });
  });

  it('[AUD-RETENTION] more than the record tells of', async () => {
    const chain = calls();
    const report = await verified([
      [chain, 6],
      [admin(chain.cut(4)), 1],
    ]);
    expect(codes(report)).toEqual([['missing_segment', 5]]);
    expect(report.problems[0]!.message).toBe('Records up to 4 were cut, as is told; but 5 to 5 are missing as well.');
  });

  it('[AUD-RETENTION] a record that is not signed, signed by somebody else, or signed as something else', async () => {
    const chain = calls();
    const genuine = chain.cut(4);
    const { signature: _signature, ...unsigned } = genuine;
    const head = chain.head();
    const forged: unknown[] = [
      unsigned,
      { ...genuine, last_seq: 3 },
      { ...genuine, writer: 'w1 ' },
      chain.cut(4, wrongKey),
      chain.cut(4, wrongKey, { key_id: 'mine' }),
      { ...genuine, signature: head.signature },
      head,
      undefined,
    ];
    for (const [i, cut] of forged.entries()) {
      const report = await verified([
        [chain, 5],
        [admin(cut), 1],
      ]);
      expect(codes(report), `case ${i}`).toEqual([
        ['missing_segment', 1],
        ['cut_invalid', 2],
      ]);
    }
  });

  it('[AUD-RETENTION] a chain that does not go on where it was cut', async () => {
    const other = new ChainMaker('w1').start().call('forged').addHead().call('r2').addHead();
    const report = await verified([
      [calls(), 5],
      [admin(other.cut(4)), 1],
    ]);
    expect(codes(report)).toEqual([['chain_broken', 5]]);
  });

  it('[AUD-RETENTION] a named record that is another than the last one cut', async () => {
    const other = new ChainMaker('w1').start().call('forged').addHead().call('r2').addHead();
    const next = new ChainMaker('w2').start(other).addHead();
    const dirReport = await verifyAuditLog({
      lines: [...next.lines, ...calls().lines.slice(6), ...admin(calls().cut(6)).lines],
      publicKeys: KEYS,
    });
    expect(codes(dirReport)).toEqual([['reference_mismatch', 7]]);
  });
});

describe('heads from outside', () => {
  it('[AUD-HEADS-OUT] as many as were kept, those in what was cut apart', async () => {
    const chain = new ChainMaker('w1').start().call('r1');
    const heads = [chain.head()];
    chain.addHead().call('r2');
    heads.push(chain.head());
    chain.addHead();
    expect(await verified([[chain, 1]], heads)).toMatchObject({
      ok: true,
      externalHeadHeld: true,
      externalHeads: { given: 2, held: 2, cut: 0 },
    });
    const cut = await verified(
      [
        [chain, 5],
        [admin(chain.cut(4)), 1],
      ],
      heads,
    );
    expect(cut).toMatchObject({ ok: true, externalHeadHeld: true, externalHeads: { given: 2, held: 1, cut: 1 } });
    expect(formatReport(cut)).toContain(
      '1 of 2 heads from outside are held. 1 head from outside: the records are cut.',
    );
    const shortened = await verified([[new ChainMaker('w1').start().call('r1').addHead(), 1]], heads);
    expect(shortened).toMatchObject({ ok: false, externalHeadHeld: false, problems: [{ code: 'truncated', seq: 5 }] });
    const wrong = await verified([[chain, 1]], [...heads, chain.head(wrongKey)]);
    expect(wrong).toMatchObject({ ok: false, externalHeadHeld: false, problems: [{ code: 'external_head_invalid' }] });
  });

  it('[AUD-HEADS-OUT] of a chain whose cut was told by a record that is cut itself', async () => {
    const gone = new ChainMaker('w0').start();
    const chain = calls();
    const parts: [ChainMaker, number][] = [
      [chain, 5],
      [admin(chain.cut(4)), 1],
    ];
    expect(
      await verified(parts, [gone.head(), chain.head(undefined, { seq: 6, hash: JSON.parse(chain.lines[5]!).hash })]),
    ).toMatchObject({ ok: true, externalHeads: { held: 1, cut: 1 } });
    const late = gone.head(undefined, { time: '2026-06-01T00:00:00.000Z' });
    expect(codes(await verified(parts, [late]))).toEqual([['missing_chain', 1]]);
  });
});
