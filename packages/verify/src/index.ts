export { formatReport } from './format.ts';
export type {
  ChainReport,
  KeyReport,
  OpenIntent,
  Problem,
  ProblemCode,
  PublicKeyInput,
  SignedHead,
  TornLine,
  VerifyInput,
  VerifyReport,
} from './types.ts';
export { verifyAuditLog } from './verify.ts';
