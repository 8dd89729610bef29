// The transports that are open: one per server and revision. A changed server gets a new one; the old one ends.
import type { ServerEntry, Transport } from '../model.ts';
import { HttpUpstream, type HttpUpstreamOptions } from './http.ts';
import { SseUpstream } from './sse.ts';
import { StdioUpstream, type StdioUpstreamOptions } from './stdio.ts';
import type { Upstream } from './upstream.ts';

export class Upstreams {
  readonly #options: HttpUpstreamOptions & StdioUpstreamOptions;
  readonly #open = new Map<string, { revision: number; upstream: Upstream }>();

  constructor(options: HttpUpstreamOptions & StdioUpstreamOptions) {
    this.#options = options;
  }

  /** The transport of this revision of the server; opened when it is first used. */
  of(entry: ServerEntry): Upstream {
    const { id, revision, transport } = entry.server;
    const known = this.#open.get(id);
    if (known?.revision === revision) return known.upstream;
    const upstream = this.#make(transport.kind, entry);
    this.#open.set(id, { revision, upstream });
    if (known !== undefined) void known.upstream.close();
    return upstream;
  }

  #make(kind: Transport['kind'], entry: ServerEntry): Upstream {
    switch (kind) {
      case 'http':
        return new HttpUpstream(entry, this.#options);
      case 'sse':
        return new SseUpstream(entry, this.#options);
      case 'stdio':
        return new StdioUpstream(entry, this.#options);
    }
  }

  state(serverId: string): string {
    return this.#open.get(serverId)?.upstream.state() ?? 'idle';
  }

  /** Ends the transports of servers that are no more. */
  keep(serverIds: ReadonlySet<string>): void {
    for (const [id, { upstream }] of this.#open) {
      if (serverIds.has(id)) continue;
      this.#open.delete(id);
      void upstream.close();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ upstream }) => upstream.close()));
    this.#open.clear();
  }
}
