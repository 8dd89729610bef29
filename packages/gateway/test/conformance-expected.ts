// Checks of the conformance suite that differ through the gateway, each with why. What is not here may not differ.
import type { Requirements } from '@gatehouse/testkit';

export interface Expected {
  /** Of which upstream; absent: of all. */
  upstream?: 'http' | 'stdio';
  requirements: Requirements;
  /** `scenario/check` as `checkServer` names it. */
  check: string;
  /**
   * `improved`: fails direct, succeeds through the gateway. `unscored`: of a scenario that the revision does not require.
   * `not made`: the suite makes the check only of event streams, or only where the server does what it is about.
   */
  kind: 'improved' | 'unscored' | 'not made';
  why: string;
}

const NO_STREAMS =
  'A stdio server has no event streams. The gateway answers a call of it with JSON unless something comes before the answer, and the suite then leaves this check out.';
const NO_TASKS = 'Tasks do not pass the gateway yet: their methods are unknown to it, before any header is looked at.';

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
    check: 'tasks-dispatch-and-envelope/sep-2663-legacy-task-param-ignored',
    kind: 'improved',
    why: 'The gateway denies a call with the `task` of 2025-11-25 by a result, where the SDK fails it.',
  },
  {
    requirements: '2026-07-28',
    check: 'tasks-request-headers/tasks-headers-reject-mismatched-method',
    kind: 'unscored',
    why: NO_TASKS,
  },
];
