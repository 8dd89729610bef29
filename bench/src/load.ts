// The load generator: a process of its own that writes prepared requests to plain sockets, each connection one call at a time (closed loop).
import { connect, type Socket } from 'node:net';
import { endWithParent } from './child.ts';
import { Histogram, type HistogramData } from './histogram.ts';
import { parseReply, SameReply, whatIsWrong } from './reply.ts';
import { type CpuTimes, cpuMicros, cpuTimes } from './usage.ts';
import { FIRST_ID } from './workload.ts';

export interface Slice {
  host: string;
  port: number;
  /** The whole request, its id being {@link FIRST_ID}. */
  request: string;
  connections: number;
  warmUpMs: number;
  measureMs: number;
  /**
   * Both times are repeated whole until each connection had this many calls on average: many connections are answered in
   * bursts, and a slice shorter than a burst would measure its place in it. 0: as long as they are.
   */
  leastCalls: number;
  /** Whose CPU time is read at both ends of the measured time; undefined: nobody's. */
  pid: number | undefined;
  upstreamPid: number;
}

export interface SliceResult {
  /** Calls answered in the measured time, and their latencies in microseconds. */
  calls: number;
  latencies: HistogramData;
  /** Length of the measured time. */
  micros: number;
  /** Calls of the whole slice, warm-up included. */
  allCalls: number;
  /** CPU time of the measured process in the measured time, without its index thread, and of that thread; 0 without one. */
  cpuMicros: number;
  indexMicros: number;
  /** CPU time of the load generator and of the upstream in the measured time. */
  loadMicros: number;
  upstreamMicros: number;
}

let nextId = FIRST_ID;
/** However slow the calls are: a slice ends. */
const LONGEST_MS = 20_000;

class Run {
  readonly #slice: Slice;
  readonly #idAt: number;
  #sockets: Socket[] = [];
  #histogram = new Histogram();
  #answered = 0;
  #phase: 'running' | 'ending' = 'running';
  #open = 0;
  #fail: (error: Error) => void = () => undefined;
  #allDone: () => void = () => undefined;

  constructor(slice: Slice) {
    this.#slice = slice;
    this.#idAt = Buffer.from(slice.request).indexOf(String(FIRST_ID));
    if (this.#idAt === -1) throw new Error('the prepared request has no id to fill in');
  }

  async measure(): Promise<SliceResult> {
    const failed = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    try {
      return await Promise.race([this.#measure(), failed]);
    } finally {
      this.#phase = 'ending';
      for (const socket of this.#sockets) socket.destroy();
    }
  }

  async #measure(): Promise<SliceResult> {
    const { connections, warmUpMs, measureMs, leastCalls, pid, upstreamPid } = this.#slice;
    this.#sockets = await Promise.all(Array.from({ length: connections }, () => this.#connect()));
    const done = new Promise<void>((resolve) => {
      this.#allDone = resolve;
    });
    this.#open = connections;
    for (const socket of this.#sockets) this.#loop(socket);
    await this.#pause(warmUpMs, Math.min(1, leastCalls));
    // What was on its way at the change counts with its whole latency: no long call is cut out of the figures.
    this.#histogram = new Histogram();
    const before = usage(pid, upstreamPid);
    await this.#pause(measureMs, leastCalls);
    const after = usage(pid, upstreamPid);
    const measured = this.#histogram;
    this.#histogram = new Histogram();
    this.#phase = 'ending';
    await done;
    return {
      calls: measured.total,
      latencies: measured.toData(),
      micros: after.micros - before.micros,
      allCalls: this.#answered,
      cpuMicros: after.process.calls - before.process.calls,
      indexMicros: after.process.index - before.process.index,
      loadMicros: after.own - before.own,
      upstreamMicros: after.upstream - before.upstream,
    };
  }

  async #pause(milliseconds: number, leastCalls: number): Promise<void> {
    const wanted = this.#answered + leastCalls * this.#slice.connections;
    const until = performance.now() + LONGEST_MS;
    do await pause(milliseconds);
    while (this.#answered < wanted && performance.now() < until);
  }

  #connect(): Promise<Socket> {
    const { host, port } = this.#slice;
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true }, () => {
        socket.off('error', reject);
        resolve(socket);
      });
      socket.once('error', reject);
    });
  }

  #loop(socket: Socket): void {
    const request = Buffer.from(this.#slice.request);
    const id = request.subarray(this.#idAt, this.#idAt + String(FIRST_ID).length);
    const same = new SameReply();
    let waiting: Buffer | undefined;
    let sentAt = 0;
    const send = () => {
      id.write(String(nextId++), 'latin1');
      sentAt = performance.now();
      socket.write(request);
    };
    socket.on('data', (chunk: Buffer) => {
      const bytes = waiting === undefined ? chunk : Buffer.concat([waiting, chunk]);
      const reply = same.whole(bytes) ?? parseReply(bytes);
      if (reply.state === 'partial') {
        waiting = bytes;
        return;
      }
      waiting = undefined;
      const wrong = reply.state === 'broken' ? reply.reason : whatIsWrong(bytes, reply, id);
      if (wrong !== undefined) {
        this.#fail(
          new Error(`a call was not answered with its result: ${wrong}\n${bytes.toString('utf8').slice(0, 1_000)}`),
        );
        return;
      }
      if (reply.state === 'whole') same.remember(bytes, reply);
      this.#histogram.record((performance.now() - sentAt) * 1_000);
      this.#answered++;
      if (this.#phase === 'running') send();
      else if (--this.#open === 0) this.#allDone();
    });
    socket.on('error', (error) => this.#fail(new Error(`a connection failed: ${error.message}`)));
    socket.on('close', () => {
      if (this.#phase === 'running') this.#fail(new Error('a connection was closed between two calls'));
    });
    send();
  }
}

interface Usage {
  micros: number;
  process: CpuTimes;
  own: number;
  upstream: number;
}

const NOTHING: CpuTimes = { calls: 0, index: 0 };

function usage(pid: number | undefined, upstreamPid: number): Usage {
  const { user, system } = process.cpuUsage();
  return {
    micros: performance.now() * 1_000,
    process: pid === undefined ? NOTHING : cpuTimes(pid),
    own: user + system,
    upstream: cpuMicros(upstreamPid),
  };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

process.on('message', (slice: Slice) => {
  new Run(slice).measure().then(
    (result) => process.send?.({ result }),
    (error: Error) => process.send?.({ error: error.message }),
  );
});
endWithParent();
process.send?.({ ready: true });
