// How the gateway reads a server's tools: as a client of its own door, under the identity `gatehouse` (P1).
import {
  arrayItems,
  checkValue,
  LEGACY_VERSIONS,
  META,
  MODERN_VERSION,
  type Reply,
  readReply,
  readString,
  readValue,
  type Span,
} from '@gatehouse/wire';
import { GatehouseError } from '../errors.ts';
import type { ServerEntry } from '../model.ts';
import { handle } from '../proxy/call.ts';
import type { ClientExchange, ProtocolHeaders } from '../proxy/exchange.ts';
import { type Gate, gatehouseGrant } from '../proxy/gate.ts';
import { endSession } from '../proxy/session-requests.ts';
import type { ObservedTool } from '../services.ts';

/** A server with more pages than this is taken to turn in circles. */
const MAX_PAGES = 200;
const encoder = new TextEncoder();

/**
 * The whole list of a server's tools, all pages.
 * @throws GatehouseError upstream_unreachable saying what the server answered
 */
export async function readTools(gate: Gate, entry: ServerEntry, version: string): Promise<ObservedTool[]> {
  const conversation = new Conversation(gate, entry, version);
  try {
    await conversation.begin();
    const tools: ObservedTool[] = [];
    const cursors = new Set<string>();
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const reply = await conversation.request('tools/list', cursor === undefined ? {} : { cursor });
      const list = reply.resultMembers?.get('tools');
      if (list === undefined || reply.bytes[list.start] !== 0x5b) {
        throw unreachable(entry, `its answer to tools/list has no array of tools`);
      }
      for (const item of arrayItems(reply.bytes, list)) {
        if (checkValue(reply.bytes, item) !== undefined) {
          throw unreachable(entry, 'its list has a tool that can be read in two ways (a key stands twice)');
        }
        tools.push({
          bytes: new Uint8Array(reply.bytes.subarray(item.start, item.end)),
          value: readValue(reply.bytes, item),
        });
      }
      const next = reply.resultMembers?.get('nextCursor');
      // Only an absent cursor ends a list; an empty one is a cursor (MCP 2026-07-28, pagination).
      if (next === undefined || reply.bytes[next.start] !== 0x22) return tools;
      cursor = readString(reply.bytes, next);
      if (cursors.has(cursor)) throw unreachable(entry, 'its list of tools comes back to a page that it gave before');
      cursors.add(cursor);
    }
    throw unreachable(entry, `its list of tools has more than ${MAX_PAGES} pages`);
  } finally {
    await conversation.end();
  }
}

class Conversation {
  readonly #gate: Gate;
  readonly #entry: ServerEntry;
  readonly #version: string;
  #nextId = 1;
  #modern = false;
  #session: string | undefined;
  #protocol: string | undefined;

  constructor(gate: Gate, entry: ServerEntry, version: string) {
    this.#gate = gate;
    this.#entry = entry;
    this.#version = version;
  }

