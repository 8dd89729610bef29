// The public keys of an installation's audit log, from the secret keys: the log itself is not asked, since it may have been changed.
import type { PublicKeyInput } from '@gatehouse/verify';
import type { GatewayModule } from './gateway-module.ts';

/** Of the present key, and of the earlier ones that are at hand. */
export function auditPublicKeys(
  { headSigner }: Pick<GatewayModule, 'headSigner'>,
  { current, previous }: ReturnType<GatewayModule['loadKeyRing']>,
): Required<PublicKeyInput>[] {
  return [current, ...previous].map((keys) => ({
    keyId: keys.keyId,
    publicKey: headSigner(keys.bytes('audit-signing'), keys.keyId).publicKey,
  }));
}
