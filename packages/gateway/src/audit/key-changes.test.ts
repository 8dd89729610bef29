import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyAuditLog } from '@gatehouse/verify';
import { describe, expect, it } from 'vitest';
import { headSigner } from './chain.ts';
import { recordKeys, recordLostKey, signingKeys } from './key-changes.ts';
import { AuditUnavailableError } from './log.ts';
import { nodeFiles } from './segments.ts';
import { handTimers, intent, outcome, recordsOf, testFolder, testLog } from './testing.ts';

const NEXT = { hmacKey: Buffer.alloc(32, 17), signingSeed: Buffer.alloc(32, 19), keyId: 'next-key' };
const signerOf = (byte: number) => headSigner(Buffer.alloc(32, byte), `key-${byte}`);
const TIME = '2026-03-01T10:00:00.000Z';

const keyIds = (records: Record<string, unknown>[]) =>
  records.filter(({ kind }) => kind === 'head').map(({ head }) => (head as { key_id: string }).key_id);

describe('a change of the keys of a log', () => {
  it('[KEY-TRUST] stands in both streams, under a head of the old key; what follows is under the new one', async () => {
    const { log, dir } = await testLog();
    const first = log.publicKey();
    await log.append(intent('a'), 'process');
    const before = log.digestArguments({ a: 1 });
    log.changeKeys(NEXT);
    expect(log.digestArguments({ a: 1 })).not.toBe(before);
    await log.append(outcome('a'), 'process');
    await log.close();
    for (const stream of ['calls', 'admin'] as const) {
      const records = recordsOf(dir, stream);
      expect(keyIds(records)).toEqual(['test-key', 'next-key']);
      const at = records.findIndex(({ kind }) => kind === 'key');
      expect(records[at]).toMatchObject({
        key_changes: [{ from: { key_id: 'test-key' }, to: { key_id: 'next-key' } }],
      });
      expect(records[at + 1]).toMatchObject({ kind: 'head', head: { key_id: 'test-key', seq: at + 1 } });
    }
    expect(await log.verify()).toMatchObject({ ok: true });
    expect(await verifyAuditLog({ dir, publicKeys: [{ publicKey: first }] })).toMatchObject({ ok: true, unproven: 0 });
    expect(statSync(join(dir, 'keys.json')).mode & 0o777).toBe(0o600);
  });

  it('[KEY-TRUST] while the log cannot be written, it waits with the outcomes and is stored when it can', async () => {
    let failing = false;
    const timers = handTimers();
    const { log, dir } = await testLog({
      schedule: timers.schedule,
      fs: {
        write: (fd, data) => {
          if (failing) throw new Error('ENOSPC: no space left on device');
          return nodeFiles.write(fd, data);
        },
      },
    });
    const first = log.publicKey();
    await log.append(intent('a'), 'process');
    failing = true;
    await expect(log.append(intent('b'), 'process')).rejects.toThrow(AuditUnavailableError);
    log.changeKeys(NEXT);
    expect(() => log.mark()).toThrow(AuditUnavailableError);
    log.enqueue(outcome('a'));
    failing = false;
    timers.run();
    expect(log.writable).toBe(true);
    await log.close();
    const report = await verifyAuditLog({ dir, publicKeys: [{ publicKey: first }] });
    expect(report).toMatchObject({ ok: true, unproven: 0, keys: [{}, { keyId: 'next-key', source: 'successor' }] });
    expect(recordsOf(dir, 'calls').map(({ kind }) => kind)).toContain('key');
  });
});

describe('keys.json', () => {
  it('[KEY-TRUST] ties each earlier key that signed here to the present one, once', () => {
    const dir = testFolder();
    const [one, two, three] = [signerOf(1), signerOf(2), signerOf(3)];
    expect(recordKeys(dir, one, [], TIME)).toEqual([]);
    expect(recordKeys(dir, two, [one], TIME)).toHaveLength(1);
    expect(recordKeys(dir, two, [one], TIME)).toHaveLength(1);
    // A key that never signed here is nobody's predecessor.
    expect(
      recordKeys(dir, three, [two, one, signerOf(9)], TIME).map(({ from, to }) => [from.key_id, to.key_id]),
    ).toEqual([
      ['key-1', 'key-2'],
      ['key-2', 'key-3'],
    ]);
    expect(signingKeys(dir).map(({ key_id }) => key_id)).toEqual(['key-1', 'key-2', 'key-3']);
  });

  it('[KEY-RESET] a lost key is known by the public half that was kept, or not at all', () => {
    const dir = testFolder();
    recordKeys(dir, signerOf(1), [], TIME);
    expect(recordLostKey(dir, 'key-1', signerOf(2), TIME)).toBe(true);
    expect(recordLostKey(dir, 'key-7', signerOf(2), TIME)).toBe(false);
    const { changes } = JSON.parse(readFileSync(join(dir, 'keys.json'), 'utf8')) as {
      changes: { signatures: object }[];
    };
    expect(changes.map(({ signatures }) => Object.keys(signatures))).toEqual([['to']]);
  });

  it('says which file is damaged', () => {
    const dir = testFolder();
    writeFileSync(join(dir, 'keys.json'), '{"keys":1}');
    expect(() => recordKeys(dir, signerOf(1), [], TIME)).toThrow(/keys\.json.*cannot be used.*moved away/);
  });
});

describe('a mark', () => {
  it('[CFG-BACKUP] ends both chains with a head: a copy up to there is proven to its last record', async () => {
    const { log, dir } = await testLog();
    await log.append(intent('a'), 'process');
    log.enqueue(outcome('a'));
    const { heads, segments } = log.mark();
    const copies = segments.map(({ path, bytes }) => readFileSync(path).subarray(0, bytes).toString());
    for (let i = 0; i < 5; i += 1) await log.append(intent(`after-${i}`), 'process');
    const lines = copies.flatMap((text) => text.split('\n').slice(0, -1));
    const report = await verifyAuditLog({ lines, publicKeys: [{ publicKey: log.publicKey() }] });
    expect(report).toMatchObject({ ok: true, unproven: 0, records: lines.length });
    for (const externalHead of heads) {
      const own = { dir, publicKeys: [{ publicKey: log.publicKey() }], externalHead };
      expect(await verifyAuditLog(own)).toMatchObject({ externalHeadHeld: true });
    }
    // Nothing was recorded since: there is nothing more to sign.
    const { records } = log.stats();
    log.mark();
    const again = log.stats().records;
    log.mark();
    expect([again, log.stats().records]).toEqual([records + 1, records + 1]);
    await log.close();
  });
});
