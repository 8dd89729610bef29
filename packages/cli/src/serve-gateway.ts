// A gateway that runs until it is told to stop: the part that `serve` and `start` share.
import { rmSync } from 'node:fs';
import type { Gateway } from '@gatehouse/gateway';
import type { Context, GlobalOptions } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { writePrivateJson } from './server-file.ts';

export interface ServeOptions extends GlobalOptions {
  host?: string;
  port?: string;
  /** Written when the gateway is ready, mode 600; removed when it stops in order. */
  readyFile?: string;
}

/** What the ready file says. */
export interface ReadyFile {
  console: string;
  api: string;
  servers: { slug: string; url: string; token?: string }[];
  admin: { token: string };
}

interface Status {
  servers: { slug: string; url: string; state: string }[];
}

export interface Prepared {
  /** Tokens by server, for the ready file. */
  tokens: Readonly<Record<string, string | undefined>>;
  /** Says more to a person, after the addresses; not called with --json. */
  announce: () => void;
}

/** Called when the gateway listens and before it is called ready. */
export type Prepare = (
  gateway: Gateway,
  place: { /** The data folder. */ data: string; proxyUrl: (slug: string) => string },
) => Promise<Prepared>;

/**
 * Opens the gateway, listens, says where (standard output, `<data>/server.json`, the ready file), and closes it on a signal.
 * @throws GatehouseError for settings, keys, locks and ports that do not allow it
 */
export async function serveGateway(context: Context, options: ServeOptions, prepare?: Prepare): Promise<ExitCode> {
  const { loadSettings, openGateway } = await context.gateway();
  const { config, data, host, port, readyFile } = options;
  const { settings } = loadSettings({
    ...(config === undefined ? {} : { file: config }),
    env: context.env,
    flags: { data, host, port },
  });
  // Whoever waits for this file must not find the one of an earlier run.
  if (readyFile !== undefined) rmSync(readyFile, { force: true });
  let ready: ReadyFile | undefined;
  const gateway = await openGateway(settings, {
    env: context.env,
    onAdminToken: (token) => {
      if (ready === undefined || readyFile === undefined) return;
      ready = { ...ready, admin: { token } };
      writePrivateJson(readyFile, ready);
    },
  });
  try {
    const { console: page, api, proxyUrl } = await gateway.listen();
    const prepared = await prepare?.(gateway, { data: settings.data, proxyUrl });
    const tokens = prepared?.tokens ?? {};
    const servers = await statusOf(gateway);
    ready = {
      console: page,
      api,
      servers: servers.map(({ slug, url }) => ({
        slug,
        url,
        ...(tokens[slug] === undefined ? {} : { token: tokens[slug] }),
      })),
      admin: { token: gateway.adminToken },
    };
    if (readyFile !== undefined) writePrivateJson(readyFile, ready);
    announce(context, settings.data, ready);
    if (!context.out.isJson) prepared?.announce();
    await aborted(context.signal);
  } finally {
    if (readyFile !== undefined) rmSync(readyFile, { force: true });
    await gateway.close();
  }
  return EXIT.ok;
}

async function statusOf(gateway: Gateway): Promise<Status['servers']> {
  const answer = await gateway.api.request('/api/v1/status', {
    headers: { authorization: `Bearer ${gateway.adminToken}` },
  });
  if (!answer.ok) throw new Error(`The gateway's own API answered ${answer.status}.`);
  return ((await answer.json()) as Status).servers;
}

function announce({ out }: Context, data: string, ready: ReadyFile): void {
  const { console: address, api } = ready;
  const servers = ready.servers.map(({ slug, url }) => ({ slug, url }));
  if (out.isJson) {
    out.jsonLine({ console: address, api, data, servers });
    return;
  }
  out.text(`Gatehouse listens on ${address}`);
  out.text(`Data folder: ${data}`);
  for (const { slug, url } of servers) out.text(`  ${slug}  ${url}`);
  if (servers.length === 0) out.text('There are no servers yet. Add one: gatehouse server add');
}

/** Resolves when the signal is aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
