// The check of `gatehouse doctor` of the certificate that the gateway shows.
import { statSync } from 'node:fs';
import type { Certificate, CertificateFiles } from '@gatehouse/gateway';
import type { Check } from './doctor-checks.ts';

const DAY_MS = 86_400_000;
const WARN_MS = 30 * DAY_MS;

/**
 * @param certificate checked by the gateway's own code
 * @param now milliseconds since 1970
 */
export function checkCertificate(
  certificate: Certificate,
  files: CertificateFiles,
  publicUrl: string | undefined,
  now: number,
): Check {
  const name = 'certificate';
  const left = certificate.expiresAt - now;
  const until = new Date(certificate.expiresAt).toISOString();
  if (left < WARN_MS) {
    const message = `${files.cert} expires in ${Math.floor(left / DAY_MS)} days, at ${until}`;
    return { name, status: 'warn', message, action: 'Renew it: a running gateway takes the new files by itself.' };
  }
  const host = publicUrl === undefined ? undefined : new URL(publicUrl).hostname.replace(/^\[|\]$/g, '');
  if (host !== undefined && !certificate.isFor(host)) {
    return {
      name,
      status: 'warn',
      message: `${files.cert} is not for ${host}, the name in public_url`,
      action: 'Clients will refuse it: get one for that name, or correct public_url.',
    };
  }
  if (process.platform !== 'win32' && (statSync(files.key).mode & 0o007) !== 0) {
    return {
      name,
      status: 'warn',
      message: `the key in ${files.key} can be used by every user of this machine`,
      action: `Run: chmod o= ${files.key}`,
    };
  }
  return { name, status: 'ok', message: `valid until ${until}` };
}
