// The control API: Hono with zod-openapi, one file per resource.
import { OpenAPIHono } from '@hono/zod-openapi';
import { GatehouseError } from '../errors.ts';
import { auditApi } from './audit.ts';
import { adminOnly } from './auth.ts';
import { backupsApi } from './backups.ts';
import { checkJson, limitBody } from './body.ts';
import { definitionsApi } from './definitions.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { grantsApi } from './grants.ts';
import { identitiesApi } from './identities.ts';
import { judgeApi } from './judge.ts';
import { keysApi } from './keys.ts';
import { policiesApi } from './policies.ts';
import { nameRequest, problemResponse, refuseInvalid } from './problem.ts';
import { retentionApi } from './retention.ts';
import { BEARER_SCHEME } from './route.ts';
import { serversApi } from './servers.ts';
import { statusApi } from './status.ts';
import { tokensApi } from './tokens.ts';
import { whyApi } from './why.ts';

const BASE = '/api/v1';

const DOCUMENT = {
  openapi: '3.1.0',
  info: {
    title: 'Gatehouse control API',
    version: '1',
    description: 'Errors are problem documents (RFC 9457). Single resources answer an ETag; changes take If-Match.',
    license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
  },
};

/** Path patterns with the methods that they take, for 405 and `Allow`. */
function methodTable(definitions: OpenAPIHono['openAPIRegistry']['definitions']) {
  const table = new Map<string, { pattern: RegExp; methods: string[] }>();
  for (const definition of definitions) {
    if (definition.type !== 'route') continue;
    const { path, method } = definition.route;
    const row = table.get(path) ?? {
      pattern: new RegExp(`^${BASE}${path.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`),
      methods: [],
    };
    row.methods.push(method.toUpperCase());
    table.set(path, row);
  }
  const rows = [...table.values()];
  return (path: string): string[] => rows.filter((row) => row.pattern.test(path)).flatMap((row) => row.methods);
}

/**
 * The control plane under `/api/v1` (spec: gateway §2). Everything but the OpenAPI document demands the admin token,
 * unknown paths included. Host and Origin are checked by who listens.
 */
export function createApi(deps: ApiDeps) {
  const base = new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => refuseInvalid(result),
  }).basePath(BASE);

  base.use('*', async (c, next) => {
    nameRequest(c);
    c.header('Cache-Control', 'no-store');
    c.header('X-Content-Type-Options', 'nosniff');
    await next();
  });
  // Made at the first request: by then every route is registered.
  let document: unknown;
  base.get('/openapi.json', (c) => {
    document ??= base.getOpenAPI31Document(DOCUMENT);
    return c.json(document);
  });
  base.openAPIRegistry.registerComponent('securitySchemes', BEARER_SCHEME, {
    type: 'http',
    scheme: 'bearer',
    description: 'The local admin token of the instance.',
  });
  base.use('*', adminOnly(deps), limitBody, checkJson);

  const app = base
    .route('/', statusApi(deps))
    .route('/', serversApi(deps))
    .route('/', definitionsApi(deps))
    .route('/', policiesApi(deps))
    .route('/', judgeApi(deps))
    .route('/', identitiesApi(deps))
    .route('/', tokensApi(deps))
    .route('/', grantsApi(deps))
    .route('/', auditApi(deps))
    .route('/', retentionApi(deps))
    .route('/', whyApi(deps))
    .route('/', keysApi(deps))
    .route('/', backupsApi(deps));

  const methodsOf = methodTable(app.openAPIRegistry.definitions);
  app.onError((error, c) => problemResponse(c, error, deps));
  app.notFound((c) => {
    const { path, method } = c.req;
    const methods = methodsOf(path);
    if (methods.length === 0) {
      return problemResponse(
        c,
        new GatehouseError('not_found', `There is nothing at ${path}; see ${BASE}/openapi.json.`),
        deps,
      );
    }
    c.header('Allow', methods.join(', '));
    return problemResponse(
      c,
      new GatehouseError('method_not_allowed', `${path} takes ${methods.join(', ')}, not ${method}.`),
      deps,
    );
  });
  return app;
}

/** For `hc` of `hono/client`. */
export type ApiApp = ReturnType<typeof createApi>;
