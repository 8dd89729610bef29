export { type DescribedSetting, type LoadOptions, loadSettings, type Settings, settingsJsonSchema } from './config.ts';
export { ERRORS, type ErrorCode, type ErrorItem, GatehouseError } from './errors.ts';
export { type Addresses, AUDIT_FOLDER, type Gateway, type OpenOptions, openGateway, SERVER_FILE } from './gateway.ts';
export { adminToken, defaultConfigDir, loadSecretKey } from './keys.ts';
export type * from './model.ts';
export { type RunOptions, runStdio } from './run.ts';
export type * from './services.ts';
export { VERSION } from './version.ts';
