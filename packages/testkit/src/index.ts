export { type RecordedRequest, RecordingUpstream, type RecordingUpstreamOptions } from './recording-upstream.ts';
export { citedRequirements, readRequirements, type Requirement } from './requirements.ts';
