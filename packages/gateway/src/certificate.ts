// The certificate that the gateway shows: read, checked before it is taken, and taken again when its files change
// (spec: config, listen.tls).
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { GatehouseError } from './errors.ts';

export interface CertificateFiles {
  /** PEM: the server's certificate, then those that vouch for it. */
  cert: string;
  /** PEM, without a passphrase. */
  key: string;
}

export interface Certificate {
  /** PEM, the whole chain. */
  cert: Buffer;
  /** PEM. */
  key: Buffer;
  /** PEM of the server's own certificate. */
  leaf: string;
  /** Milliseconds since 1970 at which the first certificate of the chain ends. */
  expiresAt: number;
  /** Whether the certificate is for this host name or IP address. */
  isFor(host: string): boolean;
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Reads and checks a certificate and its key, for a start.
 * @param now milliseconds since 1970
 * @throws GatehouseError config_invalid: a file that is missing, unreadable or no PEM, a key of another certificate, a
 *   certificate outside its time
 */
export function loadCertificate(files: CertificateFiles, now: number): Certificate {
  const read = (pointer: 'tls.cert' | 'tls.key', path: string): Buffer => {
    try {
      return readFileSync(path);
    } catch (error) {
      throw unreadable(pointer, path, error);
    }
  };
  return checkCertificate(files, read('tls.cert', files.cert), read('tls.key', files.key), now);
}

function checkCertificate(files: CertificateFiles, cert: Buffer, key: Buffer, now: number): Certificate {
  const chain = parseChain(files.cert, cert);
  const [leaf] = chain as [X509Certificate];
  const privateKey = parseKey(files.key, key);
  if (!leaf.checkPrivateKey(privateKey)) {
    throw wrong('tls.key', `${files.key} is not the key of the first certificate in ${files.cert}`);
  }
  for (const one of chain) {
    const name = one === leaf ? 'the certificate' : `the certificate of ${oneLine(one.subject)}`;
    if (now < one.validFromDate.getTime()) {
      throw wrong('tls.cert', `${name} in ${files.cert} is not valid before ${one.validFromDate.toISOString()}`);
    }
    if (now >= one.validToDate.getTime()) {
      throw wrong('tls.cert', `${name} in ${files.cert} expired at ${one.validToDate.toISOString()}; renew it`);
    }
  }
  try {
    // OpenSSL's own rules on top, such as the smallest key.
    createSecureContext({ cert, key });
  } catch (error) {
    throw wrong('tls.cert', `${files.cert} cannot be used: ${(error as Error).message}`);
  }
  return {
    cert,
    key,
    leaf: leaf.toString(),
    expiresAt: Math.min(...chain.map((one) => one.validToDate.getTime())),
    isFor: (host) => (isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)) !== undefined,
  };
}

function parseChain(path: string, pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('latin1').match(PEM_CERTIFICATE) ?? [];
  if (blocks.length === 0) {
    throw wrong('tls.cert', `${path} holds no PEM certificate (-----BEGIN CERTIFICATE-----)`);
  }
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw wrong('tls.cert', `certificate ${i + 1} in ${path} cannot be read: ${(error as Error).message}`);
    }
  });
}

function parseKey(path: string, pem: Buffer): KeyObject {
  // PKCS #8 says so in its first line, the older formats in a header.
  if (/^(-----BEGIN|Proc-Type:).*ENCRYPTED/m.test(pem.toString('latin1'))) {
    throw wrong('tls.key', `the key in ${path} has a passphrase, which nobody types at a start; store it without one`);
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw wrong('tls.key', `${path} holds no private key in PEM: ${(error as Error).message}`);
  }
}

function unreadable(pointer: 'tls.cert' | 'tls.key', path: string, error: unknown): GatehouseError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return wrong(pointer, `there is no file ${path}`);
  if (code === 'EACCES' || code === 'EPERM') return wrong(pointer, `${path} may not be read by this user`);
  return wrong(pointer, `${path} cannot be read: ${message}`);
}

function wrong(pointer: string, message: string): GatehouseError {
  return new GatehouseError('config_invalid', 'The TLS certificate cannot be used.', [{ pointer, message }]);
}

const oneLine = (text: string): string => text.replaceAll('\n', ', ');

/** A renewed certificate is in use this long after its files were written, at the latest. */
const LOOK_MS = 1_000;

export interface CertificateWatchOptions {
  files: CertificateFiles;
  clock: () => number;
  /** A pair that passed every check of {@link loadCertificate}. */
  onChange: (certificate: Certificate) => void;
  /** What changed and cannot be taken; told once for each state of the files. */
  onProblem: (error: GatehouseError) => void;
}

/**
 * Looks at the files again and again: names that are swapped, as certbot and Kubernetes do it, are seen as well as
 * contents, on every kind of file system.
 */
export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  #seen: string;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  private constructor(options: CertificateWatchOptions, seen: string) {
    this.#options = options;
    this.#seen = seen;
  }

  /**
   * Loads the pair, and then watches it once `start` is called.
   * @throws GatehouseError as {@link loadCertificate} does
   */
  static async open(options: CertificateWatchOptions): Promise<{ watch: CertificateWatch; certificate: Certificate }> {
    // Before the reading, so that what is written meanwhile is a change.
    const seen = await stateOf(options.files);
    const certificate = loadCertificate(options.files, options.clock());
    return { certificate, watch: new CertificateWatch(options, seen) };
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.look(), LOOK_MS).unref();
  }

  /** Looks now; resolves when what changed is in use or refused. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { files, clock, onChange, onProblem } = this.#options;
    const state = await stateOf(files);
    if (state === this.#seen) return;
    this.#seen = state;
    try {
      const [cert, key] = await Promise.all([
        readFile(files.cert).catch((error: unknown) => Promise.reject(unreadable('tls.cert', files.cert, error))),
        readFile(files.key).catch((error: unknown) => Promise.reject(unreadable('tls.key', files.key, error))),
      ]);
      onChange(checkCertificate(files, cert, key, clock()));
    } catch (error) {
      onProblem(error instanceof GatehouseError ? error : wrong('tls.cert', (error as Error).message));
    }
  }
}

/** What tells one state of the files from another. */
async function stateOf({ cert, key }: CertificateFiles): Promise<string> {
  const one = async (path: string): Promise<string> => {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'unknown';
    }
  };
  return (await Promise.all([one(cert), one(key)])).join(' ');
}
