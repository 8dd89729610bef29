// The part of @gatehouse/gateway that commands use in this process.
export type GatewayModule = Pick<
  typeof import('@gatehouse/gateway'),
  | 'adminToken'
  | 'headSigner'
  | 'loadCertificate'
  | 'loadKeyRing'
  | 'loadSecretKey'
  | 'loadSettings'
  | 'openGateway'
  | 'resetKey'
  | 'restoreBackup'
  | 'runStdio'
  | 'settingsJsonSchema'
  | 'tlsFiles'
>;

/** Loaded on first use: most commands speak to a running gateway and need none of it. */
export async function loadGateway(): Promise<GatewayModule> {
  return import('@gatehouse/gateway');
}
