// Which headers of the client count, and whether they say what the body says (spec: gateway §4, headers).
import type { IncomingMessage } from 'node:http';
import {
  type JsonValue,
  LEGACY_VERSIONS,
  META,
  type Message,
  MODERN_VERSION,
  readString,
  type Span,
  taskIdAt,
} from '@gatehouse/wire';
import type { ServedTool } from '../model.ts';
import type { ProtocolHeaders } from './exchange.ts';

/**
 * How often a header stands in a request; Node keeps the first of several and does not tell.
 * @param name in lower case
 */
export function countHeader(request: IncomingMessage, name: string): number {
  const raw = request.rawHeaders;
  let count = 0;
  for (let at = 0; at < raw.length; at += 2) {
    const given = raw[at] as string;
    if (given.length === name.length && given.toLowerCase() === name) count += 1;
  }
  return count;
}

/** Reads the protocol headers; everything else of the client stays here. */
export function protocolHeaders(request: IncomingMessage): ProtocolHeaders {
  const given = request.headers;
  const params: Record<string, string> = {};
  for (const name in given) {
    if (name.startsWith('mcp-param-')) {
      const value = given[name];
      if (typeof value === 'string') params[name] = value;
    }
  }
  const read = (name: string): string | undefined => {
    const value = given[name];
    return typeof value === 'string' ? value : undefined;
  };
  const headers: { -readonly [K in keyof ProtocolHeaders]: ProtocolHeaders[K] } = { params };
  const session = read('mcp-session-id');
  if (session !== undefined) headers.session = session;
  const version = read('mcp-protocol-version');
  if (version !== undefined) headers.version = version;
  const method = read('mcp-method');
  if (method !== undefined) headers.method = method;
  const name = read('mcp-name');
  if (name !== undefined) headers.name = name;
  const lastEventId = read('last-event-id');
  if (lastEventId !== undefined) headers.lastEventId = lastEventId;
  return headers;
}

/**
 * The same headers on their way upstream; the session id is not among them, for the upstream has its own. What repeats
 * the body goes on only where it was checked against it: a server that routes by such a header would run another call.
 * @param checked the message of revision 2026-07-28 that passed `headerMismatch`
 * @param taskId as the upstream knows it, where the message names a task
 */
export function forwardedHeaders(headers: ProtocolHeaders, checked?: Message, taskId?: string): Record<string, string> {
  const out: Record<string, string> = checked === undefined ? {} : { ...headers.params };
  if (headers.version !== undefined) out['mcp-protocol-version'] = headers.version;
  if (checked !== undefined && headers.method !== undefined) out['mcp-method'] = headers.method;
  if (checked !== undefined && headers.name !== undefined && taskId !== undefined)
    out['mcp-name'] = encodeHeader(taskId);
  else if (headers.name !== undefined && (checked?.name ?? checked?.uri) !== undefined) out['mcp-name'] = headers.name;
  if (headers.lastEventId !== undefined) out['last-event-id'] = headers.lastEventId;
  return out;
}

/** The era of a message is the presence of the version in its `_meta` (spec: gateway §4). */
export function protocolVersionOf(message: Message): string | undefined {
  const span = message.meta?.get(META.protocolVersion);
  return span !== undefined && message.bytes[span.start] === 0x22 ? readString(message.bytes, span) : undefined;
}

const KNOWN_VERSIONS: ReadonlySet<string> = new Set(LEGACY_VERSIONS);