  /**
   * Over HTTP a server is asked for the new revision first, as clients do; one that does not know it refuses, and is
   * initialised. To a child the other way round: there are old ones that a `server/discover` ends.
   */
  async begin(): Promise<void> {
    const http = this.#entry.server.transport.kind === 'http';
    if (http && (await this.#discover())) return;
    const reply = await this.#send('initialize', {
      protocolVersion: LEGACY_VERSIONS.at(-1),
      capabilities: {},
      clientInfo: { name: 'gatehouse', version: this.#version },
    });
    if (reply.result === undefined) {
      if (http || !(await this.#discover())) {
        throw unreachable(this.#entry, `initialize failed: ${errorText(reply)}`);
      }
      return;
    }
    const protocol = reply.resultMembers?.get('protocolVersion');
    if (protocol !== undefined && reply.bytes[protocol.start] === 0x22)
      this.#protocol = readString(reply.bytes, protocol);
    await this.#send('notifications/initialized', undefined);
  }

  /** Whether the server speaks the new revision; from then on so does this. */
  async #discover(): Promise<boolean> {
    this.#modern = true;
    let reply = await this.#send('server/discover', {});
    // Revision 2026-07-28: a refusal that names a version that is spoken here asks for that one.
    if (namesModern(reply, reply.errorMembers?.get('data'), 'supported'))
      reply = await this.#send('server/discover', {});
    this.#modern = namesModern(reply, reply.result, 'supportedVersions');
    return this.#modern;
  }

  /** @throws GatehouseError when the answer is an error */
  async request(method: string, params: Record<string, unknown>): Promise<Reply> {
    const reply = await this.#send(method, params);
    if (reply.result === undefined) throw unreachable(this.#entry, `${method} failed: ${errorText(reply)}`);
    return reply;
  }

  async end(): Promise<void> {
    if (this.#session === undefined) return;
    const exchange = new MemoryExchange();
    await endSession(this.#gate, this.#inbound(new Uint8Array(0), 'DELETE'), exchange);
  }

  async #send(method: string, params: Record<string, unknown> | undefined): Promise<Reply> {
    const notification = method.startsWith('notifications/');
    const message: Record<string, unknown> = { jsonrpc: '2.0', method };
    if (!notification) message.id = this.#nextId++;
    if (params !== undefined) message.params = this.#modern ? { ...params, _meta: this.#meta() } : params;
    const exchange = new MemoryExchange();
    await handle(this.#gate, this.#inbound(encoder.encode(JSON.stringify(message)), method), exchange);
    const bytes = await exchange.answered;
    if (exchange.session !== undefined) this.#session = exchange.session;
    if (bytes === undefined) {
      if (notification) return EMPTY;
      throw unreachable(this.#entry, `${method} got no answer`);
    }
    const reply = readReply(bytes);
    if (!reply.ok) throw unreachable(this.#entry, `${method} got an answer that is no message`);
    return reply;
  }

  #inbound(body: Uint8Array, method: string): Parameters<typeof handle>[1] {
    const headers: { -readonly [K in keyof ProtocolHeaders]: ProtocolHeaders[K] } = { params: {} };
    if (this.#modern) {
      headers.version = MODERN_VERSION;
      headers.method = method;
    } else {
      if (this.#session !== undefined) headers.session = this.#session;
      if (this.#protocol !== undefined) headers.version = this.#protocol;
    }
    return { grant: gatehouseGrant(this.#entry), body, headers, source: '' };
  }

  #meta(): Record<string, unknown> {
    return {
      [META.protocolVersion]: MODERN_VERSION,
      [META.clientCapabilities]: {},
      [META.clientInfo]: { name: 'gatehouse', version: this.#version },
    };
  }
}

const EMPTY = readReply(encoder.encode('{"jsonrpc":"2.0","id":0,"result":{}}')) as Reply;

/** Keeps the answer; what comes before it is of no use here. */
class MemoryExchange implements ClientExchange {
  readonly answered: Promise<Uint8Array | undefined>;
  session: string | undefined;
  #resolve: (bytes: Uint8Array | undefined) => void = () => {};

  constructor() {
    this.answered = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  readonly closed = false;
  holdStream(): boolean {
    return true;
  }
  openStream(): void {}
  setSession(id: string): void {
    this.session = id;
  }
  answer(_status: number, message: Uint8Array): void {
    this.#resolve(new Uint8Array(message));
  }
  send(): boolean {
    return true;
  }
  event(): boolean {
    return true;
  }
  accepted(): void {
    this.#resolve(undefined);
  }
  end(): void {
    this.#resolve(undefined);
  }
  onClose(): void {}
  onDrain(): void {}
}

function namesModern(reply: Reply, place: Span | undefined, member: string): boolean {
  const value = place === undefined ? undefined : readValue(reply.bytes, place);
  const versions = (value as Readonly<Record<string, unknown>> | null | undefined)?.[member];
  return Array.isArray(versions) && versions.includes(MODERN_VERSION);
}

function errorText(reply: Reply): string {
  const message = reply.errorMembers?.get('message');
  return message !== undefined && reply.bytes[message.start] === 0x22
    ? readString(reply.bytes, message).slice(0, 500)
    : 'an error without a message';
}

function unreachable(entry: ServerEntry, detail: string): GatehouseError {
  return new GatehouseError('upstream_unreachable', `The tools of ${entry.server.slug} could not be read: ${detail}.`);
}
