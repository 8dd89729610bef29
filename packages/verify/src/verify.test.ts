import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ChainMaker, JWK_KEYS, KEYS, OTHER_KEY, PUBLIC_KEY, wrongKey } from './testing.ts';
import type { VerifyInput, VerifyReport } from './types.ts';
import { verifyAuditLog } from './verify.ts';

function folder(files: Record<string, string | Buffer>): string {
  const dir = mkdtempSync(join(tmpdir(), 'gatehouse-verify-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  for (const [name, data] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), data);
  }
  return dir;
}

const name = (writer: string, first = 1, stream = 'calls'): string =>
  `${stream}/${writer}-${String(first).padStart(12, '0')}.jsonl`;

function verifyLines(lines: readonly string[], more: Partial<VerifyInput> = {}): Promise<VerifyReport> {
  return verifyAuditLog({ lines, publicKeys: KEYS, ...more });
}

const small = (): ChainMaker => new ChainMaker('w1').start().call('r1').addHead();

describe('a log in order', () => {
  it('[AUD-VERIFY] needs the records and the public key alone, in place, as files, as lines', async () => {
    const chain = small().add('stop').addHead();
    const dir = folder({ [name('w1')]: chain.text });
    const expected = { ok: true, records: 6, proven: 6, unproven: 0, heads: 2, problems: [], signaturesChecked: true };
    expect(await verifyAuditLog({ dir, publicKeys: KEYS })).toMatchObject(expected);
    expect(await verifyAuditLog({ files: [join(dir, name('w1'))], publicKeys: JWK_KEYS })).toMatchObject(expected);
    const report = await verifyLines(chain.lines);
    expect(report).toMatchObject(expected);
    expect(report.chains).toMatchObject([
      { stream: 'calls', writer: 'w1', lastSeq: 6, provenSeq: 6, stopped: true, lastHead: { seq: 6, keyId: 'k1' } },
    ]);
  });

  it('[AUD-UNPROVEN] reports records behind the last head as unproven', async () => {
    const report = await verifyLines(small().call('r2').lines);
    expect(report).toMatchObject({ ok: true, proven: 4, unproven: 2 });
    expect(report.cannotProve[0]).toContain('2 records lie behind the last signed head');
  });

  it('[AUD-OPEN] reports intents without an outcome', async () => {
    const report = await verifyLines(small().add('intent', { request_id: 'r9' }).addHead().lines);
    expect(report).toMatchObject({
      ok: true,
      intentsWithoutOutcome: { count: 1, examples: [{ writer: 'w1', seq: 5, requestId: 'r9' }] },
    });
  });

  it('[AUD-COUNTERS] counters records are records like others, a set that was not finished among them', async () => {
    const clock = { sliding: 1, wall: 1, calendar: 1 };
    const chain = new ChainMaker('a').start().call('r1');
    const open = [{ request_id: 'r2', time: 1, deadline: 2, sliding: 1, limits: [] }];
    chain
      .add('intent', { request_id: 'r2' })
      .add('counters', { counters: { set: 1, part: 0, clock, covers: [], open } });
    chain
      .add('outcome', { request_id: 'r2' })
      .add('counters', { counters: { set: 1, part: 1, last: true, clock, values: [['k', [5, 1]]] } });
    chain
      .add('counters', { counters: { set: 2, part: 0, clock } })
      .add('counters', { counters: { clock } })
      .add('stop')
      .addHead();
    const report = await verifyAuditLog({ lines: chain.lines, publicKeys: KEYS });
    expect(report).toMatchObject({ ok: true, records: 11, unproven: 0, intentsWithoutOutcome: { count: 0 } });
    const cut = chain.lines.filter((line) => !line.includes('"set":1,"part":1'));
    const problems = (await verifyAuditLog({ lines: cut, publicKeys: KEYS })).problems;
    expect(problems[0]).toMatchObject({ code: 'sequence_gap', seq: 7 });
  });

  it('follows several chains mixed in one input, and the chains that they name', async () => {
    const one = small();
    const two = new ChainMaker('w2').start(one).addHead(one.head());
    one.call('late');
    two.addHead();
    const mixed = [...one.lines.slice(0, 4), two.lines[0]!, one.lines[4]!, two.lines[1]!, one.lines[5]!, two.lines[2]!];
    expect(await verifyLines(mixed)).toMatchObject({ ok: true, records: 9, unproven: 2, unchecked: 0 });
  });

  it('[AUD-RECOVER] a head in the next chain holds a tail that its own writer left unsigned', async () => {
    const one = small().call('r2');
    const two = new ChainMaker('w2').start(one).addHead(one.head()).addHead();
    for (const report of [
      await verifyLines([...one.lines, ...two.lines]),
      await verifyAuditLog({ dir: folder({ [name('w1')]: one.text, [name('w2')]: two.text }), publicKeys: KEYS }),
    ]) {
      expect(report).toMatchObject({ ok: true, unproven: 0 });
    }
  });
});

describe('a log that was changed', () => {
  it('recomputed hashes: the next head does not fit', async () => {
    const forged = new ChainMaker('w1').start().call('forged');
    const genuine = small().head();
    expect((await verifyLines(forged.addHead({ ...genuine, seq: 3 }).lines)).problems[0]).toMatchObject({
      code: 'head_mismatch',
      seq: 4,
    });
    const resigned = new ChainMaker('w1').start().call('forged');
    const report = await verifyLines(resigned.addHead(resigned.head(wrongKey)).lines);
    expect(report).toMatchObject({ ok: false, proven: 0, problems: [{ code: 'signature_invalid', seq: 4 }] });
    expect(report.problems[0]!.message).toContain('a record from 1 to 4 was changed');
  });

  it('a head under another key, or with more in it than is signed, proves nothing', async () => {
    const chain = new ChainMaker('w1').start();
    const head = chain.head(wrongKey, { key_id: 'mine' });
    expect((await verifyLines(new ChainMaker('w1').start().addHead(head).lines)).problems[0]).toMatchObject({
      code: 'unknown_key',
      seq: 2,
    });
    const more = await verifyLines(
      new ChainMaker('w1').start().add('head', { head: chain.head(), detail: { forged: true } }).lines,
    );
    expect(more.problems[0]).toMatchObject({ code: 'head_mismatch', seq: 2 });
    expect(
      (await verifyLines(new ChainMaker('w1').start().add('head', { head: { ...chain.head(), note: 1 } }).lines))
        .problems[0],
    ).toMatchObject({ code: 'head_mismatch' });
    const spelled = chain.head();
    expect(
      (
        await verifyLines(
          new ChainMaker('w1').start().addHead({ ...spelled, signature: `${spelled.signature}=` }).lines,
        )
      ).problems[0],
    ).toMatchObject({ code: 'signature_invalid' });
  });

  it('a head that tells another time than its record is refused', async () => {
    const chain = new ChainMaker('w1').start();
    const head = chain.head(undefined, { time: '2020-01-01T00:00:00.000Z' });
    expect((await verifyLines(chain.addHead(head).lines)).problems[0]).toMatchObject({ code: 'head_mismatch', seq: 2 });
  });

  it('behind a bad record no later head proves anything', async () => {
    const { lines } = small().call('r2').addHead();
    const report = await verifyLines(lines.with(4, lines[4]!.replace('r2', 'xx')));
    expect(report).toMatchObject({ ok: false, problemCount: 1, proven: 4, unproven: 3 });
  });

  it('two chains joined: the record after the joint does not follow', async () => {
    const other = new ChainMaker('w1').start().add('decision', { request_id: 'x' }).call('y');
    const { lines } = small();
    expect((await verifyLines([...lines.slice(0, 3), other.lines[3]!])).problems[0]).toMatchObject({
      code: 'chain_broken',
      seq: 4,
      line: 4,
    });
  });

  it('[AUD-MISSING] a file taken away is found at the next one', async () => {
    const { lines } = small().call('r2').addHead();
    const part = (from: number, to: number): string =>
      lines
        .slice(from, to)
        .map((line) => `${line}\n`)
        .join('');
    const parts = { [name('w1', 1)]: part(0, 3), [name('w1', 4)]: part(3, 5), [name('w1', 6)]: part(5, 7) };
    expect(await verifyAuditLog({ dir: folder(parts), publicKeys: KEYS })).toMatchObject({
      ok: true,
      chains: [{ files: 3 }],
    });
    const { [name('w1', 4)]: _middle, ...rest } = parts;
    const report = await verifyAuditLog({ dir: folder(rest), publicKeys: KEYS });
    expect(report.problems[0]).toMatchObject({ code: 'missing_segment', seq: 4, line: 1 });
    expect(report.problems[0]!.message).toBe('Records 4 to 5 are missing: this file begins with record 6.');
    const { [name('w1', 1)]: _first, ...tail } = parts;
    expect((await verifyAuditLog({ dir: folder(tail), publicKeys: KEYS })).problems[0]).toMatchObject({
      code: 'missing_segment',
      seq: 1,
    });
  });

  it('a named chain that is rewritten, cut or gone is found', async () => {
    const one = small();
    const two = new ChainMaker('w2').start(one).addHead();
    const rewritten = new ChainMaker('w1').start().call('other').add('decision');
    expect((await verifyLines([...rewritten.lines, ...two.lines])).problems[0]).toMatchObject({
      code: 'reference_mismatch',
      writer: 'w1',
      seq: 4,
    });
    expect((await verifyLines([...one.lines.slice(0, 3), ...two.lines])).problems[0]).toMatchObject({
      code: 'truncated',
      writer: 'w1',
      seq: 4,
    });
    const dir = folder({ [name('w2')]: two.text });
    expect((await verifyAuditLog({ dir, publicKeys: KEYS })).problems[0]).toMatchObject({
      code: 'missing_chain',
      writer: 'w1',
    });
    // An export of one chain alone says that it could not look the other up.
    expect(await verifyLines(two.lines)).toMatchObject({ ok: true, unchecked: 1 });
  });

  it('lines that are no records are named, and what follows is still checked', async () => {
    const { lines } = small();
    expect((await verifyLines(['rubbish', ...lines])).problems[0]).toMatchObject({ code: 'malformed', line: 1 });
    const report = await verifyLines(
      lines.with(1, '{"v":1}').with(3, lines[3]!.replace('"kind":"head"', '"kind":"hexd"')),
    );
    expect(report.problems.map((problem) => [problem.code, problem.seq])).toEqual([
      ['malformed', 2],
      ['hash_mismatch', 4],
    ]);
    const dir = folder({ [name('w1')]: `${lines[0]}\n${'x'.repeat(17 * 1024 * 1024)}\n${lines[2]}\n` });
    expect((await verifyAuditLog({ dir, publicKeys: KEYS })).problems).toMatchObject([
      { code: 'line_too_long', seq: 2, line: 2 },
    ]);
  });
});

describe('what a writer or a disk leaves behind', () => {
  it('[AUD-TORN] a torn last line is no tampering, in a file and in lines', async () => {
    const { lines, text } = small();
    const torn = { stream: 'calls', writer: 'w1', afterSeq: 4, line: 5 };
    for (const tail of ['{"v":1,"stre', '\0\0\0\0', lines[3]!]) {
      const report = await verifyAuditLog({ dir: folder({ [name('w1')]: text + tail }), publicKeys: KEYS });
      expect(report).toMatchObject({ ok: true, unproven: 0, torn: [{ ...torn, bytes: tail.length }] });
    }
    expect(await verifyLines([...lines, '{"v":1,"stre'])).toMatchObject({ ok: true, torn: [torn] });
  });

  it('folders without a record, and files of other names, are no fault', async () => {
    const dir = folder({ [name('w1')]: '', 'calls/notes.txt': 'x' });
    expect(await verifyAuditLog({ dir, publicKeys: KEYS })).toMatchObject({ ok: true, records: 0 });
    await expect(verifyAuditLog({ dir: folder({ 'other/x': '' }), publicKeys: KEYS })).rejects.toThrow(
      'is no audit log',
    );
  });

  it('reads chunks of any cut: records longer than one', async () => {
    const chain = new ChainMaker('w1').start();
    for (let i = 0; i < 6; i += 1)
      chain.add('decision', { request_id: `r${i}`, detail: { text: 'ä'.repeat(100_000 * (i % 3) + i) } });
    chain.addHead();
    expect(await verifyAuditLog({ dir: folder({ [name('w1')]: chain.text }), publicKeys: KEYS })).toMatchObject({
      ok: true,
      unproven: 0,
      records: 8,
    });
  });
});

describe('a head from outside', () => {
  it('[AUD-EXTERNAL] is held, or cut off, or contradicted', async () => {
    const chain = small();
    const externalHead = chain.head();
    chain.call('r2').addHead();
    expect(await verifyLines(chain.lines, { externalHead })).toMatchObject({ ok: true, externalHeadHeld: true });
    expect(await verifyLines(chain.lines.slice(0, 3), { externalHead })).toMatchObject({
      ok: false,
      externalHeadHeld: false,
      problems: [{ code: 'truncated', seq: 4 }],
    });
    const other = new ChainMaker('w1').start().call('forged').add('decision').addHead();
    expect(await verifyLines(other.lines, { externalHead })).toMatchObject({
      ok: false,
      externalHeadHeld: false,
      problems: [{ code: 'reference_mismatch', seq: 4 }],
    });
    expect(await verifyLines(new ChainMaker('w9').start().lines, { externalHead })).toMatchObject({
      ok: false,
      externalHeadHeld: false,
      problems: [{ code: 'missing_chain' }],
    });
  });

  it('must itself be signed', async () => {
    const chain = small();
    for (const externalHead of [
      chain.head(wrongKey),
      { ...chain.head(), seq: 1 },
      chain.head(wrongKey, { key_id: 'mine' }),
      {} as never,
    ]) {
      const report = await verifyLines(chain.lines, { externalHead });
      expect(report).toMatchObject({
        ok: false,
        externalHeadHeld: false,
        problems: [{ code: 'external_head_invalid' }],
      });
    }
  });
});

describe('inputs', () => {
  it('says plainly that without a key nothing is proven', async () => {
    const report = await verifyLines(small().lines, { publicKeys: [] });
    expect(report).toMatchObject({ ok: true, proven: 0, unproven: 4, signaturesChecked: false });
    expect(report.cannotProve[0]).toContain('No public key was given');
  });

  it('refuses two inputs, none, and keys that are no Ed25519 keys', async () => {
    await expect(verifyAuditLog({ publicKeys: KEYS })).rejects.toThrow('exactly one of');
    await expect(verifyAuditLog({ lines: [], dir: '.', publicKeys: KEYS })).rejects.toThrow('exactly one of');
    await expect(verifyLines([], { publicKeys: [{ publicKey: 'nonsense' }] })).rejects.toThrow('could not be read');
    await expect(
      verifyLines([], {
        publicKeys: [{ publicKey: '{"kty":"OKP","crv":"X25519","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}' }],
      }),
    ).rejects.toThrow('x25519');
    expect(
      await verifyLines(small().lines, { publicKeys: [{ publicKey: OTHER_KEY }, { publicKey: PUBLIC_KEY }] }),
    ).toMatchObject({ ok: true, unproven: 0 });
  });
});
