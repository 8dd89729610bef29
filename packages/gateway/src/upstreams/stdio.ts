// stdio upstreams (spec: gateway §4): which child speaks for a message, and how many there may be.
import { Backoff } from '@gatehouse/net';
import type { ServerEntry } from '../model.ts';
import type { Connector } from './peer.ts';
import { IDLE_EXCHANGE, Lane, type StdioUpstreamOptions } from './stdio-lane.ts';
import { childConnector } from './stdio-peer.ts';
import {
  grantOfLane,
  type OutgoingMessage,
  SESSION_LANE,
  type Upstream,
  type UpstreamExchange,
  type UpstreamSink,
} from './upstream.ts';

export type { StdioUpstreamOptions };

/** A child without calls and without a stream for this long gives way when the cap is reached. */
const LEFT_ALONE_MS = 30_000;
/** A grant that found no room is given the next place, if it asks again within this. */
const WAITING_MS = 30_000;

export class StdioUpstream implements Upstream {
  readonly #entry: ServerEntry;
  readonly #options: StdioUpstreamOptions;
  readonly #connector: Connector;
  readonly #lanes = new Map<string, Lane>();
  readonly #backoff = new Backoff();
  #retryAt = 0;
  /** Grants that found no room, and until when they are waited for. */
  readonly #waiting = new Map<string, number>();
  #state = 'idle';
  #closed = false;

  /** @param connector what lanes speak through; default: a child each */
  constructor(entry: ServerEntry, options: StdioUpstreamOptions, connector = childConnector(entry, options)) {
    this.#entry = entry;
    this.#options = options;
    this.#connector = connector;
  }

  /** Whether this process has a child for the lane: a session names its child, and no other child can go on for it. */
  knows(lane: string): boolean {
    return this.#lanes.has(lane);
  }

  send(message: OutgoingMessage, sink: UpstreamSink): UpstreamExchange {
    // A session lives and dies with its child: only its `initialize` starts one, or a message that was under way when
    // the session ended would wake it, with a child that nobody initialised.
    const opens = message.lane.startsWith(SESSION_LANE) ? message.message.method === 'initialize' : true;
    const lane = opens ? this.#lane(message.lane) : (this.#lanes.get(message.lane) ?? 'The session has ended.');
    if (typeof lane === 'string') {
      queueMicrotask(() => sink.onFailure({ handedOver: false, message: lane }));
      return IDLE_EXCHANGE;
    }
    if (this.#waiting.size > 0 && this.#givesWay(message.lane, lane)) {
      const yielded = 'The session has ended, since another grant waits for its place. Try again.';
      queueMicrotask(() => sink.onFailure({ handedOver: false, message: yielded }));
      return IDLE_EXCHANGE;
    }
    return lane.send(message, sink);
  }

  listen(
    _session: string | undefined,
    laneId: string,
    _headers: Readonly<Record<string, string>>,
    sink: UpstreamSink,
  ): UpstreamExchange {
    const lane = this.#lanes.get(laneId);
    if (lane === undefined) {
      queueMicrotask(() => sink.onFailure({ handedOver: false, message: 'The session has ended.' }));
      return IDLE_EXCHANGE;
    }
    return lane.listen(sink);
  }

  async endSession(_session: string | undefined, laneId: string): Promise<void> {
    const lane = this.#lanes.get(laneId);
    this.#lanes.delete(laneId);
    await lane?.stop();
  }

  state(): string {
    return this.#state;
  }

  /** The last lines of standard error of all children, oldest first. */
  stderr(): string[] {
    return [...this.#lanes.values()].flatMap((lane) => lane.stderr());
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#lanes.values()].map((lane) => lane.stop()));
    this.#lanes.clear();
  }

  #lane(id: string): Lane | string {
    const known = this.#lanes.get(id);
    if (known !== undefined) return known;
    if (this.#closed) return 'The gateway is stopping.';
    const { settings, slug } = this.#entry.server;
    const { words } = this.#connector;
    if (!this.#hasRoom(grantOfLane(id), settings.children.max)) {
      return `The server ${slug} has ${settings.children.max} ${words.lanes} or promised to others, which is its limit. Try again later.`;
    }
    const now = this.#options.monotonic();
    if (now < this.#retryAt) {
      return `The server ${slug} ${words.notMade(this.#state)}; it is tried again in ${Math.ceil((this.#retryAt - now) / 1000)} s.`;
    }
    const lane = new Lane(this.#entry, this.#options, this.#connector, (ok, why) => {
      if (ok) {
        this.#state = 'ok';
        this.#backoff.reset();
        return;
      }
      if (this.#lanes.get(id) === lane) this.#lanes.delete(id);
      if (why !== undefined) {
        this.#state = why;
        this.#retryAt = this.#options.monotonic() + this.#backoff.failed(0);
      }
    });
    this.#lanes.set(id, lane);
    this.#waiting.delete(grantOfLane(id));
    return lane;
  }

  /** Makes room for a child of this grant, or has the grant wait for it. */
  #hasRoom(grant: string, max: number): boolean {
    const now = this.#options.monotonic();
    const free = max - this.#lanes.size;
    const before = [...this.#waitingFor(grant, now)].length;
    if (free > before || (free <= 0 && (this.#endLeftAlone(now) || this.#endOfGreediest(grant)))) return true;
    this.#waiting.set(grant, now + WAITING_MS);
    return false;
  }

  /** Ends the child that was left alone for longest, if one was for long enough: most likely its client is gone. */
  #endLeftAlone(now: number): boolean {
    const [longest] = [...this.#lanes].sort(([, a], [, b]) => b.aloneFor(now) - a.aloneFor(now));
    if (longest === undefined || longest[1].aloneFor(now) < LEFT_ALONE_MS) return false;
    this.#stop(...longest);
    return true;
  }

  /** Ends a child without calls of the grant that has the most, if that still leaves it no fewer than the other. */
  #endOfGreediest(grant: string): boolean {
    const greediest = Math.max(...[...this.#lanes.keys()].map((id) => this.#childrenOf(grantOfLane(id))));
    if (greediest < this.#childrenOf(grant) + 2) return false;
    const [longest] = [...this.#lanes]
      .filter(([id, lane]) => !lane.busy && this.#childrenOf(grantOfLane(id)) === greediest)
      .sort(([, a], [, b]) => a.usedAt - b.usedAt);
    if (longest === undefined) return false;
    this.#stop(...longest);
    return true;
  }

  /** Whether a child that has no call under way ends, instead of taking the next one, for a grant that waits. */
  #givesWay(id: string, lane: Lane): boolean {
    const grant = grantOfLane(id);
    if (lane.busy || this.#lanes.size < this.#entry.server.settings.children.max) return false;
    const own = this.#childrenOf(grant);
    for (const other of this.#waitingFor(grant, this.#options.monotonic())) {
      if (own < this.#childrenOf(other) + 2) continue;
      this.#stop(id, lane);
      return true;
    }
    return false;
  }

  /** Grants that wait for a place and come before this one, since they have fewer. */
  *#waitingFor(grant: string, now: number): Generator<string> {
    for (const [other, until] of this.#waiting) {
      if (now >= until) this.#waiting.delete(other);
      else if (other !== grant && this.#childrenOf(other) < this.#childrenOf(grant)) yield other;
    }
  }

  #childrenOf(grant: string): number {
    let count = 0;
    for (const id of this.#lanes.keys()) if (grantOfLane(id) === grant) count += 1;
    return count;
  }

  #stop(id: string, lane: Lane): void {
    this.#lanes.delete(id);
    void lane.stop();
  }
}
