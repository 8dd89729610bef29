// A gateway with everything allowed, between the conformance suite and a server, and the comparison of what it finds.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Checks,
  checkServer,
  type Requirements,
  type Sandbox,
  scoredScenarios,
  startTokenRelay,
  type TokenRelay,
} from '@gatehouse/testkit';
import type { Transport } from '../src/model.ts';
import type { Expected } from './conformance-expected.ts';
import { Harness } from './harness.ts';

const ALLOW_ALL = { version: '1', default: 'allow', resources: { allow: ['*'] }, prompts: { allow: ['*'] } };
const SETTINGS = {
  serverRequests: { elicitation: true, sampling: true, roots: true },
  // The suite leaves its sessions without ending them, and each has a child.
  children: { max: 64, idleSeconds: 60 },
};

/** The proxy URL of a server, and a token for it. */
export interface Way {
  url: string;
  token: string;
}

export class PermissiveGateway {
  readonly #harness: Harness;
  readonly #relays: TokenRelay[] = [];
  #servers = 0;

  private constructor(harness: Harness) {
    this.#harness = harness;
  }

  static async open(): Promise<PermissiveGateway> {
    return new PermissiveGateway(await Harness.open());
  }

  async way(transport: Transport): Promise<Way> {
    this.#servers += 1;
    const slug = `server-${this.#servers}`;
    await this.#harness.server(slug, transport, SETTINGS);
    const { token } = await this.#harness.grant(slug, ALLOW_ALL, `agent-${this.#servers}`);
    return { url: this.#harness.proxyUrl(slug), token };
  }

  /** A URL that needs no token. */
  async open(transport: Transport): Promise<string> {
    const { url, token } = await this.way(transport);
    const relay = await startTokenRelay(url, token);
    this.#relays.push(relay);
    return relay.url;
  }

  async close(): Promise<void> {
    for (const relay of this.#relays) await relay.close();
    await this.#harness.close();
  }
}

/** Puts a gateway in front of each URL that it is sent, for the clients that the suite starts. */
export async function startWays(gateway: PermissiveGateway): Promise<{ address: string; close(): void }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      gateway.way({ kind: 'http', url: Buffer.concat(chunks).toString() }).then(
        (way) => response.end(JSON.stringify(way)),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => server.close(),
  };
}

/** Starts a server that prints its URL as its first line. */
export async function startPrinting(args: readonly string[]): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { url: line.toString().trim(), child };
}

export interface Comparison {
  /** Scored checks that fail direct: the server under it is wrong. */
  failing: string[];
  /** Checks that differ and are not expected to. */
  unexpected: string[];
  /** Expected differences that there are none of: their lines can go. */
  stale: string[];
}

/** Check by check, of one requirement set. */
export async function compare(
  sandbox: Sandbox,
  requirements: Requirements,
  direct: Checks,
  url: string,
  expected: readonly Expected[],
): Promise<Comparison> {
  const through = await checkServer(sandbox, url, requirements);
  const scored = new Set(scoredScenarios(requirements, 'server'));
  const scores = (check: string): boolean => scored.has(check.split('/', 1)[0] ?? '');
  const used = new Set<Expected>();
  const unexpected: string[] = [];
  for (const check of new Set([...direct.keys(), ...through.keys()])) {
    const [before, after] = [direct.get(check), through.get(check)];
    if (before === after) continue;
    const line = expected.find((wanted) => names(wanted, check) && fits(wanted, scores(check), before, after));
    if (line !== undefined) used.add(line);
    else {
      unexpected.push(`${check}: ${before ?? 'not made'} direct, ${after ?? 'not made'} through the gateway`);
    }
  }
  return {
    failing: [...direct].filter(([check, status]) => status === 'FAILURE' && scores(check)).map(([check]) => check),
    unexpected,
    stale: expected.filter((line) => !used.has(line)).map(({ check }) => check),
  };
}

function names({ check: wanted }: Expected, check: string): boolean {
  return wanted.endsWith('*') ? check.startsWith(wanted.slice(0, -1)) : check === wanted;
}

/** Whether a difference is of the kind that its line says. */
function fits({ kind }: Expected, scored: boolean, before: string | undefined, after: string | undefined): boolean {
  switch (kind) {
    case 'improved':
      return after === 'SUCCESS' && (before === 'FAILURE' || before === 'WARNING');
    case 'unscored':
      return !scored;
    case 'not made':
      return after === undefined;
    case 'by design':
      return true;
  }
}
