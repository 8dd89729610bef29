// A real gateway process that can be killed, in front of upstreams in processes of their own that keep a ledger.
import { type ChildProcess, spawn } from 'node:child_process';
import { createSecretKey } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Ran, ROOT, Sandbox } from '@gatehouse/testkit';

import { Agent, request } from 'undici';
import { digestArguments, Mac } from '../../src/audit/digest.ts';
import { loadSecretKey, loadSettings, openGateway } from '../../src/index.ts';
import type { Transport } from '../../src/model.ts';
import { ADMIN, SECRET_KEY } from '../harness.ts';
import type { Executed } from './ledger.ts';

const LEDGER = fileURLToPath(new URL('./ledger.ts', import.meta.url));
const CLI = join(ROOT, 'packages', 'cli', 'bin', 'gatehouse.mjs');
const READY_MS = 30_000;
const GONE_MS = 15_000;
const POLL_MS = 10;

export interface StoredRecord {
  kind: string;
  time: string;
  writer: string;
  seq: number;
  request_id?: string;
  tool?: string;
  count?: number;
  arguments?: { digest: string };
  decision?: { outcome: string; rule?: string; limits?: { key: string; units: number; slice: number }[] };
}

/** What a caller was told: `allowed`, `denied` by policy, `refused` (any other answer), or `lost` (no answer). */
export type Told = 'allowed' | 'denied' | 'refused' | 'lost';

export class GatewayProcess {
  readonly child: ChildProcess;
  readonly #readyFile: string;
  #said = '';
  #base: string | undefined;

