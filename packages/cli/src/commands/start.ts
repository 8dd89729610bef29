// `npm start`: the gateway with the project's own Flux Pro server behind it, the example policy on it and a grant (design: §5).
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Actor, Gateway, Grant, Transport } from '@gatehouse/gateway';
import { parsePlainJson } from '@gatehouse/wire';
import type { Command } from 'commander';
import { clientLines } from '../client-lines.ts';
import { type Context, defineCommand, handle } from '../context.ts';
import { type ServeOptions, serveGateway } from '../serve-gateway.ts';
import { writePrivateJson } from '../server-file.ts';

const ACTOR: Actor = { kind: 'gatehouse', id: 'npm-start' };
const SLUG = 'flux';
const POLICY = 'example';
const IDENTITY = 'me';
/** The one place where a token is kept: the example grant's, mode 600 (spec: gateway P6). */
const GRANT_FILE = 'flux-grant.json';

const perMinute = (tool: string) => ({
  limits: [{ counter: `${tool}_rate`, window: 'minute', max: 30, scope: 'grant' }],
});

export const EXAMPLE_POLICY = {
  version: '1',
  description: 'Flux Pro: thirty pictures and thirty edits a minute; looking is free.',
  default: 'deny',
  tools: {
    flux_generate_image: perMinute('flux_generate_image'),
    flux_edit_image: perMinute('flux_edit_image'),
    flux_get_task: {},
    flux_get_tasks_batch: {},
    flux_list_models: {},
    flux_list_actions: {},
  },
  resources: { allow: ['flux://images'] },
  prompts: { allow: ['*'] },
};

interface GrantFile {
  grant: string;
  token: string;
}

/** Where the Flux Pro server's sources are, beside this program. */
function fluxTransport(dataDir: string): Transport {
  const index = fileURLToPath(import.meta.resolve('@gatehouse/flux'));
  const main = join(dirname(index), index.endsWith('.ts') ? 'main.ts' : 'main.js');
  return {
    kind: 'stdio',
    command: process.execPath,
    args: [main, '--transport', 'stdio', '--data', join(resolve(dataDir), SLUG)],
    environment: {},
  };
}

/** Makes what is missing and leaves what is there as it is. @returns the token, if the example grant still holds */
export async function prepareExample(gateway: Gateway, dataDir: string): Promise<string | undefined> {
  const { services } = gateway;
  const transport = fluxTransport(dataDir);
  const found = services.servers.list().find((server) => server.slug === SLUG);
  const fresh = found === undefined;
  if (fresh) {
    await services.servers.create({ slug: SLUG, name: 'Flux Pro', transport }, ACTOR);
  } else if (found.transport.kind === 'stdio' && JSON.stringify(found.transport) !== JSON.stringify(transport)) {
    // The clone or its Node moved; everything else of the server is the person's.
    await services.servers.update(SLUG, { transport }, undefined, ACTOR);
  }
  if (fresh || services.definitions.list(SLUG).length === 0) {
    await gateway.readDefinitions(SLUG, { accept: true, actor: ACTOR });
  }
  if (fresh || !services.policies.list(SLUG).some((policy) => policy.name === POLICY)) {
    await services.policies.put(SLUG, POLICY, EXAMPLE_POLICY, 0, ACTOR);
  }
  return exampleToken(gateway, join(dataDir, GRANT_FILE));
}

async function exampleToken({ services }: Gateway, file: string): Promise<string | undefined> {
  const known = services.identities.list().some((identity) => identity.name === IDENTITY);
  const grant = known ? services.grants.list({ server: SLUG, identity: IDENTITY })[0] : undefined;
  if (grant === undefined) {
    const made = await services.grants.create(
      { server: SLUG, identity: IDENTITY, identityKind: 'person', policy: POLICY, label: 'example' },
      ACTOR,
    );
    return keep(file, made.grant, made.secret);
  }
  // Revoked by hand: a start does not give it back.
  if (grant.revokedAt !== undefined) return undefined;
  const kept = readGrantFile(file);
  if (kept?.grant === grant.id) return kept.token;
  const { secret } = await services.grants.rotate(grant.id, 0, ACTOR);
  return keep(file, grant, secret);
}

function keep(file: string, grant: Grant, token: string | undefined): string | undefined {
  if (token !== undefined) writePrivateJson(file, { grant: grant.id, token } satisfies GrantFile);
  return token;
}

function readGrantFile(file: string): GrantFile | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const value = parsePlainJson(readFileSync(file, 'utf8')) as Partial<GrantFile>;
    return typeof value.grant === 'string' && typeof value.token === 'string'
      ? { grant: value.grant, token: value.token }
      : undefined;
  } catch {
    // Damaged: a new token is made in its place.
    return undefined;
  }
}

export function addStartCommand(program: Command, context: Context): void {
  const command = defineCommand(program, 'start', {
    description: 'the gateway with the Flux Pro server behind it, a policy and a grant: the example of npm start',
    examples: ['gatehouse start', 'npm start -- --port 9000 --data ./data --ready-file ./ready.json'],
  })
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <number>', 'port to listen on; 0 takes a free one (default: 8080, with TLS 8443)')
    .option('--ready-file <file>', 'written when it is ready: addresses and tokens, as JSON, mode 600');
  handle<ServeOptions>(context, command, (_, options) =>
    serveGateway(context, options, async (gateway, { data, proxyUrl }) => {
      const token = await prepareExample(gateway, data);
      return {
        tokens: token === undefined ? {} : { [SLUG]: token },
        announce: () => {
          if (token === undefined) context.out.text('The example grant was revoked, so there is no token to show.');
          else for (const line of clientLines(SLUG, proxyUrl(SLUG), token)) context.out.text(line);
        },
      };
    }),
  );
}
