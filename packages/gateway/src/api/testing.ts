// For the tests of this folder: the API over the real control plane, log and counters in a temporary folder.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020, type AnySchemaObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { HeadExport } from '../audit/head-export.ts';
import { type AuditLog, openAuditLog } from '../audit/log.ts';
import { openRetention } from '../audit/upkeep.ts';
import { Backups } from '../backup/jobs.ts';
import { openControlPlane } from '../control.ts';
import { GatehouseError } from '../errors.ts';
import { deriveKeys } from '../keys.ts';
import { MemoryCounters } from '../limits/memory.ts';
import type { Actor } from '../model.ts';
import type { Services } from '../services.ts';
import { type ApiApp, createApi } from './app.ts';

export const ADMIN_TOKEN = 'gha_test-admin-token-0123456789abcdefghij';
export const NOW = Date.UTC(2026, 4, 1, 8);

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by tests, each of which knows its own shape
  body: any;
  text: string;
}

export interface TestApi {
  /** Its data folder. */
  dir: string;
  app: ApiApp;
  services: Services;
  audit: AuditLog;
  counters: MemoryCounters;
  /** What the server of this slug lists when it is read; without an entry it cannot be reached. */
  upstream: Map<string, unknown[]>;
  faults: unknown[];
  now: { value: number };
  /** A request with the admin token; its answer is checked against the OpenAPI document. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  close(): Promise<void>;
}

const JSON_TYPE = /^application\/(problem\+)?json$/;

interface Operation {
  responses: Record<string, { content?: Record<string, { schema: AnySchemaObject }> }>;
}

interface ApiDocument {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, AnySchemaObject> };
}

// An answer with a member that the document does not name would go unseen: close every object that names its members.
function close(node: unknown): void {
  if (typeof node !== 'object' || node === null) return;
  const schema = node as Record<string, unknown>;
  if (schema.type === 'object' && schema.properties !== undefined) schema.additionalProperties ??= false;
  for (const inner of Object.values(schema)) close(inner);
}

/** Checks answers against the OpenAPI document, closed: what it does not name may not be there. */
class AnswerCheck {
  readonly #paths: [RegExp, string][];
  readonly #document: ApiDocument;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  readonly #compiled = new Map<string, ValidateFunction>();

