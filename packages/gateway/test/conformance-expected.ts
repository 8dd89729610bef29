// Checks of the conformance suite that differ through the gateway, each with why. What is not here may not differ.
import type { Requirements } from '@gatehouse/testkit';

export interface Expected {
  /** Of which upstream; absent: of all. */
  upstream?: 'http' | 'stdio';
  requirements: Requirements;
  /** `scenario/check` as `checkServer` names it, or how it begins, with `*` behind. */
  check: string;
  /**
   * `improved`: fails direct, succeeds through the gateway. `unscored`: of a scenario that the revision does not require.
   * `not made`: the suite makes the check only of event streams, or only where the server does what it is about.
   * `by design`: the spec of the gateway wants it so.
   */
  kind: 'improved' | 'unscored' | 'not made' | 'by design';
  why: string;
}

const NO_STREAMS =
  'A stdio server has no event streams. The gateway answers a call of it with JSON unless something comes before the answer, and the suite then leaves this check out.';
const OWN_HEADERS =
  'The gateway checks the headers of a task’s request itself, in its own words, and the revision does not require the scenario.';

export const FIXTURE_DIFFERENCES: readonly Expected[] = [
  {
    upstream: 'stdio',
    requirements: '2025-11-25',
    check: 'server-sse-multiple-streams/server-sse-streams-functional',
    kind: 'not made',
    why: NO_STREAMS,
  },
  ...['server-sse-priming-event', 'server-sse-retry-field', 'server-sse-disconnect-resume'].map(
    (check): Expected => ({
      upstream: 'stdio',
      requirements: '2025-11-25',
      check: `server-sse-polling/${check}`,
      kind: 'unscored',
      why: NO_STREAMS,
    }),
  ),
  {
    requirements: '2026-07-28',
    check: 'tasks-dispatch-and-envelope/sep-2663-tasks-get-invalid-task-id-32602',
    kind: 'improved',
    why: 'The gateway answers a task id that it did not seal itself, and so does not depend on what the server says.',
  },
  {
    requirements: '2026-07-28',
    check: 'input-required-result-ignore-extra-params/sep-2322-ignore-unexpected-params',
    kind: 'by design',
    why: 'The suite answers before anything was asked. The gateway passes answers to what a sealed state says was asked, and the server then asks.',
  },
  {
    requirements: '2026-07-28',
    check: 'tasks-request-headers/tasks-headers-reject-mismatched-method',
    kind: 'unscored',
    why: OWN_HEADERS,
  },
];

const NO_TOOL =
  'The server does not have the tool. It says so in a result that passes for the one that is wanted; the gateway answers what is unknown and what is hidden with the same error (spec: gateway §4, denials).';

/** server-everything speaks the revisions with sessions alone. */
export const EVERYTHING_DIFFERENCES: readonly Expected[] = [
  {
    requirements: '2025-11-25',
    check: 'dns-rebinding-protection/localhost-host-rebinding-rejected',
    kind: 'improved',
    why: 'The gateway checks Host, which the server does not.',
  },
  {
    requirements: '2025-11-25',
    check: 'server-session-lifecycle/server-session-terminated-returns-404',
    kind: 'improved',
    why: 'The gateway remembers ended sessions; the server answers 400 for one.',
  },
  { requirements: '2025-11-25', check: 'tools-call-simple-text/*', kind: 'by design', why: NO_TOOL },
  { requirements: '2025-11-25', check: 'tools-call-error/*', kind: 'by design', why: NO_TOOL },
  { requirements: '2025-11-25', check: 'server-sse-polling/*', kind: 'unscored', why: NO_TOOL },
  {
    upstream: 'stdio',
    requirements: '2025-11-25',
    check: 'server-sse-multiple-streams/server-sse-streams-functional',
    kind: 'not made',
    why: NO_STREAMS,
  },
  {
    requirements: '2026-07-28',
    check: 'server-stateless/sep-2575-http-server-error-jsonrpc-id#*',
    kind: 'not made',
    why: 'The suite lists each answer that lacks the id of its request: the server gives such, the gateway none.',
  },
  {
    requirements: '2026-07-28',
    check: '*',
    kind: 'improved',
    why: 'The server does not know this revision. Some of the answers are the gateway’s own, and those are as it wants.',
  },
];
