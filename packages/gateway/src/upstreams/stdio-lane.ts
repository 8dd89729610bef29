// One child of a stdio server: one per session, or per grant where the protocol has no sessions. It is shared by whatever
// calls are under way in its lane, so ids and progress tokens are mapped on the way.
import { flattenNewlines, StdioChild, type StdioChildOptions } from '@gatehouse/net';
import {
  META,
  type Message,
  readReply,
  readString,
  replaceCancelledId,
  replaceId,
  replaceProgressToken,
  replaceSubscriptionId,
  type Span,
} from '@gatehouse/wire';
import type { ServerEntry } from '../model.ts';
import type { OutgoingMessage, UpstreamExchange, UpstreamSink } from './upstream.ts';

export interface StdioUpstreamOptions {
  /** Largest line of a child, in bytes. */
  maxResult: number;
  /** Milliseconds of a clock that never steps: idle times and back-offs follow it. */
  monotonic: () => number;
  /** Gets each line that is no JSON-RPC message, and the end of each child; for the program log. */
  log: (event: string, detail: Record<string, unknown>) => void;
}

/** Messages that belong to no call and have no stream to go to; older ones are dropped. */
const MAX_BACKLOG = 256;
const MAX_BACKLOG_BYTES = 1024 * 1024;
const STOP = { termAfterMs: 1_000, killAfterMs: 3_000 };

interface Pending {
  /** Raw id as the client wrote it. */
  id: Uint8Array;
  idKey: string;
  progressToken: Uint8Array | undefined;
  sink: UpstreamSink;
}

export const IDLE_EXCHANGE: UpstreamExchange = { resume() {}, abort() {} };

/** One child and the calls under way on it. */
export class Lane {
  readonly #options: StdioUpstreamOptions;
  readonly #slug: string;
  readonly #idleMs: number;
  readonly #report: (ok: boolean, why?: string) => void;
  readonly #pending = new Map<number, Pending>();
  /** What waits for the child to start, in order. */
  #waiting: (() => void)[] | undefined = [];
  #child: StdioChild | undefined;
  #listener: UpstreamSink | undefined;
  #backlog: Uint8Array[] = [];
  #backlogBytes = 0;
  #nextId = 1;
  #usedAt = 0;
  #idle: NodeJS.Timeout | undefined;
  #ended: string | undefined;