  constructor(document: ApiDocument) {
    this.#document = structuredClone(document);
    close(this.#document);
    this.#ajv.addSchema({ ...this.#document, $id: 'api' });
    this.#paths = Object.keys(document.paths).map((path) => [
      new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`),
      path,
    ]);
    // `/policies/check` before `/policies/{name}`.
    this.#paths.sort(([, a], [, b]) => a.split('{').length - b.split('{').length);
  }

  check(method: string, path: string, answer: Answer): void {
    const template = this.#paths.find(([pattern]) => pattern.test(path.split('?')[0]!))?.[1];
    if (template === undefined) return;
    const operation = this.#document.paths[template]![method.toLowerCase()];
    if (operation === undefined) return;
    const where = `${method} ${template} → ${answer.status}`;
    const response = operation.responses[answer.status];
    if (response === undefined) throw new Error(`${where}: the document does not name this status: ${answer.text}`);
    const type = (answer.headers.get('content-type') ?? '').split(';')[0]!;
    if (response.content === undefined) {
      if (answer.text !== '') throw new Error(`${where}: a body that the document does not name`);
      return;
    }
    if (response.content[type] === undefined) throw new Error(`${where}: the document does not name ${type}`);
    if (!JSON_TYPE.test(type)) return;
    const pointer = [
      'paths',
      template,
      method.toLowerCase(),
      'responses',
      `${answer.status}`,
      'content',
      type,
      'schema',
    ];
    const ref = `api#/${pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
    let validate = this.#compiled.get(ref);
    if (validate === undefined) {
      validate = this.#ajv.compile({ $ref: ref });
      this.#compiled.set(ref, validate);
    }
    const fits: unknown = validate(answer.body);
    if (fits !== true) throw new Error(`${where}: ${this.#ajv.errorsText(validate.errors)}\n${answer.text}`);
  }
}

export async function openTestApi(): Promise<TestApi> {
  const dir = mkdtempSync(join(tmpdir(), 'gatehouse-api-'));
  const now = { value: NOW };
  const clock = (): number => now.value;
  const keys = deriveKeys(randomBytes(32), 'test');
  const { services, audit, instanceId, copyStore } = await openControlPlane({
    dataDir: dir,
    keys,
    clock,
    openAudit: () =>
      openAuditLog({
        dir: join(dir, 'audit'),
        clock,
        hmacKey: randomBytes(32),
        signingSeed: randomBytes(32),
        keyId: keys.keyId,
      }),
  });
  const counters = new MemoryCounters({ monotonic: clock });
  const upstream = new Map<string, unknown[]>();
  const faults: unknown[] = [];
  const readDefinitions = async (slug: string, { accept, actor }: { accept?: boolean; actor: Actor }) => {
    const tools = upstream.get(slug);
    if (tools === undefined)
      throw new GatehouseError('upstream_unreachable', `The server ${slug} refused the connection.`);
    const observed = tools.map((value) => ({ bytes: new TextEncoder().encode(JSON.stringify(value)), value }));
    return services.definitions.intake(slug, observed, {
      complete: true,
      actor,
      ...(accept === true ? { accept } : {}),
    });
  };
  const upkeep = {
    heads: new HeadExport({ sinks: [], clock }),
    retention: openRetention(audit, { age: 400 * 86_400_000, clock, shared: false, log: () => undefined }),
  };
  const app = createApi({
    services,
    audit,
    upkeep,
    counters,
    clock,
    adminToken: ADMIN_TOKEN,
    onFault: (error) => faults.push(error),
    runtime: {
      readDefinitions,
      proxyUrl: (slug) => `http://127.0.0.1:8080/mcp/${slug}`,
      version: '0.0.0',
      startedAt: new Date(NOW).toISOString(),
      instanceId: 'ins_test',
      dataDir: dir,
      flushRepeated: () => undefined,
      backups: new Backups({
        dataDir: dir,
        instanceId,
        audit,
        copyStore,
        ring: () => ({ current: keys, previous: [] }),
        clock,
      }),
      rotateKey: async () => {
        throw new GatehouseError('config_invalid', 'The secret key comes from GATEHOUSE_SECRET_KEY.');
      },
      upstreamState: () => 'idle',
    },
  });
  const check = new AnswerCheck((await (await app.request('/api/v1/openapi.json')).json()) as ApiDocument);
  return {
    dir,
    app,
    services,
    audit,
    counters,
    upstream,
    faults,
    now,
    async call(method, path, body, headers = {}) {
      const sent: Record<string, string> = { authorization: `Bearer ${ADMIN_TOKEN}` };
      const init: RequestInit = { method };
      if (body !== undefined) {
        sent['content-type'] = 'application/json';
        init.body = typeof body === 'string' ? body : JSON.stringify(body);
      }
      init.headers = { ...sent, ...headers };
      const response = await app.request(`/api/v1${path}`, init);
      const text = await response.text();
      const isJson = JSON_TYPE.test((response.headers.get('content-type') ?? '').split(';')[0]!);
      const answer: Answer = {
        status: response.status,
        headers: response.headers,
        text,
        body: isJson ? JSON.parse(text) : undefined,
      };
      check.check(method, `/api/v1${path}`, answer);
      return answer;
    },
    async close() {
      await services.close();
      await audit.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Tools as a server lists them. */
export const DRAW = {
  name: 'draw',
  description: 'Draws a picture.',
  inputSchema: {
    type: 'object',
    properties: { prompt: { type: 'string' }, count: { type: 'integer' } },
    required: ['prompt', 'count'],
  },
};
export const LIST_MODELS = {
  name: 'list_models',
  description: 'Lists the models.',
  annotations: { readOnlyHint: true },
  inputSchema: { type: 'object', properties: {} },
};

/** A policy for {@link DRAW}: at most four at once, thirty a minute. */
export const POLICY = {
  version: '1',
  default: 'deny',
  tools: {
    draw: {
      args: { count: { lte: 4 } },
      limits: [{ counter: 'draw_rate', window: 'minute', max: 30, scope: 'grant' }],
    },
  },
};

/** A server with both tools accepted, the policy `default`, and a grant for ana; answers its secret. */
export async function fillTestApi(api: TestApi): Promise<{ grantId: string; secret: string }> {
  api.upstream.set('flux', [DRAW, LIST_MODELS]);
  const server = { slug: 'flux', transport: { kind: 'http', url: 'http://127.0.0.1:9/mcp' }, accept: true };
  const answers = [
    await api.call('POST', '/servers', server),
    await api.call('PUT', '/servers/flux/policies/default', POLICY),
  ];
  const granted = await api.call('POST', '/grants', {
    server: 'flux',
    identity: 'ana',
    policy: 'default',
    label: 'ana on flux',
  });
  for (const answer of [...answers, granted]) if (answer.status !== 201) throw new Error(answer.text);
  return { grantId: granted.body.grant.id, secret: granted.body.secret };
}
