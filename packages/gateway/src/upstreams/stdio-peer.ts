// A child process as the peer of a lane: one line a message, both ways.
import { flattenNewlines, StdioChild, type StdioChildOptions } from '@gatehouse/net';
import type { ServerEntry } from '../model.ts';
import type { Connector, Delivery, Peer, Started } from './peer.ts';
import type { StdioUpstreamOptions } from './stdio-lane.ts';

const STOP = { termAfterMs: 1_000, killAfterMs: 3_000 };

export function childConnector(entry: ServerEntry, options: StdioUpstreamOptions): Connector {
  const { transport, slug } = entry.server;
  if (transport.kind !== 'stdio') throw new TypeError('not a server with a stdio transport');
  return {
    endsWork: true,
    words: {
      lanes: 'processes running',
      notMade: () => 'could not be started',
      event: 'child',
      ended: 'The server’s process ended before it answered.',
      gone: 'its process has ended',
      why: (how) => `its process ended (${how})`,
    },
    async start(onMessage): Promise<Started> {
      const settings: StdioChildOptions = {
        command: transport.command,
        args: transport.args,
        env: { ...transport.environment, ...entry.credentialEnvironment },
        maxLineBytes: options.maxResult,
        onLine: onMessage,
        onOversize: () => options.log('oversized line', { server: slug, limit: options.maxResult }),
      };
      if (transport.cwd !== undefined) settings.cwd = transport.cwd;
      const started = await StdioChild.start(settings);
      return started.ok
        ? { ok: true, peer: new ChildPeer(started.child) }
        : { ok: false, reason: started.error.message };
    },
  };
}

class ChildPeer implements Peer {
  readonly ended: Promise<string>;
  readonly #child: StdioChild;

  constructor(child: StdioChild) {
    this.#child = child;
    this.ended = child.exited.then((status) => status.signal ?? `code ${status.code}`);
  }

  write(message: Uint8Array, delivery: Delivery): undefined {
    const result = this.#child.write(flattenNewlines(message));
    if (result.written) {
      delivery.onHandedOver();
      delivery.onTaken();
    } else {
      delivery.onFailed(result.reason ?? 'its process does not take it', false);
    }
  }

  pause(): void {
    this.#child.pause();
  }

  resume(): void {
    this.#child.resume();
  }

  stderrLines(): string[] {
    return this.#child.stderrLines();
  }

  stop(): Promise<unknown> {
    return this.#child.stop(STOP);
  }
}
