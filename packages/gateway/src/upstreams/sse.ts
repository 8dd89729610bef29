// HTTP+SSE upstreams (revision 2024-11-05): a session lives in its stream as it lives in a child of a stdio server, so
// lanes, caps, idle times and back-offs are the same (stdio.ts).
import { Http1Pool } from '@gatehouse/net';
import type { ServerEntry } from '../model.ts';
import { type HttpUpstreamOptions, POOL_OPTIONS, requestHeaders } from './http.ts';
import type { Connector } from './peer.ts';
import { openSsePeer, type SseServer } from './sse-peer.ts';
import { StdioUpstream, type StdioUpstreamOptions } from './stdio.ts';

export type SseUpstreamOptions = HttpUpstreamOptions & StdioUpstreamOptions;

export class SseUpstream extends StdioUpstream {
  readonly #pool: Http1Pool;

  constructor(entry: ServerEntry, options: SseUpstreamOptions) {
    const { transport, slug } = entry.server;
    if (transport.kind !== 'sse') throw new TypeError('not a server with an HTTP+SSE transport');
    const url = new URL(transport.url);
    const pool = new Http1Pool(url.origin, POOL_OPTIONS);
    super(
      entry,
      options,
      connector({
        pool,
        url,
        headers: requestHeaders(entry, options),
        options,
        log: (event, detail) => options.log(event, { server: slug, ...detail }),
      }),
    );
    this.#pool = pool;
  }

  override async close(): Promise<void> {
    await super.close();
    this.#pool.destroy();
  }
}

function connector(server: SseServer): Connector {
  return {
    start: (onMessage) => openSsePeer(server, onMessage),
    // A call may run on at a server that can no longer say what came of it.
    endsWork: false,
    words: {
      lanes: 'sessions open',
      notMade: (why) => `could not be used: ${why}`,
      event: 'event stream',
      ended: 'The server’s event stream ended before it answered.',
      gone: 'its event stream has ended',
      why: (how) => how,
    },
  };
}
