// Puts the parts together. Everything that a process needs is opened here once and closed here in the reverse order.
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import type { ApiApp } from './api/app.ts';
import { createApi } from './api/app.ts';
import { type AuditLog, openAuditLog } from './audit/log.ts';
import type { Settings } from './config.ts';
import { openControlPlane } from './control.ts';
import { readTools } from './definitions/read.ts';
import { GatehouseError } from './errors.ts';
import { adminToken, loadSecretKey, type SecretKeys } from './keys.ts';
import type { Counters, CountersUnavailableError } from './limits/counters.ts';
import { MemoryCounters } from './limits/memory.ts';
import { recoverCounters } from './limits/recover.ts';
import { SqliteCounters } from './limits/sqlite.ts';
import { thisMachine } from './limits/store-time.ts';
import { Listener } from './listener.ts';
import { Metrics } from './metrics.ts';
import type { Actor } from './model.ts';
import { answerUpstream } from './proxy/call.ts';
import type { Gate } from './proxy/gate.ts';
import { ServerRequestIds } from './proxy/inbound.ts';
import { SeenDefinitions } from './proxy/seen.ts';
import { Sessions } from './proxy/sessions.ts';
import type { IntakeReport, ObservedTool, Services } from './services.ts';
import { Upstreams } from './upstreams/registry.ts';
import { VERSION } from './version.ts';

/** Written beside the store while a server listens, so that the command line finds it. Holds no secret. */
export const SERVER_FILE = 'server.json';
/** Folder of the audit log inside the data folder. */
export const AUDIT_FOLDER = 'audit';

const GATEHOUSE_ACTOR: Actor = { kind: 'gatehouse', id: 'gatehouse' };

export interface OpenOptions {
  env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since 1970. Default: the system's clock. */
  clock?: () => number;
  /** Milliseconds of a clock that never steps. Default: `performance.now`. */
  monotonic?: () => number;
  /** Default: JSON lines on standard error. */
  logger?: Logger;
  /** Default: `audit` in the data folder. */
  auditDir?: string;
  /**
   * A file of counters that several processes share; its log is theirs too. Default: counters in memory, rebuilt from the
   * log, for the one process that uses the data folder.
   */
  sharedCounters?: {
    path: string;
    /** Told once for each cause why calls with a limit are denied. */
    onUnavailable: (error: CountersUnavailableError) => void;
  };
  /** Told what a list that a client saw changed in the definitions. */
  onIntake?: (slug: string, report: IntakeReport) => void;
}

export interface Addresses {
  /** Where a person looks. */
  console: string;
  api: string;
  proxyUrl(slug: string): string;
}

export interface Gateway {
  readonly api: ApiApp;
  readonly services: Services;
  readonly audit: AuditLog;
  readonly adminToken: string;
  readonly instanceId: string;
  /** What the data plane works with, for a front end beside HTTP. */
  readonly gate: Gate;
  /** The tools that a server lists now. @throws GatehouseError upstream_unreachable */
  readTools(slug: string): Promise<ObservedTool[]>;
  /** Reads a server's tools now and takes them in. @throws GatehouseError upstream_unreachable */
  readDefinitions(slug: string, options: { accept?: boolean; actor: Actor }): Promise<IntakeReport>;
  /** @throws GatehouseError conflict when the address is taken */
  listen(): Promise<Addresses>;
  close(): Promise<void>;
}

/**
 * Opens the store, the keys, the log and the data plane; listens to nothing yet.
 * @throws GatehouseError key_missing, store_locked, store_newer, audit_unavailable, config_invalid
 */
