// Certificates for tests: an authority of one's own and what it signs, without a tool of the system.
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** PEM. */
export interface IssuedCertificate {
  cert: string;
  key: string;
}

export interface Issue {
  /** DNS names and IPv4 addresses. */
  names: readonly string[];
  /** Default: 2020. */
  from?: Date;
  /** Default: 2040. */
  until?: Date;
}

/** DER: a tag, the length, the contents. */
function der(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

const sequence = (...contents: Buffer[]): Buffer => der(0x30, ...contents);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const time = (date: Date): Buffer => der(0x18, Buffer.from(date.toISOString().replace(/[-:T]|\.\d+/g, '')));
const distinguished = (name: string): Buffer =>
  sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
const extension = (id: string, value: Buffer, critical: boolean): Buffer =>
  sequence(oid(id), ...(critical ? [YES] : []), der(0x04, value));
const alternative = (name: string): Buffer =>
  isIPv4(name) ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name, 'latin1'));

const YES = der(0x01, Buffer.from([0xff]));
const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));
const FROM = new Date('2020-01-01T00:00:00Z');
const UNTIL = new Date('2040-01-01T00:00:00Z');

/** An authority that nobody trusts until told to. */
export class CertificateAuthority {
  /** PEM of its own certificate. */
  readonly cert: string;
  readonly #name: Buffer;
  readonly #key: KeyObject;
  #serial = 1;

  constructor(name = 'Gatehouse test authority') {
    this.#name = distinguished(name);
    const { key, publicKey } = newKey();
    this.#key = createPrivateKey(key);
    this.cert = this.#sign(this.#name, publicKey, FROM, UNTIL, [extension('551d13', sequence(YES), true)]);
  }

  issue({ names, from = FROM, until = UNTIL }: Issue): IssuedCertificate {
    const { key, publicKey } = newKey();
    const subject = distinguished(names[0] ?? 'nobody');
    const cert = this.#sign(subject, publicKey, from, until, [
      extension('551d13', sequence(), true),
      extension('551d11', sequence(...names.map(alternative)), false),
    ]);
    return { cert, key };
  }

  #sign(subject: Buffer, publicKey: Buffer, from: Date, until: Date, extensions: Buffer[]): string {
    this.#serial += 1;
    const signed = sequence(
      der(0xa0, der(0x02, Buffer.from([2]))),
      der(0x02, Buffer.from([this.#serial])),
      ECDSA_SHA256,
      this.#name,
      sequence(time(from), time(until)),
      subject,
      publicKey,
      der(0xa3, sequence(...extensions)),
    );
    const signature = sign('sha256', signed, this.#key);
    const whole = sequence(signed, ECDSA_SHA256, der(0x03, Buffer.from([0]), signature));
    const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  }
}

function newKey(): { key: string; publicKey: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  });
  return { key: privateKey, publicKey };
}
