// What an idle stream costs in memory: streams that clients open (GET) and on which nothing comes, each in a session of its
// own. Resident memory is read before and after every step of them.
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { inParallel } from './parallel.ts';
import type { Processes } from './processes.ts';
import {
  ANY_TOKEN,
  type Candidate,
  type Hop,
  hopUrl,
  NGINX_MISSING,
  startBare,
  startCrew,
  startFresh,
  startNginxHop,
} from './scene.ts';
import { openSession, type Session, streamRequest } from './session.ts';
import { bootstrapMean, type Estimate } from './statistics.ts';
import { residentBytes } from './usage.ts';

export const STEPS = 8;
const AT_ONCE = 16;
const OPEN_MS = 20_000;

export interface MemoryRow {
  variant: string;
  streams: number;
  /** Resident memory without streams, with their sessions open, in bytes. */
  idleBytes: number;
  /** With all streams open. */
  fullBytes: number;
  /** Growth per stream in bytes. Memory grows in leaps, so that the mean of the steps counts, and no single one. */
  perStream: Estimate;
}

export interface MemoryOptions {
  processes: Processes;
  folder: string;
  candidates: readonly Candidate[];
  /** Streams of each variant; a multiple of {@link STEPS}. */
  streams: number;
  /** How long memory may settle before it is read, in milliseconds. */
  settleMs: number;
  random: () => number;
  missing: (sentence: string) => void;
}

/** @throws Error when something does not start, or a stream is refused or ends */
export async function benchMemory(options: MemoryOptions): Promise<MemoryRow[]> {
  const { processes, candidates, missing } = options;
  const folder = join(options.folder, 'memory');
  mkdirSync(folder);
  const { origin: upstream } = await startCrew(processes);
  const rows: MemoryRow[] = [];
  const ofHop = async (hop: Hop) =>
    rows.push(await measure({ name: hop.name, pid: hop.pid!, url: hopUrl(hop, 'sse'), token: ANY_TOKEN }, options));
  await ofHop(await startBare(processes, upstream));
  const nginx = await startNginxHop(processes, folder, upstream);
  if (nginx === undefined) missing(NGINX_MISSING);
  else await ofHop(nginx);
  for (const candidate of candidates) {
    const { started, target } = await startFresh(processes, candidate, { folder, upstream, replies: ['sse'] });
    rows.push(await measure({ name: candidate.name, pid: started.pid, ...target('sse') }, options));
  }
  await processes.end();
  return rows;
}

async function measure(
  { name, pid, url, token }: { name: string; pid: number; url: string; token: string },
  { streams, settleMs, random }: MemoryOptions,
): Promise<MemoryRow> {
  const sessions = await inParallel(streams, AT_ONCE, () => openSession(url, token));
  const sockets: Socket[] = [];
  try {
    await pause(settleMs);
    const readings = [residentBytes(pid)];
    for (let step = 0; step < STEPS; step++) {
      const some = sessions.slice((step * streams) / STEPS, ((step + 1) * streams) / STEPS);
      sockets.push(...(await inParallel(some.length, AT_ONCE, (index) => openStream(some[index]!))));
      await pause(settleMs);
      readings.push(residentBytes(pid));
    }
    const ended = sockets.filter((socket) => socket.destroyed || socket.readableEnded).length;
    if (ended > 0) throw new Error(`${name}: ${ended} of ${streams} idle streams were ended`);
    const growth = readings.slice(1).map((bytes, step) => ((bytes - readings[step]!) * STEPS) / streams);
    return {
      variant: name,
      streams,
      idleBytes: readings[0]!,
      fullBytes: readings.at(-1)!,
      perStream: bootstrapMean(growth, random),
    };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

async function openStream(session: Session): Promise<Socket> {
  const { hostname: host, port } = new URL(session.url);
  const signal = AbortSignal.timeout(OPEN_MS);
  const socket = connect({ host, port: Number(port) });
  // A stream that breaks off later is counted as ended.
  socket.on('error', () => undefined);
  await once(socket, 'connect', { signal });
  const answer = once(socket, 'data', { signal });
  socket.write(streamRequest(session));
  const [head] = (await answer) as [Buffer];
  if (!head.toString('latin1').startsWith('HTTP/1.1 200 ')) {
    socket.destroy();
    throw new Error(`a stream was refused: ${head.toString('utf8').slice(0, 300)}`);
  }
  socket.resume();
  return socket;
}
