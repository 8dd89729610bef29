export { type RecordedRequest, RecordingUpstream, type RecordingUpstreamOptions } from './recording-upstream.ts';
export { citedRequirements, type Requirement, readRequirements } from './requirements.ts';
