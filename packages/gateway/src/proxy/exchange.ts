// Where the answers to one client message go. The choke point speaks to this, not to HTTP or to a pipe.
import type { EventMeta } from '../upstreams/upstream.ts';

export interface ClientExchange {
  /** The client can no longer be reached. */
  readonly closed: boolean;
  /** Opens the stream before its first message is there, so that the client sees the head at once. */
  openStream(): void;
  /**
   * Asks for a place among the streams without an end that the client's grant may hold; it has it until it is gone.
   * False: it holds as many as it may.
   */
  holdStream(): boolean;
  /** The id of the session that this answer opens; before anything is written. */
  setSession(id: string): void;
  /**
   * The final answer: one JSON-RPC message.
   * @param status HTTP status, where there is one and nothing was written yet
   * @param meta its place in the upstream's stream, when it arrived in one
   */
  answer(status: number, message: Uint8Array, meta?: EventMeta): void;
  /** A message before the answer, or on a stream without one. False: hold back until `onDrain`. */
  send(message: Uint8Array, meta: EventMeta): boolean;
  /** An event without a message, such as a priming event or a retry hint. False as for `send`. */
  event(meta: EventMeta): boolean;
  /** A notification or a response was taken (202). */
  accepted(): void;
  /** Ends without a message: a status alone, or the end of a stream. */
  end(status: number): void;
  /** Calls the listener once the client can no longer be reached; at once if that is so already. */
  onClose(listener: () => void): void;
  /** Calls the listener once, after a `send` that said false. */
  onDrain(listener: () => void): void;
}

/** The protocol headers of a message; stdio has none. */
export interface ProtocolHeaders {
  session?: string;
  version?: string;
  method?: string;
  name?: string;
  /** `mcp-param-*`, lower-cased names, as given. */
  params: Readonly<Record<string, string>>;
  lastEventId?: string;
}

export const NO_HEADERS: ProtocolHeaders = { params: {} };
