// Several `gatehouse run` on one data folder: what they allow together, also when one of them is killed.
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Home } from './processes.ts';

const SERVER = fileURLToPath(new URL('./recording-mcp.mjs', import.meta.url));
const CALLERS = 32;

interface Answer {
  result?: { isError?: boolean };
  error?: { message: string };
}

/** A client of one `gatehouse run`, as an MCP client starts it. */
class Run {
  readonly #child: ReturnType<Home['spawn']>;
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();
  readonly ended: Promise<number | null>;
  stderr = '';
  #id = 0;

  constructor(home: Home, policy: string, server: readonly string[]) {
    this.#child = home.spawn(['run', '--policy', policy, '--', process.execPath, SERVER, ...server]);
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString('utf8');
    });
    this.#child.stdin.on('error', () => undefined);
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const { id, ...answer } = JSON.parse(line) as Answer & { id?: number };
      if (id === undefined) return;
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        for (const answer of this.#waiting.values()) answer(undefined);
        this.#waiting.clear();
        resolve(code);
      });
    });
  }

  /** Undefined: the process died. */
  #ask(method: string, params: object): Promise<Answer | undefined> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return Promise.resolve(undefined);
    this.#id += 1;
    const id = this.#id;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    });
  }

  async open(): Promise<this> {
    const clientInfo = { name: 'e2e', version: '1' };
    const opened = await this.#ask('initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo });
    expect(opened?.result, this.stderr).toBeDefined();
    return this;
  }

  /** @returns `done`, `denied`, the message of an error, or `dead` */
  async call(tag: string): Promise<string> {
    const answer = await this.#ask('tools/call', { name: 'get_it', arguments: { tag } });
    if (answer?.result === undefined) return answer?.error?.message ?? 'dead';
    return answer.result.isError === true ? 'denied' : 'done';
  }

  kill(): Promise<number | null> {
    this.#child.kill('SIGKILL');
    return this.ended;
  }

  end(): Promise<number | null> {
    this.#child.stdin.end();
    return this.ended;
  }
}

