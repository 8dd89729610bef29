// What the choke point asks of a transport to an upstream. A transport moves bytes; it judges, edits and remembers nothing.
import type { Message } from '@gatehouse/wire';
import type { ServerEntry } from '../model.ts';

/** How a message arrived that the upstream sent: its place in an event stream, where it has one. */
export interface EventMeta {
  id?: string;
  event?: string;
  retry?: number;
}

/** Why an exchange with an upstream ended without its answer. */
export interface UpstreamFailure {
  /**
   * False: no byte was handed to a connected socket or to a child's stdin, so that the reservation is released
   * (spec: policy §5). True: everything may have happened.
   */
  handedOver: boolean;
  /**
   * Nothing can run any more of what was handed over, for its process is gone; or the promise of that moment. Absent:
   * nobody can know.
   */
  gone?: true | Promise<unknown>;
  /** Plain words: what failed and what to do. Shown to agents: holds no secret and no address. */
  message: string;
}

/** Receives what comes back for one exchange. Exactly one of `onEnd` and `onFailure` comes last. */
export interface UpstreamSink {
  /** A byte of the message is about to be handed over. */
  onHandedOver(): void;
  /**
   * Status of an HTTP upstream and its session id, if it named one. stdio calls it only for `listen`.
   * @param stream an event stream follows
   */
  onHead(status: number, session: string | undefined, stream: boolean): void;
  /**
   * One JSON-RPC message. False: pause until `resume` of the exchange is called.
   * @param meta given when it arrived in a stream, so that more may follow
   */
  onMessage(bytes: Uint8Array, meta: EventMeta | undefined): boolean;
  /**
   * A stream's event without data (priming, retry hints) or a comment is passed on, so that the client sees life.
   * False: pause, as for a message; an upstream can send these without end as well.
   */
  onEvent(meta: EventMeta): boolean;
  onEnd(): void;
  onFailure(failure: UpstreamFailure): void;
}

/** One exchange under way. */
export interface UpstreamExchange {
  /** Raw id under which a shared child knows the request; absent where leaving the exchange is the cancellation. */
  readonly sharedId?: string;
  resume(): void;
  /** Gives up; no sink method is called afterwards. */
  abort(): void;
}

/** How the lane of a session begins; it belongs to one child or stream, which its `initialize` starts. */
export const SESSION_LANE = 'session:';

export function sessionLane(grantId: string, id: string): string {
  return `${SESSION_LANE}${grantId}:${id}`;
}

/** Id of the grant that a lane belongs to: `session:<grant>:<id>` or `grant:<grant>`. */
export function grantOfLane(lane: string): string {
  return lane.split(':', 2)[1] ?? '';
}

/** Whether sessions of this server live in this process: in a child, or in the stream of HTTP+SSE. */
export function hasLanes(entry: ServerEntry): boolean {
  return entry.server.transport.kind !== 'http';
}

/** A message on its way to the upstream, as it was judged and edited. */
export interface OutgoingMessage {
  message: Message;
  /** Protocol headers of the client that go on (HTTP only), already checked against the body. */
  headers: Readonly<Record<string, string>>;
  /** The upstream's own session id. */
  session: string | undefined;
  /** Which child or stream speaks for this message (stdio and HTTP+SSE): the session's, or the grant's. */
  lane: string;
  /** The gateway wrote it, with ids as the upstream knows them. */
  own?: true;
}

export interface Upstream {
  /** Whether the lane of a session can still be spoken to; always true where sessions live upstream. */
  knows(lane: string): boolean;
  send(message: OutgoingMessage, sink: UpstreamSink): UpstreamExchange;
  /** Opens the stream of messages that belong to no request (GET of streamable HTTP). */
  listen(
    session: string | undefined,
    lane: string,
    headers: Readonly<Record<string, string>>,
    sink: UpstreamSink,
  ): UpstreamExchange;
  /** Ends a session; resolves when the upstream answered or could not be reached. */
  endSession(session: string | undefined, lane: string): Promise<void>;
  /** For people: `idle`, `ok`, or what is wrong. */
  state(): string;
  close(): Promise<void>;
}
