import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { formatReport } from './format.ts';
import { ChainMaker, K1, type KeyPair, keyChange, newKey, pem } from './testing.ts';
import type { PublicKeyInput, VerifyReport } from './types.ts';
import { verifyAuditLog } from './verify.ts';

type Named = { name: string; pair: KeyPair };
const K2 = newKey('k2');
const K3 = newKey('k3');

const given = (...keys: Named[]): PublicKeyInput[] => keys.map((key) => ({ keyId: key.name, publicKey: pem(key) }));

const headBy = (chain: ChainMaker, { name, pair }: Named): ChainMaker =>
  chain.addHead(chain.head(pair.privateKey, { key_id: name }));

/** A chain that began under k1 and went on under k2, after a record that says so. */
function rotated(change: unknown = keyChange(K1, K2)): ChainMaker {
  const chain = new ChainMaker('w1')
    .start()
    .call('a')
    .add('key', { key_changes: [change] });
  return headBy(headBy(chain, K1).call('b'), K2);
}

async function verifyFiles(chain: ChainMaker, keys: PublicKeyInput[]): Promise<VerifyReport> {
  const dir = mkdtempSync(join(tmpdir(), 'gatehouse-verify-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'export.jsonl');
  writeFileSync(file, chain.text);
  return verifyAuditLog({ files: [file], publicKeys: keys });
}

const sources = ({ keys }: VerifyReport) => keys.map(({ keyId, source, heads }) => `${keyId} ${source} ${heads}`);

describe('a log whose signing key was changed', () => {
  it('[KEY-TRUST] verifies with the first key, with the last, with both, and says which were used', async () => {
    for (const [keys, expected] of [
      [given(K1), ['k1 given 1', 'k2 successor 1']],
      [given(K2), ['k2 given 1', 'k1 predecessor 1']],
      [given(K1, K2), ['k1 given 1', 'k2 given 1']],
      [[{ publicKey: pem(K1) }], ['k1 given 1', 'k2 successor 1']],
    ] as const) {
      const report = await verifyFiles(rotated(), [...keys]);
      expect(report).toMatchObject({ ok: true, unproven: 0 });
      expect(sources(report)).toEqual(expected);
    }
    expect(formatReport(await verifyFiles(rotated(), given(K1)))).toMatch(
      /Keys:\n {2}k1: given, 1 head\n {2}k2: named by its predecessor, 1 head/,
    );
  });

  it('[KEY-TRUST] read once, in order, it needs a key that was in force before', async () => {
    const chain = headBy(new ChainMaker('w1').start().call('a'), K1).add('key', { key_changes: [keyChange(K1, K2)] });
    const { lines } = headBy(chain.call('b'), K2);
    expect(await verifyAuditLog({ lines, publicKeys: given(K1) })).toMatchObject({ ok: true });
    expect((await verifyAuditLog({ lines, publicKeys: given(K2) })).problems[0]?.code).toBe('unknown_key');
  });

  it('[KEY-TRUST] a start record carries all changes, so that any part of the log says enough', async () => {
    const changes = [keyChange(K2, K3), keyChange(K1, K2)];
    const chain = new ChainMaker('w2').add('start', { start: { key_id: 'k3', chains: [], key_changes: changes } });
    const report = await verifyFiles(headBy(chain.call('a'), K3), given(K1));
    expect(report).toMatchObject({ ok: true, unproven: 0 });
    expect(sources(report)).toEqual(['k1 given 0', 'k2 successor 0', 'k3 successor 1']);
  });

  it('[KEY-TRUST] a folder says it in keys.json too; a damaged one says nothing', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'gatehouse-verify-'));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    mkdirSync(join(dir, 'calls'));
    writeFileSync(join(dir, 'calls', 'w1-000000000001.jsonl'), headBy(new ChainMaker('w1').start().call('a'), K1).text);
    const verify = () => verifyAuditLog({ dir, publicKeys: given(K2) });
    expect((await verify()).problems[0]?.code).toBe('unknown_key');
    writeFileSync(join(dir, 'keys.json'), JSON.stringify({ changes: [keyChange(K1, K2)] }));
    expect(await verify()).toMatchObject({ ok: true, unproven: 0 });
    writeFileSync(join(dir, 'keys.json'), '{"changes":[');
    expect((await verify()).problems[0]?.code).toBe('unknown_key');
  });

  it('[KEY-TRUST] a lost key is vouched for by its successor, and names nobody', async () => {
    const lost = keyChange(K1, K2, ['to']);
    expect(await verifyFiles(rotated(lost), given(K2))).toMatchObject({ ok: true, unproven: 0 });
    expect((await verifyFiles(rotated(lost), given(K1))).problems[0]?.code).toBe('unknown_key');
  });

  it.each<[string, unknown]>([
    ['signed by neither', keyChange(K1, K2, [])],
    ['of another old key', keyChange({ name: 'k1', pair: K3.pair }, K2)],
    [
      'signed by a stranger in the name of the old key',
      { ...keyChange(K3, K2), from: (keyChange(K1, K2) as { from: object }).from },
    ],
    ['with another new key put in', { ...keyChange(K1, K3), to: (keyChange(K1, K2) as { to: object }).to }],
    ['with another time', { ...keyChange(K1, K2), time: '2020-01-01T00:00:00.000Z' }],
    ['of another form', { from: 'k1', to: 'k2' }],
    ['that is no object', null],
  ])('[KEY-TRUST] [P7] a statement %s makes no key known', async (_, change) => {
    const report = await verifyFiles(rotated(change), given(K1));
    expect(report.problems.map(({ code }) => code)).toEqual(['unknown_key']);
    expect(report.keys).toHaveLength(1);
  });

  it('[KEY-TRUST] without any key nothing is learned', async () => {
    expect(await verifyFiles(rotated(), [])).toMatchObject({ ok: true, proven: 0, keys: [] });
  });
});