/** A version that is not spoken here, or a header that contradicts the body's version. */
export function versionMismatch(
  headers: ProtocolHeaders,
  version: string | undefined,
): { kind: 'mismatch' | 'version' | 'meta'; detail: string } | undefined {
  if (version === undefined) {
    // Legacy clients may leave the header out, or send the version that was negotiated.
    if (headers.version === undefined || KNOWN_VERSIONS.has(headers.version)) return undefined;
    return headers.version === MODERN_VERSION
      ? {
          kind: 'meta',
          detail: `The header MCP-Protocol-Version is ${MODERN_VERSION}, but params._meta has no version`,
        }
      : { kind: 'version', detail: `The protocol version ${JSON.stringify(headers.version)} is not supported` };
  }
  const mismatch = {
    kind: 'mismatch' as const,
    detail: 'The header MCP-Protocol-Version is missing or is not the version in params._meta',
  };
  if (headers.version !== undefined && headers.version !== version) return mismatch;
  if (version !== MODERN_VERSION) {
    return { kind: 'version', detail: `The protocol version ${JSON.stringify(version)} is not supported` };
  }
  if (headers.version === undefined) return mismatch;
  if (headers.session !== undefined) {
    return { kind: 'mismatch', detail: `Revision ${MODERN_VERSION} has no sessions; leave Mcp-Session-Id out` };
  }
  return undefined;
}

/** What a header of revision 2026-07-28 says otherwise than the body; the body is what was judged. */
export function headerMismatch(message: Message, headers: ProtocolHeaders): string | undefined {
  if (message.kind === 'response') return undefined;
  if (headers.method !== message.method) return 'the header Mcp-Method is missing or is not the method of the body';
  const named = message.name ?? message.uri;
  if (named !== undefined && (headers.name === undefined || decodeHeader(headers.name) !== named)) {
    return 'the header Mcp-Name is missing or is not the name in the body';
  }
  // The tasks extension has its clients send it; before it was written down, some did not.
  const task = taskIdAt(message, 'own');
  if (task !== undefined && headers.name !== undefined && message.bytes[task.start] === 0x22) {
    if (decodeHeader(headers.name) !== readString(message.bytes, task))
      return 'the header Mcp-Name is not the task in the body';
  }
  return undefined;
}

/** `Mcp-Param-*` of a call against its arguments: a header that names a declared parameter must carry its value. */
export function paramMismatch(
  tool: ServedTool,
  args: JsonValue | undefined,
  headers: ProtocolHeaders,
): string | undefined {
  for (const [header, property] of declaredHeaders(tool.inputSchema)) {
    const given = headers.params[header];
    const value = (args as Record<string, unknown> | undefined)?.[property];
    const expected = value === undefined || value === null ? undefined : plain(value);
    const actual = given === undefined ? undefined : decodeHeader(given);
    const unreadable = given !== undefined && actual === undefined;
    if (unreadable || actual !== expected) return `the header ${header} does not carry the argument ${property}`;
  }
  return undefined;
}

function plain(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

/** Header name (lower case) → property, from `x-mcp-header` of the pinned schema's properties. */
function declaredHeaders(schema: unknown): Map<string, string> {
  const found = new Map<string, string>();
  const properties = (schema as { properties?: unknown } | null)?.properties;
  if (typeof properties !== 'object' || properties === null) return found;
  for (const [name, property] of Object.entries(properties)) {
    const header = (property as { 'x-mcp-header'?: unknown } | null)?.['x-mcp-header'];
    if (typeof header === 'string') found.set(`mcp-param-${header.toLowerCase()}`, name);
  }
  return found;
}

const SENTINEL = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/;

/**
 * Values that are not plain visible ASCII travel in base64 (revision 2026-07-28, SEP-2243). What is not written as an
 * encoder writes it (padding, spare bits) stands for nothing: decoders differ on it.
 */
function decodeHeader(value: string): string | undefined {
  const encoded = SENTINEL.exec(value)?.[1];
  if (encoded === undefined) return value;
  const bytes = Buffer.from(encoded, 'base64');
  return bytes.toString('base64') === encoded ? bytes.toString('utf8') : undefined;
}

function encodeHeader(value: string): string {
  const plain = /^[!-~]+$/.test(value) && !SENTINEL.test(value);
  return plain ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}

export function rawSpan(message: Message, span: Span): Uint8Array {
  return message.bytes.subarray(span.start, span.end);
}