  constructor(entry: ServerEntry, options: StdioUpstreamOptions, report: (ok: boolean, why?: string) => void) {
    this.#options = options;
    this.#slug = entry.server.slug;
    this.#idleMs = entry.server.settings.children.idleSeconds * 1000;
    this.#report = report;
    const transport = entry.server.transport;
    if (transport.kind !== 'stdio') throw new TypeError('not a server with a stdio transport');
    const settings: StdioChildOptions = {
      command: transport.command,
      args: transport.args,
      env: { ...transport.environment, ...entry.credentialEnvironment },
      maxLineBytes: options.maxResult,
      onLine: (line) => {
        try {
          this.#onLine(line);
        } catch (error) {
          // A line of one child must not end the process of all.
          options.log('line not passed on', { server: this.#slug, error: String(error) });
        }
      },
      onOversize: () => options.log('oversized line', { server: this.#slug, limit: options.maxResult }),
    };
    if (transport.cwd !== undefined) settings.cwd = transport.cwd;
    void this.#start(settings);
    this.#touch();
  }

  async #start(settings: StdioChildOptions): Promise<void> {
    const started = await StdioChild.start(settings);
    if (!started.ok) {
      this.#options.log('child not started', { server: this.#slug, error: started.error.message });
      this.#end('The server could not be started.', started.error.message);
      return;
    }
    const child = started.child;
    this.#child = child;
    if (this.#ended !== undefined) {
      await child.stop(STOP);
      return;
    }
    void child.exited.then((status) => {
      const how = status.signal ?? `code ${status.code}`;
      // One that was told to end is no news.
      if (this.#ended === undefined) {
        this.#options.log('child ended', { server: this.#slug, how, stderr: child.stderrLines().slice(-5) });
      }
      this.#end('The server’s process ended before it answered.', `its process ended (${how})`, true);
    });
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const write of waiting) write();
  }

  send(outgoing: OutgoingMessage, sink: UpstreamSink): UpstreamExchange {
    this.#touch();
    let bytes = outgoing.message.bytes;
    let key: number | undefined;
    if (outgoing.message.kind === 'request') {
      key = this.#nextId++;
      bytes = this.#mapRequest(outgoing.message, key, sink);
    } else if (outgoing.message.method === 'notifications/cancelled') {
      const mapped = this.#mapCancelled(outgoing.message);
      if (mapped === undefined) {
        // The call is over: its child has nothing to cancel.
        queueMicrotask(() => sink.onEnd());
        return IDLE_EXCHANGE;
      }
      bytes = mapped;
    }
    const write = (): void => {
      if (key !== undefined && !this.#pending.has(key)) return;
      const result = this.#ended === undefined ? this.#child?.write(flattenNewlines(bytes)) : undefined;
      if (result?.written === true) {
        sink.onHandedOver();
        // Only requests are answered.
        if (key === undefined) sink.onEnd();
        return;
      }
      if (key !== undefined) this.#pending.delete(key);
      sink.onFailure({
        handedOver: false,
        message: `The server could not be used: ${result?.reason ?? this.#ended ?? 'its process has ended'}.`,
      });
    };
    if (this.#waiting !== undefined) this.#waiting.push(write);
    else queueMicrotask(write);
    return {
      resume: () => this.#child?.resume(),
      abort: () => {
        if (key !== undefined) this.#pending.delete(key);
        // Whoever paused the child for this call is gone.
        this.#child?.resume();
        this.#touch();
      },
    };
  }

  listen(sink: UpstreamSink): UpstreamExchange {
    this.#touch();
    // One stream a session (spec: gateway §4, streams); a newer one takes over, as a client that reconnects needs.
    this.#listener?.onEnd();
    this.#listener = sink;
    const backlog = this.#backlog;
    this.#backlog = [];
    this.#backlogBytes = 0;
    queueMicrotask(() => {
      sink.onHead(200, undefined, true);
      sink.onEvent({});
      for (const bytes of backlog) sink.onMessage(bytes, {});
    });
    return {
      resume: () => this.#child?.resume(),
      abort: () => {
        if (this.#listener === sink) this.#listener = undefined;
        this.#child?.resume();
        this.#touch();
      },
    };
  }

  /** Calls are under way. */
  get busy(): boolean {
    return this.#pending.size > 0;
  }

  /** When it was last used, in milliseconds of the monotonic clock. */
  get usedAt(): number {
    return this.#usedAt;
  }

  /** Milliseconds since it was last used; 0 while a call or a stream is under way. */
  aloneFor(now: number): number {
    return this.#pending.size > 0 || this.#listener !== undefined ? 0 : now - this.#usedAt;
  }

  stderr(): string[] {
    return this.#child?.stderrLines() ?? [];
  }

  async stop(): Promise<void> {
    this.#end('The session has ended.');
    await this.#child?.stop(STOP);
  }

  #mapRequest(message: Message, key: number, sink: UpstreamSink): Uint8Array {
    const { bytes, idSpan } = message;
    if (idSpan === undefined || message.idKey === undefined) throw new TypeError('a request without an id');
    const tokenSpan = message.meta?.get('progressToken');
    const raw = String(key);
    const mapped = replaceId(message, raw);
    const edited = tokenSpan === undefined ? mapped : replaceProgressToken(mapped, raw);
    // Only now: an edit that is refused must leave nothing that waits for an answer.
    this.#pending.set(key, {
      id: copyOf(bytes, idSpan),
      idKey: message.idKey,
      progressToken: tokenSpan && copyOf(bytes, tokenSpan),
      sink,
    });
    return edited.bytes;
  }

  #mapCancelled(message: Message): Uint8Array | undefined {
    const span = message.params?.get('requestId');
    if (span === undefined) return undefined;
    const raw = Buffer.from(message.bytes.subarray(span.start, span.end));
    const keys = [...this.#pending].filter(([, pending]) => raw.equals(pending.id)).map(([key]) => key);
    // Where a lane is shared, two calls may have one id: whose call ends would be a guess.
    return keys.length === 1 ? replaceCancelledId(message, String(keys[0])).bytes : undefined;
  }

  #onLine(line: Uint8Array): void {
    // A copy: the line is a view of what the child wrote, and what comes of it may wait.
    const reply = readReply(new Uint8Array(line));
    if (!reply.ok) {
      this.#options.log('line is no message', { server: this.#slug, reason: reply.reason });
      return;
    }
    if (reply.kind === 'response') {
      const key = reply.idKey?.startsWith('n:') ? Number(reply.idKey.slice(2)) : Number.NaN;
      const pending = this.#pending.get(key);
      // An answer to nothing that was asked, or a second one: dropped (spec: gateway §4, bodies).
      if (pending === undefined) return;
      this.#pending.delete(key);
      this.#report(true);
      this.#touch();
      const answer = replaceId(reply, pending.id);
      const subscribed = reply.resultMeta?.has(META.subscriptionId) === true;
      pending.sink.onMessage((subscribed ? replaceSubscriptionId(answer, pending.id) : answer).bytes, undefined);
      pending.sink.onEnd();
      return;
    }
    if (reply.method === 'notifications/progress') {
      const span = reply.params?.get('progressToken');
      const pending = span === undefined ? undefined : this.#pending.get(Number(text(reply, span)));
      if (pending?.progressToken === undefined) return;
      this.#deliver(pending.sink, replaceProgressToken(reply, pending.progressToken).bytes);
      return;
    }
    const subscription = reply.meta?.get(META.subscriptionId);
    if (subscription !== undefined) {
      // The id of the request that subscribed, which its client chose (revision 2026-07-28).
      const pending = this.#pending.get(Number(text(reply, subscription)));
      if (pending !== undefined) this.#deliver(pending.sink, replaceSubscriptionId(reply, pending.id).bytes);
      return;
    }
    const related = this.#listener ?? [...this.#pending.values()].at(-1)?.sink;
    if (related !== undefined) this.#deliver(related, reply.bytes);
    else {
      this.#keep(reply.bytes);
    }
  }

  #keep(bytes: Uint8Array): void {
    this.#backlog.push(bytes);
    this.#backlogBytes += bytes.length;
    while (this.#backlog.length > MAX_BACKLOG || this.#backlogBytes > MAX_BACKLOG_BYTES) {
      this.#backlogBytes -= this.#backlog.shift()?.length ?? 0;
    }
  }

