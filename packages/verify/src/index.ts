export { formatReport } from './format.ts';
export type {
  ChainReport,
  CutReport,
  KeyReport,
  OpenIntent,
  Problem,
  ProblemCode,
  PublicKeyInput,
  SignedCut,
  SignedHead,
  TornLine,
  VerifyInput,
  VerifyReport,
} from './types.ts';
export { verifyAuditLog } from './verify.ts';
