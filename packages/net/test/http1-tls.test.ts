// HTTP/1.1 over TLS: which certificates are taken.
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:https';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bench, send } from './http1-harness.ts';

/** DER: a tag, the length, the contents. */
function der(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

const sequence = (...contents: Buffer[]): Buffer => der(0x30, ...contents);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const time = (text: string): Buffer => der(0x18, Buffer.from(text));

const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));
const YES = der(0x01, Buffer.from([0xff]));

/** A certificate that signs itself, for a DNS name or the address 127.0.0.1, until the year given. */
function certificate(name: string, until: number): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  });
  const subject = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(`test ${name}`)))));
  const alternative =
    name === '127.0.0.1' ? der(0x87, Buffer.from([127, 0, 0, 1])) : der(0x82, Buffer.from(name, 'latin1'));
  const extensions = sequence(
    sequence(oid('551d13'), YES, der(0x04, sequence(YES))),
    sequence(oid('551d11'), der(0x04, sequence(alternative))),
  );
  const signed = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    ECDSA_SHA256,
    subject,
    sequence(time('20200101000000Z'), time(`${until}0101000000Z`)),
    subject,
    publicKey,
    der(0xa3, extensions),
  );
  const signature = sign('sha256', signed, createPrivateKey(privateKey));
  const whole = sequence(signed, ECDSA_SHA256, der(0x03, Buffer.from([0]), signature));
  const body = whole
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n');
  return { key: privateKey, cert: `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n` };
}

describe('TLS', () => {
  const trusted = getCACertificates('default');
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(async () => {
    setDefaultCACertificates(trusted);
    await bench.close();
  });

  const serve = async ({ key, cert }: { key: string; cert: string }): Promise<string> =>
    await bench.listen(
      createServer({ key, cert }, (request, response) => {
        response.setHeader(
          'content-type',
          `text/plain; alpn=${(request.socket as { alpnProtocol?: string }).alpnProtocol}`,
        );
        request.pipe(response);
      }),
      'https',
    );

  it.each([
    ['a name', 'localhost', 'localhost'],
    ['an address', '127.0.0.1', '127.0.0.1'],
  ])(
    '[NET-HTTP-TLS] takes a certificate of a default authority for %s, and uses the connection again',
    async (_what, name, host) => {
      const made = certificate(name, 9999);
      setDefaultCACertificates([...trusted, made.cert]);
      const pool = bench.pool((await serve(made)).replace('127.0.0.1', host));
      const body = Buffer.alloc(300_000, 'over TLS ');
      for (let turn = 0; turn < 3; turn++) {
        const { chunks, headers, error } = await send(pool, { body }).done;
        expect(error).toBeUndefined();
        expect(headers['content-type']).toContain('alpn=http/1.1');
        expect(Buffer.concat(chunks).equals(body)).toBe(true);
      }
      expect(bench.accepted).toBe(1);
    },
  );

  it.each([
    ['of nobody', '127.0.0.1', 9999, false, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['for another name', 'elsewhere.example', 9999, true, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['that has run out', '127.0.0.1', 2021, true, 'CERT_HAS_EXPIRED'],
  ])(
    '[NET-HTTP-TLS, NET-HTTP-HANDED-OVER] refuses a certificate %s before a byte is handed over',
    async (_what, name, until, trust, code) => {
      const made = certificate(name, until);
      if (trust) setDefaultCACertificates([...trusted, made.cert]);
      const recorder = await send(bench.pool(await serve(made))).done;
      expect([recorder.error?.code, recorder.handedOver, recorder.told]).toEqual([code, false, ['error']]);
    },
  );
});
