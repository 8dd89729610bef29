/** What the exit code of `gatehouse` says to a script; printed by `gatehouse --help`. */
export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  unreachable: 5,
  conflict: 6,
  unauthorized: 7,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_HELP: readonly (readonly [ExitCode, string])[] = [
  [EXIT.ok, 'done'],
  [EXIT.error, 'an error that none of the others names'],
  [EXIT.usage, 'the command line or an input is not valid'],
  [EXIT.notFound, 'what was named does not exist'],
  [
    EXIT.denied,
    'the answer is no: a policy with errors, a denied call, a log that was changed, settings that are not valid, a backup that was changed',
  ],
  [EXIT.unreachable, 'the gateway, its data folder or the MCP server cannot be reached'],
  [EXIT.conflict, 'it exists already, is in use, or was changed by somebody else in the meantime'],
  [EXIT.unauthorized, 'the admin token is missing or wrong'],
  [EXIT.interrupted, 'ended by Ctrl-C'],
];

/** Codes of the API's problem documents (and of the gateway's own errors), as exit codes; others are {@link EXIT.error}. */
const BY_PROBLEM: Readonly<Record<string, ExitCode>> = {
  invalid_input: EXIT.usage,
  unsupported_media_type: EXIT.usage,
  too_large: EXIT.usage,
  not_found: EXIT.notFound,
  policy_invalid: EXIT.denied,
  config_invalid: EXIT.denied,
  backup_invalid: EXIT.denied,
  upstream_unreachable: EXIT.unreachable,
  store_locked: EXIT.unreachable,
  store_unavailable: EXIT.unreachable,
  audit_unavailable: EXIT.unreachable,
  audit_lost: EXIT.unreachable,
  conflict: EXIT.conflict,
  precondition_failed: EXIT.conflict,
  precondition_required: EXIT.conflict,
  unauthorized: EXIT.unauthorized,
  forbidden: EXIT.unauthorized,
  host_not_allowed: EXIT.unauthorized,
};

export function exitCodeOf(problemCode: string): ExitCode {
  return Object.hasOwn(BY_PROBLEM, problemCode) ? BY_PROBLEM[problemCode]! : EXIT.error;
}