  constructor(child: ChildProcess, readyFile: string) {
    this.child = child;
    this.#readyFile = readyFile;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#said = `${this.#said}${chunk.toString()}`.slice(-8_000);
      });
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  said(): string {
    return this.#said;
  }

  /** @throws Error with all that it said, when it ends or is not ready in time */
  async ready(): Promise<this> {
    for (const began = performance.now(); !existsSync(this.#readyFile); await sleep(POLL_MS)) {
      if (this.ended) throw new Error(`The gateway ended with ${this.child.exitCode}:\n${this.#said}`);
      if (performance.now() - began > READY_MS) throw new Error(`The gateway was not ready:\n${this.#said}`);
    }
    const { console: base } = JSON.parse(readFileSync(this.#readyFile, 'utf8')) as { console: string };
    this.#base = base;
    return this;
  }

  /** With a slash at its end. */
  get base(): string {
    if (this.#base === undefined) throw new Error('not ready');
    return this.#base;
  }

  /** `SIGKILL`, or the orderly end. Resolves when the process is gone. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.ended) return;
    const gone = once(this.child, 'exit');
    this.child.kill(signal);
    const late = new AbortController();
    await Promise.race([
      gone,
      sleep(GONE_MS, undefined, { signal: late.signal }).then(() => {
        throw new Error(`The gateway did not end on ${signal}:\n${this.#said}`);
      }),
    ]);
    late.abort();
  }
}

export interface RigOptions {
  /** Policy of each server by slug. `ledger` is reached over HTTP, `child` is a command. */
  policies: Readonly<Record<'ledger' | 'child', unknown>>;
  /** Of the server `child`. */
  children?: { max: number; idleSeconds: number };
  /** Data folder. Default: in the sandbox. */
  data?: string;
}

export class Rig {
  readonly sandbox: Sandbox;
  readonly data: string;
  readonly tokens: Record<'ledger' | 'child', string> = { ledger: '', child: '' };
  readonly #ledgerFile: string;
  readonly #ledger: ChildProcess;
  readonly #gateways = new Set<GatewayProcess>();
  readonly #agent = new Agent({ connections: 128, pipelining: 1 });
  readonly #mac: Mac;

  private constructor(sandbox: Sandbox, data: string, ledger: ChildProcess, ledgerFile: string, mac: Mac) {
    this.sandbox = sandbox;
    this.data = data;
    this.#ledger = ledger;
    this.#ledgerFile = ledgerFile;
    this.#mac = mac;
  }

  static async open(options: RigOptions): Promise<Rig> {
    const sandbox = new Sandbox();
    const data = options.data ?? sandbox.path('data');
    const ledgerFile = sandbox.path('executed.jsonl');
    const ledger = spawn(process.execPath, [LEDGER, 'http', ledgerFile], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [port] = (await once(ledger.stdout as NonNullable<ChildProcess['stdout']>, 'data')) as [Buffer];
    const { settings } = loadSettings({ env: {}, flags: { data, port: 0, log_level: 'silent' } });
    const gateway = await openGateway(settings, { env: { GATEHOUSE_SECRET_KEY: SECRET_KEY } });
    const keys = loadSecretKey({ env: { GATEHOUSE_SECRET_KEY: SECRET_KEY }, dataDir: data, create: false });
    const rig = new Rig(sandbox, data, ledger, ledgerFile, new Mac(createSecretKey(keys.bytes('audit-hmac'))));
    const transports: Record<'ledger' | 'child', Transport> = {
      ledger: { kind: 'http', url: `http://127.0.0.1:${port.toString().trim()}/mcp` },
      child: { kind: 'stdio', command: process.execPath, args: [LEDGER, 'stdio', ledgerFile], environment: {} },
    };
    for (const slug of ['ledger', 'child'] as const) {
      const { services } = gateway;
      const settings = slug === 'child' && options.children !== undefined ? { children: options.children } : {};
      await services.servers.create({ slug, transport: transports[slug], settings }, ADMIN);
      await gateway.readDefinitions(slug, { accept: true, actor: ADMIN });
      await services.policies.put(slug, 'p', options.policies[slug], undefined, ADMIN);
      const { secret } = await services.grants.create({ server: slug, identity: 'ana', policy: 'p' }, ADMIN);
      rig.tokens[slug] = secret ?? '';
    }
    await gateway.close();
    return rig;
  }

  /** Starts `gatehouse serve`; it is ready when `ready()` of what this returns resolves. */
  spawn(settings: Readonly<Record<string, string>> = {}): GatewayProcess {
    const readyFile = this.sandbox.path('ready.json');
    rmSync(readyFile, { force: true });
    const args = [CLI, 'serve', '--data', this.data, '--port', '0', '--ready-file', readyFile];
    const child = spawn(process.execPath, args, {
      env: { PATH: process.env.PATH, HOME: this.sandbox.home, GATEHOUSE_SECRET_KEY: SECRET_KEY, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const gateway = new GatewayProcess(child, readyFile);
    this.#gateways.add(gateway);
    child.once('exit', () => this.#gateways.delete(gateway));
    return gateway;
  }

  start(settings?: Readonly<Record<string, string>>): Promise<GatewayProcess> {
    return this.spawn(settings).ready();
  }

  /** A command of `gatehouse` on this data folder. */
  cli(...args: string[]): Promise<Ran> {
    return this.sandbox.run(process.execPath, [CLI, ...args, '--data', this.data], {
      env: { GATEHOUSE_SECRET_KEY: SECRET_KEY },
    });
  }

  /** One message; undefined when no whole answer came. */
  async post(
    gateway: GatewayProcess,
    slug: 'ledger' | 'child',
    message: object,
    session?: string,
  ): Promise<{ status: number; session: string | undefined; text: string } | undefined> {
    try {
      const answer = await request(`${gateway.base}mcp/${slug}`, {
        method: 'POST',
        dispatcher: this.#agent,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          authorization: `Bearer ${this.tokens[slug]}`,
          ...(session === undefined ? {} : { 'mcp-session-id': session }),
        },
        body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      });
      const opened = answer.headers['mcp-session-id'];
      return {
        status: answer.statusCode,
        session: typeof opened === 'string' ? opened : undefined,
        text: await answer.body.text(),
      };
    } catch {
      return undefined;
    }
  }

  async call(
    gateway: GatewayProcess,
    slug: 'ledger' | 'child',
    tool: string,
    marker: string,
    session?: string,
  ): Promise<Told> {
    const params = { name: tool, arguments: { marker } };
    const answer = await this.post(gateway, slug, { id: 1, method: 'tools/call', params }, session);
    if (answer === undefined) return 'lost';
    if (answer.text.includes('[POLICY DENIED]')) return 'denied';
    return answer.status === 200 && answer.text.includes('"done"') ? 'allowed' : 'refused';
  }

  /** Opens the stream of a session and leaves it as soon as its head is there. @returns the status */
  async listenAndLeave(gateway: GatewayProcess, slug: 'ledger' | 'child', session: string): Promise<number> {
    const answer = await request(`${gateway.base}mcp/${slug}`, {
      dispatcher: this.#agent,
      headers: { accept: 'text/event-stream', authorization: `Bearer ${this.tokens[slug]}`, 'mcp-session-id': session },
    });
    answer.body.on('error', () => undefined).destroy();
    return answer.statusCode;
  }

  /** All that the upstreams executed. */
  executed(): Executed[] {
    if (!existsSync(this.#ledgerFile)) appendFileSync(this.#ledgerFile, '');
    return linesOf(this.#ledgerFile).map((line) => JSON.parse(line) as Executed);
  }

  /** Whole records of the stream of calls; torn last lines are left out. */
  records(): StoredRecord[] {
    const folder = join(this.data, 'audit', 'calls');
    return readdirSync(folder).flatMap((name) =>
      linesOf(join(folder, name)).map((line) => JSON.parse(line) as StoredRecord),
    );
  }

  /** What the log calls the arguments that carry this marker. */
  digestOf(marker: string): string {
    return (JSON.parse(digestArguments(this.#mac, { marker })) as { digest: string }).digest;
  }

  /** Command lines of the processes that were started here, the ledger left out. */
  leftovers(): string[] {
    return this.sandbox.leftovers().filter((line) => !line.includes(' http '));
  }

  async close(): Promise<void> {
    for (const gateway of this.#gateways) await gateway.end('SIGKILL');
    this.#ledger.kill('SIGKILL');
    await this.#agent.destroy();
    await this.sandbox.close();
  }
}

function linesOf(path: string): string[] {
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}
