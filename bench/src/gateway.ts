// The gateway as anyone runs it: the command line's `serve`, filled through its API.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inParallel } from './parallel.ts';
import { type Processes, type Started, waitFor } from './processes.ts';
import { type CallClass, policy, type ReplyKind, TOOL_OF, upstreamPath } from './workload.ts';

/** The checkout that this file belongs to. */
export const OWN_ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ENTRY = 'packages/cli/src/main.ts';
const POLICY_NAME = 'bench';
const API_MS = 60_000;
const GRANTS_AT_ONCE = 8;

interface Ready {
  api: string;
  admin: { token: string };
}

type Api = <T>(method: string, path: string, body?: unknown) => Promise<T>;

export interface GatewayShape {
  /** One server is registered for each. */
  replies: readonly ReplyKind[];
  /** Tools of each server, with as many rules in its policy; from 1. */
  tools: number;
  /** Grants on the first server, each of an identity with a token of its own; the last one is used. From 1. */
  grants: number;
}

export interface GatewayHomeOptions {
  /** Checkout whose gateway is run. */
  root: string;
  /** For its data and settings; made. */
  folder: string;
  upstream: URL;
  shape: GatewayShape;
  /** Folder for a CPU profile. */
  profile?: string | undefined;
}

export interface StartedGateway {
  readonly started: Started;
  /** The proxy URL of a reply kind, and the token that opens it. */
  target(reply: ReplyKind): { url: string; token: string };
  /** Has the search index take in what was recorded, which it else does when nobody calls. */
  settle(): Promise<void>;
}

/** A data folder with its key: filled at the first start, found as it was at the next. */
export class GatewayHome {
  readonly #options: GatewayHomeOptions;
  readonly #key = randomBytes(32).toString('base64');
  readonly #tokens = new Map<ReplyKind, string>();

  constructor(options: GatewayHomeOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
  }

  /** @throws Error when it does not start, or an answer of its API is not the expected one */
  async start(processes: Processes): Promise<StartedGateway> {
    const { root, folder, profile } = this.#options;
    const readyFile = join(folder, 'ready.json');
    // What a start that was killed left behind would be read as this one's.
    rmSync(readyFile, { force: true });
    const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
    const data = ['--data', join(folder, 'data')];
    const args = [...profiling, join(root, ENTRY), 'serve', ...data, '--port', '0', '--ready-file', readyFile];
    const started = processes.spawn(process.execPath, args, this.#environment());
    const ready = await waitFor(started, 'the gateway', () => Promise.resolve(readJson<Ready>(readyFile)));
    const api = apiOf(ready);
    if (this.#tokens.size === 0) await this.#fill(api);
    const origin = new URL(ready.api).origin;
    return {
      started,
      target: (reply) => ({ url: `${origin}/mcp/${reply}`, token: this.#tokens.get(reply)! }),
      settle: async () => {
        await api('GET', '/audit/records?limit=1');
      },
    };
  }

  async #fill(api: Api): Promise<void> {
    const { upstream, shape } = this.#options;
    for (const [index, reply] of shape.replies.entries()) {
      const url = new URL(upstreamPath(reply, shape.tools), upstream).href;
      const { tools, warning } = await api<{ tools: { name: string; class: string }[]; warning?: string }>(
        'POST',
        '/servers',
        { slug: reply, transport: { kind: 'http', url }, accept: true },
      );
      if (warning !== undefined) throw new Error(`the gateway could not read the upstream's tools: ${warning}`);
      checkTools(tools, shape.tools);
      await api('PUT', `/servers/${reply}/policies/${POLICY_NAME}`, policy(shape.tools));
      const grants = index === 0 ? shape.grants : 1;
      const made = await inParallel(grants, GRANTS_AT_ONCE, (grant) =>
        api<{ secret: string }>('POST', '/grants', {
          server: reply,
          identity: `${reply}-${grant}`,
          policy: POLICY_NAME,
        }),
      );
      this.#tokens.set(reply, made.at(-1)!.secret);
    }
  }

  /** Nothing of the user's own gateway: no setting, no key, no folder. */
  #environment(): NodeJS.ProcessEnv {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('GATEHOUSE_'));
    return {
      ...Object.fromEntries(inherited),
      XDG_CONFIG_HOME: join(this.#options.folder, 'config'),
      GATEHOUSE_SECRET_KEY: this.#key,
      GATEHOUSE_LOG_LEVEL: 'warn',
    };
  }
}

/** A tool of another class would be measured with another durability. */
function checkTools(found: readonly { name: string; class: string }[], count: number): void {
  if (found.length !== count) throw new Error(`the gateway found ${found.length} of ${count} tools`);
  for (const [wanted, name] of (Object.entries(TOOL_OF) as [CallClass, string][]).slice(0, count)) {
    const tool = found.find((one) => one.name === name);
    if (tool?.class !== wanted) {
      throw new Error(
        `the tool ${name} should be of the class ${wanted}; for the gateway it is ${tool?.class ?? 'not there'}`,
      );
    }
  }
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

function apiOf({ api, admin }: Ready): Api {
  return async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await fetch(`${api}${path}`, {
      method,
      headers: { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(API_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`the gateway's API answered ${method} ${path} with ${answer.status}: ${text}`);
    return JSON.parse(text) as T;
  };
}
