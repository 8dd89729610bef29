// What a part of the benchmark is measured on: the upstream, the load generator, and what stands in front of the upstream.
import { join } from 'node:path';
import { GatewayHome, type StartedGateway } from './gateway.ts';
import { findNginx, startNginx } from './nginx.ts';
import { nextMessage, type Processes } from './processes.ts';
import type { Crew, Target, Variant } from './rounds.ts';
import { callRequest, openSession } from './session.ts';
import { type CallClass, type ReplyKind, upstreamPath, type Workload, workloadName } from './workload.ts';

/** For variants that check no token: as long as the gateway's, so that the requests weigh the same. */
export const ANY_TOKEN = `gh_${'0'.repeat(49)}`;

/** Tools of the upstream where their number is not what is measured. */
export const TOOL_COUNT = 2;

export const DIRECT = 'direct';
export const BARE = 'bare pass-through';
export const NGINX = 'nginx';

export interface StartedCrew extends Crew {
  readonly origin: URL;
}

/** @throws Error when one does not start */
export async function startCrew(processes: Processes): Promise<StartedCrew> {
  const upstream = processes.fork('./upstream.ts');
  const origin = originOf(await nextMessage<{ port: number }>(upstream));
  const load = processes.fork('./load.ts');
  await nextMessage(load);
  return { upstream, load, origin };
}

/** Something between client and upstream that is no gateway. */
export interface Hop {
  readonly name: string;
  readonly origin: URL;
  readonly pid: number | undefined;
}

/** @throws Error when it does not start */
export async function startBare(processes: Processes, upstream: URL): Promise<Hop> {
  const started = processes.fork('./pass-through.ts', [upstream.href]);
  return { name: BARE, origin: originOf(await nextMessage<{ port: number }>(started)), pid: started.pid };
}

/** undefined: it is not installed. @throws Error when it does not start */
export async function startNginxHop(processes: Processes, folder: string, upstream: URL): Promise<Hop | undefined> {
  const nginx = findNginx();
  if (nginx === undefined) return undefined;
  const { started, url } = await startNginx(processes, { command: nginx.command, folder, upstream });
  return { name: NGINX, origin: new URL(url), pid: started.pid };
}

export const NGINX_MISSING = 'nginx, because it is not installed. On Debian: apt-get install nginx';

export function hopUrl({ origin }: Hop, reply: ReplyKind): string {
  return new URL(upstreamPath(reply, TOOL_COUNT), origin).href;
}

/** Only the gateway makes a difference between tokens and classes: the others are measured with the read tool. */
export async function hopVariant(hop: Hop, workloads: readonly Workload[]): Promise<Variant> {
  const { name, pid } = hop;
  const targets = await targetsOf(workloads, (reply) => ({ url: hopUrl(hop, reply), token: ANY_TOKEN }), 'read');
  return { name, pid, targets };
}

export async function gatewayVariant(
  name: string,
  { started, settle, target }: StartedGateway,
  callClass: CallClass,
  workloads: readonly Workload[],
): Promise<Variant> {
  return { name, pid: started.pid, settle, targets: await targetsOf(workloads, target, callClass) };
}

async function targetsOf(
  workloads: readonly Workload[],
  place: (reply: ReplyKind) => { url: string; token: string },
  callClass: CallClass,
): Promise<Map<string, Target>> {
  const targets = new Map<string, Target>();
  for (const workload of workloads) {
    const { url, token } = place(workload.reply);
    const { hostname: host, port } = new URL(url);
    const request = callRequest(await openSession(url, token), callClass, workload.size);
    targets.set(workloadName(workload), { host, port: Number(port), request });
  }
  return targets;
}

/** A checkout whose gateway is measured, and what its rows are called. */
export interface Candidate {
  /** `gateway`, or `gateway <commit>` where two are compared. */
  readonly name: string;
  readonly root: string;
}

export function gatewayName({ name }: Candidate, callClass: CallClass): string {
  return `${name}, ${callClass}`;
}

/** A fresh gateway with one grant on each server. @throws Error when it does not start or is not as expected */
export function startFresh(
  processes: Processes,
  { name, root }: Candidate,
  {
    folder,
    upstream,
    replies,
    profile,
  }: Readonly<{
    folder: string;
    upstream: URL;
    replies: readonly ReplyKind[];
    profile?: string | undefined;
  }>,
): Promise<StartedGateway> {
  const shape = { replies, tools: TOOL_COUNT, grants: 1 };
  const home = new GatewayHome({ root, folder: join(folder, name.replaceAll(/\W+/g, '-')), upstream, shape, profile });
  return home.start(processes);
}

function originOf({ port }: { port: number }): URL {
  return new URL(`http://127.0.0.1:${port}/`);
}