export async function openGateway(settings: Settings, options: OpenOptions): Promise<Gateway> {
  const clock = options.clock ?? Date.now;
  const logger = options.logger ?? pino({ level: settings.log_level }, pino.destination({ dest: 2, sync: false }));
  const dataDir = settings.data;
  const keys = loadSecretKey({
    env: options.env,
    dataDir,
    create: true,
    ...(settings.secret_key_file === undefined ? {} : { file: settings.secret_key_file }),
  });
  const startedAt = new Date(clock()).toISOString();
  const { services, audit, instanceId } = await openControlPlane({
    dataDir,
    keys,
    clock,
    openAudit: () =>
      openAuditLog({
        dir: options.auditDir ?? join(dataDir, AUDIT_FOLDER),
        clock,
        hmacKey: keys.bytes('audit-hmac'),
        signingSeed: keys.bytes('audit-signing'),
        keyId: keys.keyId,
      }),
  });
  let counters: Counters;
  try {
    counters = await openCounters(options, audit, { clock, logger });
  } catch (error) {
    await audit.close();
    await services.close();
    throw error;
  }
  return assemble({
    settings,
    clock,
    counters,
    logger,
    keys,
    startedAt,
    services,
    audit,
    instanceId,
    onIntake: options.onIntake,
  });
}

async function openCounters(
  options: OpenOptions,
  audit: AuditLog,
  { clock, logger }: { clock: () => number; logger: Logger },
): Promise<Counters> {
  const recover = async () => {
    const recovered = await recoverCounters(audit.exportLines({}), clock());
    if (recovered.unreadable > 0) {
      logger.warn(
        { unreadable: recovered.unreadable },
        'the audit log has damaged records, whose limits are not counted; run gatehouse audit verify',
      );
    }
    return recovered;
  };
  if (options.sharedCounters !== undefined) {
    const shared = new SqliteCounters({ ...options.sharedCounters, machine: thisMachine(), clock, recover });
    await shared.start();
    return shared;
  }
  const counters = new MemoryCounters({ monotonic: options.monotonic ?? (() => performance.now()) });
  const { states, openCalls } = await recover();
  counters.inherit(states);
  counters.inheritSlots(openCalls);
  return counters;
}

interface Parts {
  settings: Settings;
  clock: () => number;
  counters: Counters;
  logger: Logger;
  keys: SecretKeys;
  startedAt: string;
  services: Services;
  audit: AuditLog;
  instanceId: string;
  onIntake: OpenOptions['onIntake'];
}

