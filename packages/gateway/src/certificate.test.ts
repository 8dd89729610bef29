import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority, type IssuedCertificate } from '@gatehouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Certificate, CertificateWatch, loadCertificate } from './certificate.ts';
import { GatehouseError } from './errors.ts';

const NOW = Date.parse('2026-11-02T10:00:00Z');
const authority = new CertificateAuthority();
const good = authority.issue({ names: ['gate.example.com', '10.0.0.7'] });
const other = authority.issue({ names: ['gate.example.com'] });

let folder: string;
let files: { cert: string; key: string };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-tls-'));
  files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
});
afterEach(() => rmSync(folder, { recursive: true }));

function write({ cert, key }: IssuedCertificate): void {
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key);
}

function problem(now = NOW): { pointer: string; message: string } | undefined {
  try {
    loadCertificate(files, now);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(GatehouseError);
    expect((error as GatehouseError).items).toHaveLength(1);
    return (error as GatehouseError).items[0];
  }
}

describe('the certificate at a start', () => {
  it('[GW-TLS] is taken with its chain, and knows its names and its end', () => {
    const soon = authority.issue({ names: ['x'], until: new Date(NOW + 1000) });
    writeFileSync(files.cert, `${good.cert}\nissued by\n${authority.cert}`);
    writeFileSync(files.key, good.key);
    const certificate = loadCertificate(files, NOW);
    expect(certificate.expiresAt).toBe(Date.parse('2040-01-01T00:00:00Z'));
    expect(['gate.example.com', '10.0.0.7', 'other.example.com', '10.0.0.8'].map(certificate.isFor)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(certificate.leaf.trim()).toBe(good.cert.trim());
    // The chain is over when the first of it is.
    writeFileSync(files.cert, good.cert + soon.cert);
    expect(loadCertificate(files, NOW).expiresAt).toBe(NOW + 1000);
    expect(problem(NOW + 1000)).toMatchObject({
      pointer: 'tls.cert',
      message: expect.stringMatching(/CN=x.*expired/) as string,
    });
  });

  it.each<[string, () => void, string, RegExp]>([
    ['no certificate file', () => rmSync(files.cert), 'tls.cert', /there is no file .*cert\.pem/],
    ['no key file', () => rmSync(files.key), 'tls.key', /there is no file .*key\.pem/],
    [
      'a folder',
      () => {
        rmSync(files.cert);
        mkdirSync(files.cert);
      },
      'tls.cert',
      /cannot be read/,
    ],
    ['no PEM', () => writeFileSync(files.cert, 'hello'), 'tls.cert', /holds no PEM certificate/],
    ['the files exchanged', () => write({ cert: good.key, key: good.cert }), 'tls.cert', /holds no PEM certificate/],
    [
      'a damaged certificate',
      () => writeFileSync(files.cert, good.cert.replace(/\n.{20}/, `\n${'A'.repeat(20)}`)),
      'tls.cert',
      /certificate 1 in .* cannot be read/,
    ],
    [
      'a damaged authority behind it',
      () => writeFileSync(files.cert, good.cert + authority.cert.replace(/\n.{20}/, `\n${'A'.repeat(20)}`)),
      'tls.cert',
      /certificate 2 in .* cannot be read/,
    ],
    ['a certificate as the key', () => writeFileSync(files.key, good.cert), 'tls.key', /holds no private key/],
    ['the key of another', () => writeFileSync(files.key, other.key), 'tls.key', /is not the key of the first/],
    [
      'a key with a passphrase',
      () =>
        writeFileSync(
          files.key,
          generateKeyPairSync('ec', {
            namedCurve: 'P-256',
            publicKeyEncoding: { type: 'spki', format: 'pem' },
            privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
          }).privateKey,
        ),
      'tls.key',
      /has a passphrase/,
    ],
    [
      'an expired one',
      () => write(authority.issue({ names: ['x'], until: new Date(NOW) })),
      'tls.cert',
      /expired at 2026-11-02T10:00:00/,
    ],
    [
      'one of tomorrow',
      () => write(authority.issue({ names: ['x'], from: new Date(NOW + 1000) })),
      'tls.cert',
      /not valid before 2026-11-02T10:00:01/,
    ],
  ])('[GW-TLS] refuses %s, naming the setting and the file', (_, prepare, pointer, message) => {
    write(good);
    expect(problem()).toBeUndefined();
    prepare();
    expect(problem()).toEqual({ pointer, message: expect.stringMatching(message) as string });
  });
});

describe('a changed certificate', () => {
  let taken: Certificate[];
  let problems: string[];
  const open = async (): Promise<CertificateWatch> => {
    taken = [];
    problems = [];
    const { watch } = await CertificateWatch.open({
      files,
      clock: () => NOW,
      onChange: (certificate) => taken.push(certificate),
      onProblem: (error) => problems.push(...error.items.map((item) => `${item.pointer}: ${item.message}`)),
    });
    return watch;
  };

  it('[GW-TLS-RELOAD] is taken once both files fit, and what does not fit is told once', async () => {
    write(good);
    const watch = await open();
    await watch.look();
    expect([taken, problems]).toEqual([[], []]);

    writeFileSync(files.cert, other.cert);
    await watch.look();
    await watch.look();
    expect(taken).toEqual([]);
    expect(problems).toEqual([expect.stringContaining('is not the key of the first certificate')]);

    writeFileSync(files.key, other.key);
    await watch.look();
    expect(taken.map(({ leaf }) => leaf.trim())).toEqual([other.cert.trim()]);
    expect(problems).toHaveLength(1);

    rmSync(files.key);
    await watch.look();
    expect(problems).toEqual([expect.anything(), expect.stringContaining('there is no file')]);
    expect(taken).toHaveLength(1);
    await watch.close();
  });

  it('[GW-TLS-RELOAD] is seen behind names that are swapped', async () => {
    for (const [name, pair] of [
      ['one', good],
      ['two', other],
    ] as const) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'cert.pem'), pair.cert);
      writeFileSync(join(folder, name, 'key.pem'), pair.key);
    }
    symlinkSync('one', join(folder, 'now'));
    files = { cert: join(folder, 'now', 'cert.pem'), key: join(folder, 'now', 'key.pem') };
    const watch = await open();
    symlinkSync('two', join(folder, 'next'));
    renameSync(join(folder, 'next'), join(folder, 'now'));
    await watch.look();
    expect(taken.map(({ leaf }) => leaf.trim())).toEqual([other.cert.trim()]);
    await watch.close();
  });
});
