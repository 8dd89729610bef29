import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCertificate } from '@gatehouse/gateway';
import { CertificateAuthority } from '@gatehouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../test/harness.ts';
import type { Check } from './doctor-checks.ts';
import { checkCertificate } from './doctor-tls.ts';

const DAY_MS = 86_400_000;
const END = Date.parse('2027-01-01T00:00:00Z');
const authority = new CertificateAuthority();
const pair = authority.issue({ names: ['gate.example.com', '192.0.2.7'], until: new Date(END) });

let folder: string;
let files: { cert: string; key: string };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-doctor-tls-'));
  files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  writeFileSync(files.cert, pair.cert);
  writeFileSync(files.key, pair.key, { mode: 0o640 });
});
afterEach(() => rmSync(folder, { recursive: true }));

const check = (now: number, publicUrl?: string) => checkCertificate(loadCertificate(files, now), files, publicUrl, now);

describe('doctor of the certificate', () => {
  it('[GW-TLS] warns from 30 days before its end', () => {
    expect(check(END - 30 * DAY_MS)).toMatchObject({ status: 'ok', message: 'valid until 2027-01-01T00:00:00.000Z' });
    expect(check(END - 30 * DAY_MS + 1)).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('expires in 29 days') as string,
    });
  });

  it.each([
    ['https://gate.example.com', 'ok'],
    ['https://192.0.2.7:8443', 'ok'],
    ['https://other.example.com', 'warn'],
    ['https://192.0.2.8', 'warn'],
    ['https://[2001:db8::1]', 'warn'],
  ])('[GW-TLS] holds it against the public URL %s: %s', (url, status) => {
    expect(check(END - 60 * DAY_MS, url).status).toBe(status);
  });

  it('[GW-TLS] warns of a key that everybody can use', () => {
    chmodSync(files.key, 0o644);
    expect(check(END - 60 * DAY_MS)).toMatchObject({ status: 'warn', action: `Run: chmod o= ${files.key}` });
  });

  it('[GW-TLS] fails where a start would fail', async () => {
    rmSync(files.key);
    const env = {
      HOME: folder,
      XDG_CONFIG_HOME: join(folder, 'config'),
      GATEHOUSE_DATA: join(folder, 'data'),
      GATEHOUSE_TLS_CERT: files.cert,
      GATEHOUSE_TLS_KEY: files.key,
    };
    const ran = await run(['doctor', '--json'], { env });
    const { checks } = JSON.parse(ran.stdout) as { checks: Check[] };
    expect(checks.find(({ name }) => name === 'certificate')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining(`there is no file ${files.key}`) as string,
    });
    expect(ran.code).toBe(1);
  });
});