function assemble({
  settings,
  clock,
  counters,
  logger,
  keys,
  startedAt,
  services,
  audit,
  instanceId,
  onIntake,
}: Parts): Gateway {
  const dataDir = settings.data;
  const metrics = new Metrics((error) => logger.error({ err: error }, 'a fault denied a message'));
  metrics.observe(audit, counters);
  const upstreams = new Upstreams({
    maxResult: settings.max_result,
    idleStream: settings.idle_stream,
    userAgent: `gatehouse/${VERSION}`,
    clock,
    log: (event, detail) => logger.warn(detail, event),
  });
  const seen = new SeenDefinitions();
  const { directory } = services;
  const gate: Gate = {
    directory,
    audit,
    counters,
    sessions: new Sessions(keys.sessions, clock, settings.session_lifetime, randomUUID()),
    serverRequests: new ServerRequestIds(keys.sessions, clock),
    seen,
    metrics,
    clock,
    newRequestId: randomUUID,
    limits: { maxDepth: settings.max_depth, callDeadline: settings.call_deadline },
    durability: settings.audit.durability,
    upstream: (entry) => upstreams.of(entry),
    intake: async (slug, observed) => {
      const report = await services.definitions.intake(slug, observed, { complete: false, actor: GATEHOUSE_ACTOR });
      onIntake?.(slug, report);
      return report;
    },
    answerUpstream: (entry, answer) =>
      void answerUpstream(gate, entry, answer).catch((error: unknown) => metrics.fault(error)),
    toolsChanged: (slug) => refreshing.request(slug),
  };

  function toolsOf(slug: string): Promise<ObservedTool[]> {
    const entry = directory.server(slug);
    if (entry === undefined) throw new GatehouseError('not_found', `There is no server ${slug}.`);
    return readTools(gate, entry, VERSION);
  }
  async function readDefinitions(
    slug: string,
    { accept, actor }: { accept?: boolean; actor: Actor },
  ): Promise<IntakeReport> {
    const observed = await toolsOf(slug);
    return services.definitions.intake(slug, observed, {
      complete: true,
      actor,
      ...(accept === true ? { accept } : {}),
    });
  }
  const refreshing = new Refreshing((slug) =>
    readDefinitions(slug, { actor: GATEHOUSE_ACTOR }).catch((error: unknown) =>
      logger.warn({ server: slug, reason: error instanceof Error ? error.message : String(error) }, 'tools not read'),
    ),
  );
  directory.onChange(() => {
    upstreams.keep(new Set([...directory.servers()].map((entry) => entry.server.id)));
  });

  let addresses: Addresses | undefined;
  const token = adminToken(keys, instanceId);
  const api = createApi({
    services,
    audit,
    counters,
    adminToken: token,
    clock,
    onFault: (error, requestId) => logger.error({ err: error, requestId }, 'a fault in the API'),
    runtime: {
      readDefinitions,
      proxyUrl: (slug) => addresses?.proxyUrl(slug) ?? `${baseUrl(settings, settings.port)}/mcp/${slug}`,
      version: VERSION,
      startedAt,
      instanceId,
      dataDir,
      upstreamState: (slug) => {
        const entry = directory.server(slug);
        return entry === undefined ? 'unknown' : upstreams.state(entry.server.id);
      },
    },
  });
  const listener = new Listener({ gate, api, settings, metrics, logger, upstreamState: (id) => upstreams.state(id) });
  let closing: Promise<void> | undefined;

  return {
    api,
    services,
    audit,
    adminToken: token,
    instanceId,
    gate,
    readTools: async (slug) => toolsOf(slug),
    readDefinitions,
    async listen() {
      const port = await listener.listen();
      const url = baseUrl(settings, port);
      addresses = { console: `${url}/`, api: `${url}/api/v1`, proxyUrl: (slug) => `${url}/mcp/${slug}` };
      const local = `http://${localHost(settings.host)}:${port}/api/v1`;
      writeFileSync(
        join(dataDir, SERVER_FILE),
        `${JSON.stringify({ pid: process.pid, api: local, started: startedAt, instance: instanceId })}\n`,
        { mode: 0o600 },
      );
      logger.debug({ url, data: dataDir }, 'listening');
      return addresses;
    },
    close() {
      closing ??= (async () => {
        if (addresses !== undefined) rmSync(join(dataDir, SERVER_FILE), { force: true });
        await listener.close();
        await upstreams.close();
        await counters.close?.();
        await audit.close();
        await services.close();
      })();
      return closing;
    },
  };
}

/** A server that says so on every reading would else be read without a pause. */
const REFRESH_PAUSE_MS = 1_000;

/** Reads a server's tools again when it says that they changed: one at a time, and once more if it said so meanwhile. */
class Refreshing {
  readonly #read: (slug: string) => Promise<unknown>;
  readonly #running = new Map<string, { again: boolean }>();

  constructor(read: (slug: string) => Promise<unknown>) {
    this.#read = read;
  }

  request(slug: string): void {
    const running = this.#running.get(slug);
    if (running !== undefined) {
      running.again = true;
      return;
    }
    const state = { again: false };
    this.#running.set(slug, state);
    void this.#read(slug).finally(() => {
      setTimeout(() => {
        this.#running.delete(slug);
        if (state.again) this.request(slug);
      }, REFRESH_PAUSE_MS).unref();
    });
  }
}

function localHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

function baseUrl(settings: Settings, port: number): string {
  return (settings.public_url ?? `http://${localHost(settings.host)}:${port}`).replace(/\/+$/, '');
}