  #deliver(sink: UpstreamSink, bytes: Uint8Array): void {
    if (!sink.onMessage(bytes, {})) this.#child?.pause();
  }

  #end(message: string, why?: string, exited = false): void {
    if (this.#ended !== undefined) return;
    this.#ended = message;
    clearTimeout(this.#idle);
    this.#report(false, why);
    const handedOver = this.#waiting === undefined;
    this.#waiting = undefined;
    // One that was told to end may run until it is gone.
    const gone = exited || this.#child?.exited;
    for (const pending of this.#pending.values()) {
      pending.sink.onFailure({ handedOver, message, ...(gone === undefined ? {} : { gone }) });
    }
    this.#pending.clear();
    this.#listener?.onEnd();
    this.#listener = undefined;
  }

  /** A child without calls and without a stream is ended after its idle time. */
  #touch(): void {
    this.#usedAt = this.#options.monotonic();
    this.#idle ??= setTimeout(() => {
      if (this.#pending.size > 0 || this.#listener !== undefined) {
        this.#idle?.refresh();
        return;
      }
      void this.stop();
    }, this.#idleMs);
    this.#idle.refresh();
  }
}

/** Not `slice`, which is a view where the bytes are a Buffer. */
function copyOf(bytes: Uint8Array, span: Span): Uint8Array {
  return new Uint8Array(bytes.subarray(span.start, span.end));
}

function text(message: Pick<Message, 'bytes'>, span: Span): string {
  return message.bytes[span.start] === 0x22
    ? readString(message.bytes, span)
    : Buffer.from(message.bytes.subarray(span.start, span.end)).toString('latin1');
}