describe('several runs on one data folder', () => {
  const homes: Home[] = [];
  afterEach(async () => {
    for (const home of homes.splice(0)) await home.close();
  });

  const daily = (max: number): object => ({ counter: 'shared', window: 'day', align: 'sliding', max });

  /** @param takes milliseconds of a call */
  function ready(limit: object, takes?: number) {
    const home = new Home();
    homes.push(home);
    const policy = join(home.dir, 'policy.json');
    const limits = [limit];
    writeFileSync(policy, JSON.stringify({ version: '1', default: 'deny', tools: { get_it: { limits } } }));
    const file = join(home.dir, 'executed.txt');
    const server = takes === undefined ? [file] : [file, String(takes)];
    const start = () => new Run(home, policy, server).open();
    const executed = (): string[] => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []);
    return { home, start, executed, counters: join(home.data, 'run', 'counters.db') };
  }

  /** Each caller asks one call after the other. */
  async function callers(run: Run, name: string, each: number): Promise<Record<string, number>> {
    const said: Record<string, number> = { done: 0, denied: 0 };
    await Promise.all(
      Array.from({ length: CALLERS }, async (_, caller) => {
        for (let i = 0; i < each; i++) {
          const answer = await run.call(`${name}-${caller}-${i}`);
          said[answer] = (said[answer] ?? 0) + 1;
        }
      }),
    );
    return said;
  }

  it('[P4, GW-RUN-SHARED, LIM-PROCESSES] two of them with 64 callers let exactly max through, and the next run nothing', async () => {
    // More than the callers of one can make, so that neither can take it all.
    const max = 4 * CALLERS + 12;
    const { start, executed, counters } = ready(daily(max));
    const runs = await Promise.all([start(), start()]);
    const [first, second] = await Promise.all(runs.map((run, i) => callers(run, `run${i}`, 4)));
    expect(executed()).toHaveLength(max);
    expect(new Set(executed()).size).toBe(max);
    expect((first?.done ?? 0) + (second?.done ?? 0)).toBe(max);
    expect((first?.denied ?? 0) + (second?.denied ?? 0)).toBe(2 * CALLERS * 4 - max);
    if (process.platform !== 'win32') expect(statSync(counters).mode & 0o777).toBe(0o600);
    for (const run of runs) expect(await run.end()).toBe(0);

    const next = await start();
    expect(await next.call('next')).toBe('denied');
    await next.end();

    // Without its counters it knows from the log what was used.
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${counters}${suffix}`, { force: true });
    const rebuilt = await Promise.all([start(), start()]);
    for (const run of rebuilt) expect(await run.call('rebuilt')).toBe('denied');
    expect(executed()).toHaveLength(max);
    for (const run of rebuilt) await run.end();
  });

  it('[P4, GW-RUN-SHARED, LIM-PROCESSES] one that is killed in the middle frees nothing that was used', async () => {
    for (const [round, killAfter] of [20, 70].entries()) {
      const max = 160;
      const { start, executed } = ready(daily(max));
      const [doomed, other] = (await Promise.all([start(), start()])) as [Run, Run];
      const calls = [callers(doomed, 'doomed', 4), callers(other, 'other', 4)];
      await expect.poll(() => executed().length, { interval: 5, timeout: 20_000 }).toBeGreaterThan(killAfter);
      await doomed.kill();
      const [, said] = await Promise.all(calls);
      // What it reserved and did not come to send stays counted: at most one call of each of its callers.
      while ((await other.call(`rest ${round}`)) === 'done');
      expect(executed().length).toBeLessThanOrEqual(max);
      expect(executed().length).toBeGreaterThanOrEqual(max - CALLERS);
      expect(Object.keys(said ?? {})).toEqual(['done', 'denied']);
      const next = await start();
      expect(await next.call('next')).toBe('denied');
      await Promise.all([other.end(), next.end()]);
    }
  });

  it('[GW-RUN-SHARED, POL-CONCURRENT] never more calls under way than allowed, in both of them together', async () => {
    const { start, executed } = ready({ concurrent: 4 }, 200);
    const runs = await Promise.all([start(), start()]);
    const said = await Promise.all(runs.map((run, i) => callers(run, `run${i}`, 3)));
    let running = 0;
    let most = 0;
    for (const line of executed()) {
      running += line.startsWith('end ') ? -1 : 1;
      most = Math.max(most, running);
    }
    expect([most, running]).toEqual([4, 0]);
    for (const { done, denied } of said) expect((done ?? 0) + (denied ?? 0)).toBe(3 * CALLERS);
    // All slots came back.
    const four = await Promise.all([0, 1, 2, 3].map((i) => (runs[i % 2] as Run).call(`last ${i}`)));
    expect(four).toEqual(['done', 'done', 'done', 'done']);
    for (const run of runs) await run.end();
  });

  it('[LIM-UNAVAILABLE] counters that are damaged deny what has a limit, and say where and what to do', async () => {
    const { start, executed, counters } = ready(daily(5));
    const first = await start();
    expect(await first.call('one')).toBe('done');
    await first.end();
    rmSync(`${counters}-wal`, { force: true });
    writeFileSync(counters, 'x'.repeat(10_000));
    const run = await start();
    expect(await run.call('two')).toMatch(
      /^The limits of this call cannot be counted \(the counters are damaged\), so the call was not made\./,
    );
    expect(run.stderr).toContain(`Calls with a limit are denied. The counters in ${counters} are damaged`);
    await run.end();
    rmSync(counters);
    const repaired = await start();
    for (let i = 0; i < 4; i++) expect(await repaired.call(`more ${i}`)).toBe('done');
    expect(await repaired.call('over')).toBe('denied');
    expect(executed()).toHaveLength(5);
    await repaired.end();
  });
});
