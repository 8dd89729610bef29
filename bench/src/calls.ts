// The part that measures calls: starts the upstream, what stands in front of it, and the load generator, and runs the rounds.
import { startGateway } from './gateway.ts';
import { findNginx, startNginx } from './nginx.ts';
import { nextMessage, type Processes } from './processes.ts';
import { type RoundsOptions, runRounds, type Sample, type Variant } from './rounds.ts';
import { prepareCall } from './session.ts';
import { type Row, summarize } from './summary.ts';
import type { CallClass } from './workload.ts';

const ROLES = { direct: 'direct', reference: 'bare pass-through' };
/** For variants that check no token: as long as the gateway's, so that the requests weigh the same. */
const ANY_TOKEN = `gh_${'0'.repeat(49)}`;

export interface CallsResult {
  rows: Row[];
  samples: Sample[];
  /** What could not be measured, with what to do about it. */
  missing: string[];
}

export interface CallsOptions extends RoundsOptions {
  processes: Processes;
  /** For data and configuration files; removed by the caller. */
  folder: string;
  /** Folder for a CPU profile of the gateway. */
  profile: string | undefined;
  random: () => number;
}

/** @throws Error when something does not start, a call is not answered with its result, or the system is not Linux */
export async function benchCalls({
  processes,
  folder,
  profile,
  random,
  ...options
}: CallsOptions): Promise<CallsResult> {
  if (process.platform !== 'linux') {
    throw new Error(
      'CPU time per call is read from /proc, which only Linux has. Elsewhere: npm run bench -- --only judge',
    );
  }
  const upstreamProcess = processes.fork('./upstream.ts');
  const upstream = urlOf(await nextMessage<{ port: number }>(upstreamProcess));
  const bareProcess = processes.fork('./pass-through.ts', [upstream.href]);
  const bare = urlOf(await nextMessage<{ port: number }>(bareProcess));
  const load = processes.fork('./load.ts');
  await nextMessage(load);

  const variants: Variant[] = [
    await variant(ROLES.direct, upstream.href, undefined),
    await variant(ROLES.reference, bare.href, bareProcess.pid),
  ];
  const missing: string[] = [];
  const nginx = findNginx();
  if (nginx === undefined) missing.push('nginx, because it is not installed. On Debian: apt-get install nginx');
  else {
    const { started, url } = await startNginx(processes, { command: nginx.command, folder, upstream });
    variants.push(await variant('nginx', url, started.pid));
  }
  const gateway = await startGateway(processes, { folder, upstream, profile });
  for (const callClass of ['read', 'write'] as const) {
    const { url, token, settle, started } = gateway;
    variants.push({ ...(await variant(`gateway, ${callClass}`, url, started.pid, { token, callClass })), settle });
  }

  const { samples, latencies } = await runRounds(load, variants, options);
  return { rows: summarize(samples, latencies, ROLES, random), samples, missing };
}

/** Only the gateway makes a difference between tokens and classes: the others are measured with the read tool. */
async function variant(
  name: string,
  url: string,
  pid: number | undefined,
  { token, callClass }: { token: string; callClass: CallClass } = { token: ANY_TOKEN, callClass: 'read' },
): Promise<Variant> {
  const { hostname: host, port } = new URL(url);
  return { name, host, port: Number(port), pid, request: await prepareCall(url, token, callClass) };
}

function urlOf({ port }: { port: number }): URL {
  return new URL(`http://127.0.0.1:${port}/mcp`);
}
