// The public key of an installation's audit log, from the secret key: the log itself is not asked, since it may have been changed.
import type { PublicKeyInput } from '@gatehouse/verify';
import type { GatewayModule } from './gateway-module.ts';

export function auditPublicKey(
  { headSigner }: Pick<GatewayModule, 'headSigner'>,
  keys: ReturnType<GatewayModule['loadSecretKey']>,
): Required<PublicKeyInput> {
  return { keyId: keys.keyId, publicKey: headSigner(keys.bytes('audit-signing'), keys.keyId).publicKey };
}
