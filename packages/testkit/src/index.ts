export { CertificateAuthority, type Issue, type IssuedCertificate } from './certificates.ts';

export {
  type Checks,
  checkClient,
  checkServer,
  FIXTURE_CLIENT,
  FIXTURE_MAIN,
  REQUIREMENTS,
  type Requirements,
  scoredScenarios,
} from './conformance.ts';
export {
  type CommandOptions,
  isUnreachable,
  npmEnvironment,
  plainPath,
  type Ran,
  type ReadyFile,
  ROOT,
  type Running,
  Sandbox,
} from './launch.ts';
export { lockedClient } from './locked-client.ts';
export { type RecordedRequest, RecordingUpstream, type RecordingUpstreamOptions } from './recording-upstream.ts';
export { citedRequirements, type Requirement, readRequirements, refusedRequirements } from './requirements.ts';
export { startTokenRelay, type TokenRelay } from './token-relay.ts';
