// What is asked: one read tool, one write tool, calls of about 300 bytes or 20 kB, a policy of 20 predicates and a limit that never denies.

export const PROTOCOL_VERSION = '2025-06-18';

/** The class decides what the gateway does before it forwards: the intent of a read is written, of a write also synced. */
export type CallClass = 'read' | 'write';

export const TOOL_OF: Readonly<Record<CallClass, string>> = { read: 'get_orders', write: 'update_order' };

/** How the upstream answers a call: with a JSON body, or with a stream of one event. */
export type ReplyKind = 'json' | 'sse';
export const REPLY_KINDS: readonly ReplyKind[] = ['json', 'sse'];

/** About how many bytes a call has, and its result too. */
export type CallSize = 300 | 20_000;
export const CALL_SIZES: readonly CallSize[] = [300, 20_000];

export interface Workload {
  reply: ReplyKind;
  size: CallSize;
}

export function workloadName({ reply, size }: Workload): string {
  return `${reply} ${size === 300 ? '300 B' : '20 kB'}`;
}

/** Tells the upstream by its path how to answer, and how many tools to list. */
export function upstreamPath(reply: ReplyKind, tools: number): string {
  return `/${reply}/${tools}`;
}

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
    lines: {
      type: 'array',
      maxItems: 1_000,
      items: {
        type: 'object',
        properties: {
          sku: { type: 'string', maxLength: 32 },
          quantity: { type: 'integer', minimum: 1 },
          price: { type: 'number', minimum: 0 },
          gift: { type: 'boolean' },
          remark: { type: 'string', maxLength: 200 },
        },
        required: ['sku', 'quantity', 'price'],
        additionalProperties: false,
      },
    },
  },
  required: ['account', 'region', 'count', 'total', 'priority', 'note', 'tags', 'express'],
  additionalProperties: false,
};

/** What was accepted with a tool says nothing of the cost of another: tools that only make a list long. */
function filler(index: number) {
  return {
    name: `get_report_${index}`,
    description: 'Read a report of an account.',
    inputSchema,
    annotations: { readOnlyHint: true },
  };
}

const TOOLS = [
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

export type Tool = (typeof TOOLS)[number];

/** @param count from 1: the read tool, the write tool, and then tools that nobody calls */
export function tools(count: number): Tool[] {
  const more = Array.from({ length: Math.max(0, count - TOOLS.length) }, (_, index) => filler(index));
  return [...TOOLS.slice(0, count), ...more];
}

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

/** The same rules for every tool, so that the number of tools is all that differs between two policies. */
export function policy(toolCount: number) {
  return {
    version: '1',
    default: 'deny',
    list: 'allowed',
    all_tools: { limits: [{ counter: 'calls', window: 'hour', max: 1_000_000_000, scope: 'grant' }] },
    tools: Object.fromEntries(tools(toolCount).map(({ name }) => [name, rules])),
  };
}

/** Ids have one width, so that a prepared request is filled in where its id stands, without a new length. */
export const FIRST_ID = 1_000_000_000;

/** Lines of an order that bring a call, and its result, to about 20 kB. */
const LINES = Array.from({ length: 165 }, (_, index) => ({
  sku: `SKU-${100_000 + index}`,
  quantity: (index % 9) + 1,
  price: 12.5 + index,
  gift: index % 7 === 0,
  remark: `Line ${index + 1}: handle with care, deliver before noon.`,
}));

/** A `tools/call` as its bytes go over the wire; the id is {@link FIRST_ID}. */
export function callBody(tool: string, size: CallSize): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id: FIRST_ID,
    method: 'tools/call',
    params: { name: tool, arguments: size === 300 ? ARGUMENTS : { ...ARGUMENTS, lines: LINES } },
  });
}

/** From this length on, the upstream answers a call with the long result. */
export const LONG_CALL_BYTES = 10_000;

/** The result of a call, without the envelope: about 200 bytes, or 20 kB. */
export function callResult(size: CallSize): unknown {
  const text = 'Order 58211 of account acc_4f9d2c81: 3 items, 149.50 EUR, priority normal, not yet shipped; two notes.';
  return { content: [{ type: 'text', text: size === 300 ? text : `${text} ${JSON.stringify(LINES)}` }] };
}
