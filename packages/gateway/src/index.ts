export type { ApiApp } from './api/app.ts';
export { headSigner } from './audit/chain.ts';
export type { HeadSinkState } from './audit/head-export.ts';
export type { ReserveState } from './audit/reserve.ts';
export type { Cut, RetentionState, RetentionView } from './audit/retention.ts';
export type { AdminRow, AuditRow } from './audit/search.ts';
export type { BackupReport } from './backup/create.ts';
export type { BackupJob } from './backup/jobs.ts';
export { type RestoreOptions, type RestoreReport, restoreBackup } from './backup/restore.ts';
export { type Certificate, type CertificateFiles, loadCertificate } from './certificate.ts';
export {
  type DescribedSetting,
  type LoadOptions,
  loadSettings,
  type Settings,
  settingsJsonSchema,
  tlsFiles,
} from './config.ts';
export { ERRORS, type ErrorCode, type ErrorItem, GatehouseError } from './errors.ts';
export { AUDIT_FOLDER } from './folders.ts';
export { type Addresses, type Gateway, type OpenOptions, openGateway, SERVER_FILE } from './gateway.ts';
export { type KeyReset, type KeyResetOptions, resetKey } from './key-reset.ts';
export { type KeyRing, loadKeyRing } from './key-ring.ts';
export type { KeyRotation } from './key-rotation.ts';
export { adminToken, defaultConfigDir, loadSecretKey } from './keys.ts';
export type * from './model.ts';
export { type RunOptions, runStdio } from './run.ts';
export type * from './services.ts';
export { VERSION } from './version.ts';
