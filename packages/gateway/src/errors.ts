// Every error that a person or a program can meet is declared once, here (docs/errors.md is made from this table).

/** Stable code → HTTP status of the control plane and a title. The detail of an instance says what, where and what to do. */
export const ERRORS = {
  invalid_input: { status: 400, title: 'The request is not valid' },
  unauthorized: { status: 401, title: 'Not signed in' },
  forbidden: { status: 403, title: 'Not allowed' },
  host_not_allowed: { status: 403, title: 'This Host or Origin is not allowed' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'This method is not available here' },
  conflict: { status: 409, title: 'It already exists, or is in use' },
  precondition_failed: { status: 412, title: 'It was changed by somebody else in the meantime' },
  too_large: { status: 413, title: 'The request is too large' },
  unsupported_media_type: { status: 415, title: 'This content type is not supported' },
  policy_invalid: { status: 422, title: 'The policy is not valid' },
  precondition_required: { status: 428, title: 'Say which version you are changing (If-Match)' },
  internal: { status: 500, title: 'An error inside Gatehouse' },
  upstream_unreachable: { status: 502, title: 'The MCP server could not be reached' },
  store_unavailable: { status: 503, title: 'The store does not accept changes' },
  audit_unavailable: { status: 503, title: 'The audit log cannot be written' },
  audit_lost: { status: 500, title: 'The audit log that limits are rebuilt from is gone' },
  config_invalid: { status: 500, title: 'The settings are not valid' },
  key_missing: { status: 500, title: 'The secret key is missing or is another one' },
  store_locked: { status: 500, title: 'Another Gatehouse process uses this data folder' },
  backup_failed: { status: 500, title: 'The backup was not made' },
  backup_invalid: { status: 422, title: 'The backup is damaged, or was changed' },
  store_newer: { status: 500, title: 'This data folder was written by a newer Gatehouse' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** One thing that is wrong in an input: where (a JSON Pointer or a setting's name), and what to do about it. */
export interface ErrorItem {
  pointer: string;
  message: string;
  suggestion?: string;
}

/** The only error class that crosses a boundary on purpose; anything else is a fault and is answered as `internal`. */
export class GatehouseError extends Error {
  readonly code: ErrorCode;
  readonly items: readonly ErrorItem[];

  /**
   * @param detail what went wrong, where, and what to do; shown to people
   * @param items all that is wrong, where an input has several faults
   */
  constructor(code: ErrorCode, detail: string, items: readonly ErrorItem[] = [], options?: { cause?: unknown }) {
    super(detail, options);
    this.name = 'GatehouseError';
    this.code = code;
    this.items = items;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
}
