// HTTP+SSE of revision 2024-11-05 for old clients (spec: gateway §2): a stream that brings all answers, and POSTs to an
// address that the stream began with. What is posted passes the same choke point as on the proxy URL (P1).
import type { GrantEntry } from '../model.ts';
import { CODE, errorAnswer, TOO_MANY_STREAMS } from './answers.ts';
import type { ClientExchange } from './exchange.ts';
import type { Gate, Inbound } from './gate.ts';
import { recordRefusal } from './records.ts';
import { recorded } from './session-requests.ts';
import { SseSession } from './sse-session.ts';

/** The client's end of a stream. */
export interface ClientStream {
  readonly exchange: ClientExchange;
  /** Bytes that wait for the client to read. */
  unread(): number;
  /**
   * Ends the stream within a second once `holds` says false, or the grant holds no more.
   * @param drain called when the gateway stops: ends the stream after the answers under way
   */
  watch(holds: () => boolean, drain: () => void): void;
  end(): void;
}

export class SseSessions {
  readonly #gate: Gate;
  readonly #basePath: string;
  /** By lane. */
  readonly #open = new Map<string, SseSession>();
  readonly #ending = new Set<Promise<void>>();

  /** @param basePath of the public URL, without a slash at its end: a proxy before the gateway may take it off */
  constructor(gate: Gate, basePath: string) {
    this.#gate = gate;
    this.#basePath = basePath;
  }

  /** GET of `/mcp/<server>/sse`. */
  async open(inbound: Inbound, stream: ClientStream): Promise<void> {
    const gate = this.#gate;
    const { grant } = inbound;
    const { exchange } = stream;
    if (!exchange.holdStream()) {
      await recordRefusal(gate, inbound, gate.newRequestId(), '(streams)', TOO_MANY_STREAMS, { method: 'GET' });
      exchange.answer(429, errorAnswer(undefined, CODE.unavailable, TOO_MANY_STREAMS));
      return;
    }
    if (!(await recorded(gate, inbound, undefined, 'GET'))) {
      exchange.end(503);
      return;
    }
    if (exchange.closed) return;
    const { server } = grant.entry;
    const sealed = gate.sseAddresses.seal({
      lane: `sse:${gate.newRequestId()}`,
      grant: grant.id,
      identity: grant.identityId,
      server: server.id,
      revision: server.revision,
    });
    const session = new SseSession(gate, inbound, stream);
    this.#open.set(sealed.lane, session);
    exchange.onClose(() => {
      this.#open.delete(sealed.lane);
      const ending = session.closed();
      this.#ending.add(ending);
      void ending.then(() => this.#ending.delete(ending));
    });
    exchange.openStream();
    stream.watch(
      () => {
        const now = gate.directory.grant(grant.id);
        return now !== undefined && gate.sseAddresses.open(sealed.id, now, true) !== undefined;
      },
      () => session.drain(),
    );
    exchange.send(Buffer.from(`${this.#basePath}/mcp/${server.slug}/message?s=${sealed.id}`), { event: 'endpoint' });
  }

  /** Resolves when the sessions are ended whose streams have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#ending);
  }

  /**
   * POST of `/mcp/<server>/message?s=<sealed>`.
   * @param sealed as the client gave it; undefined: none, or several
   */
  async take(sealed: string | undefined, inbound: Inbound, post: ClientExchange): Promise<void> {
    const session = sealed === undefined ? undefined : this.#find(sealed, inbound.grant);
    if (session !== undefined) {
      await session.take(inbound, post);
      return;
    }
    const gate = this.#gate;
    const message = 'This stream is not known. Open a new one with GET at the /sse address of the server.';
    await recordRefusal(gate, inbound, gate.newRequestId(), '(session)', message, {});
    post.answer(404, errorAnswer(undefined, -32001, message));
  }

  /** Unknown, foreign, expired and ended ones are all the same (spec: gateway §4, sessions). */
  #find(sealed: string, grant: GrantEntry): SseSession | undefined {
    const opened = this.#gate.sseAddresses.open(sealed, grant, true);
    return opened === undefined ? undefined : this.#open.get(opened.lane);
  }
}
