// The gateway as anyone runs it: the command line's `serve`, filled through its API.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Processes, type Started, waitFor } from './processes.ts';
import { type CallClass, POLICY, TOOL_OF } from './workload.ts';

const ENTRY = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const SLUG = 'bench';
const POLICY_NAME = 'bench';

interface Ready {
  api: string;
  admin: { token: string };
}

export interface StartedGateway {
  started: Started;
  /** The proxy URL and the token that opens it. */
  url: string;
  token: string;
  /** Has the search index take in what was recorded, which it else does when nobody calls. */
  settle(): Promise<void>;
}

/** @throws Error when it does not start, or an answer of its API is not the expected one */
export async function startGateway(
  processes: Processes,
  { folder, upstream, profile }: { folder: string; upstream: URL; profile: string | undefined },
): Promise<StartedGateway> {
  const readyFile = join(folder, 'ready.json');
  const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const args = [...profiling, ENTRY, 'serve', '--data', join(folder, 'data'), '--port', '0', '--ready-file', readyFile];
  const started = processes.spawn(process.execPath, args, environment(folder));
  const ready = await waitFor(started, 'the gateway', () => Promise.resolve(readJson<Ready>(readyFile)));
  const api = apiOf(ready);
  const { tools, warning } = await api<{ tools: { name: string; class: string }[]; warning?: string }>(
    'POST',
    '/servers',
    {
      slug: SLUG,
      transport: { kind: 'http', url: upstream.href },
      accept: true,
    },
  );
  if (warning !== undefined) throw new Error(`the gateway could not read the upstream's tools: ${warning}`);
  for (const [wanted, name] of Object.entries(TOOL_OF) as [CallClass, string][]) {
    const found = tools.find((tool) => tool.name === name);
    if (found?.class !== wanted) {
      throw new Error(
        `the tool ${name} should be of the class ${wanted}; for the gateway it is ${found?.class ?? 'not there'}`,
      );
    }
  }
  await api('PUT', `/servers/${SLUG}/policies/${POLICY_NAME}`, POLICY);
  const { secret, url } = await api<{ secret: string; url: string }>('POST', '/grants', {
    server: SLUG,
    identity: 'bench',
    policy: POLICY_NAME,
  });
  const settle = async () => {
    await api('GET', '/audit/records?limit=1');
  };
  return { started, url, token: secret, settle };
}

/** Nothing of the user's own gateway: no setting, no key, no folder. */
function environment(folder: string): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('GATEHOUSE_'));
  return {
    ...Object.fromEntries(inherited),
    XDG_CONFIG_HOME: join(folder, 'config'),
    GATEHOUSE_SECRET_KEY: randomBytes(32).toString('base64'),
    GATEHOUSE_LOG_LEVEL: 'warn',
  };
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

function apiOf({ api, admin }: Ready) {
  return async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await fetch(`${api}${path}`, {
      method,
      headers: { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`the gateway's API answered ${method} ${path} with ${answer.status}: ${text}`);
    return JSON.parse(text) as T;
  };
}
