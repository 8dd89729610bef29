// What is asked: one read tool, one write tool, a call of about 300 bytes, a policy of 20 predicates and a limit that never denies.

export const PROTOCOL_VERSION = '2025-06-18';

/** The class decides what the gateway does before it forwards: the intent of a read is written, of a write also synced. */
export type CallClass = 'read' | 'write';

export const TOOL_OF: Readonly<Record<CallClass, string>> = { read: 'get_orders', write: 'update_order' };

const inputSchema = {
  type: 'object',
  properties: {
    account: { type: 'string', minLength: 1, maxLength: 64 },
    region: { type: 'string', enum: ['eu-west-1', 'eu-north-1', 'us-east-1'] },
    count: { type: 'integer', minimum: 1, maximum: 100 },
    total: { type: 'number', minimum: 0 },
    priority: { type: 'string' },
    note: { type: 'string', maxLength: 2_000 },
    tags: { type: 'array', items: { type: 'string' }, maxItems: 10 },
    express: { type: 'boolean' },
  },
  required: ['account', 'region', 'count', 'total', 'priority', 'note', 'tags', 'express'],
  additionalProperties: false,
};

export const TOOLS = [
  {
    name: TOOL_OF.read,
    description: 'Read the orders of an account.',
    inputSchema,
    annotations: { readOnlyHint: true },
  },
  {
    name: TOOL_OF.write,
    description: 'Update an order of an account.',
    inputSchema,
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true },
  },
];

export const ARGUMENTS = {
  account: 'acc_4f9d2c81',
  region: 'eu-west-1',
  count: 3,
  total: 149.5,
  priority: 'normal',
  note: 'Quarterly review of open positions, second batch.',
  tags: ['finance', 'q3'],
  express: false,
};

/** 20 predicates without patterns: ten in `args`, six in `require`, four in `deny_if`. */
const rules = {
  args: {
    account: { starts_with: 'acc_', length_lte: 32 },
    region: { in: ['eu-west-1', 'eu-north-1'] },
    count: { gte: 1, lte: 50 },
    total: { gte: 0, lte: 5_000 },
    priority: { neq: 'urgent' },
    note: { length_lte: 500 },
    'tags[*]': { in: ['finance', 'q1', 'q2', 'q3', 'q4'] },
  },
  require: [
    { path: 'args.express', op: 'eq', value: false },
    { path: 'args.priority', op: 'in', value: ['low', 'normal', 'high'] },
    { path: 'args.tags', op: 'length_gte', value: 1 },
    { path: 'args.note', op: 'exists', value: true },
    { path: 'args.account', op: 'length_gte', value: 8 },
    { path: 'args.region', op: 'ends_with', value: '-1' },
  ],
  deny_if: [
    { path: 'args.total', op: 'gt', value: 4_000 },
    { path: 'args.note', op: 'contains', value: 'DROP TABLE' },
    { path: 'args.tags', op: 'contains', value: 'forbidden' },
    { path: 'args.account', op: 'eq', value: 'acc_00000000' },
  ],
};

export const POLICY = {
  version: '1',
  default: 'deny',
  list: 'allowed',
  all_tools: { limits: [{ counter: 'calls', window: 'hour', max: 1_000_000_000, scope: 'grant' }] },
  tools: { [TOOL_OF.read]: rules, [TOOL_OF.write]: rules },
};

/** Ids have one width, so that a prepared request is filled in where its id stands, without a new length. */
export const FIRST_ID = 1_000_000_000;

/** A `tools/call` as its bytes go over the wire; the id is {@link FIRST_ID}. */
export function callBody(tool: string): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id: FIRST_ID,
    method: 'tools/call',
    params: { name: tool, arguments: ARGUMENTS },
  });
}

/** The result of every call, without the envelope: about 200 bytes. */
export const CALL_RESULT = {
  content: [
    {
      type: 'text',
      text: 'Order 58211 of account acc_4f9d2c81: 3 items, 149.50 EUR, priority normal, not yet shipped; two notes.',
    },
  ],
};
