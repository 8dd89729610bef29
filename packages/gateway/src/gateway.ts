// Puts the parts together. Everything that a process needs is opened here once and closed here in the reverse order.
import { randomUUID } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import type { ApiApp } from './api/app.ts';
import { createApi } from './api/app.ts';
import { type AuditLog, type AuditLogOptions, openAuditLog } from './audit/log.ts';
import { changesAfter } from './audit/recorded-changes.ts';
import type { SegmentFiles } from './audit/segments.ts';
import { openHeadExport, openRetention, type Upkeep, type UpkeepLog } from './audit/upkeep.ts';
import { Backups } from './backup/jobs.ts';
import { type Settings, tlsFiles } from './config.ts';
import { openControlPlane } from './control.ts';
import { readTools } from './definitions/read.ts';
import { GatehouseError } from './errors.ts';
import { AUDIT_FOLDER } from './folders.ts';
import { loadKeyRing } from './key-ring.ts';
import { auditKeys, LiveKeys } from './key-rotation.ts';
import type { Counters, CountersUnavailableError } from './limits/counters.ts';
import { MemoryCounters } from './limits/memory.ts';
import { openDurableLimits, openSharedLimits } from './limits/open.ts';
import { Listener } from './listener.ts';
import { Metrics } from './metrics.ts';
import type { Actor } from './model.ts';
import { answerUpstream, cancelUpstream } from './proxy/call.ts';
import { RepeatedDenials } from './proxy/denials.ts';
import type { Gate } from './proxy/gate.ts';
import { ServerRequestIds } from './proxy/inbound.ts';
import { ListChanges } from './proxy/list-changes.ts';
import { RequestStates } from './proxy/request-state.ts';
import { SeenDefinitions } from './proxy/seen.ts';
import { Sessions } from './proxy/sessions.ts';
import { Tasks } from './proxy/tasks.ts';
import type { IntakeReport, ObservedTool, Services } from './services.ts';
import { Upstreams } from './upstreams/registry.ts';
import { VERSION } from './version.ts';

/** Written beside the store while a server listens, so that the command line finds it. Holds no secret. */
export const SERVER_FILE = 'server.json';

const USER_AGENT = `gatehouse/${VERSION}`;
const GATEHOUSE_ACTOR: Actor = { kind: 'gatehouse', id: 'gatehouse' };

export interface OpenOptions {
  env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since 1970. Default: the system's clock. */
  clock?: () => number;
  /** Milliseconds of a clock that never steps. Default: `performance.now`. */
  monotonic?: () => number;
  /** Records between two sets of `counters` records; default 10,000. */
  countersEvery?: number;
  /** Default: JSON lines on standard error. */
  logger?: Logger;
  /** Default: `audit` in the data folder. */
  auditDir?: string;
  /** File operations of the log, for fault tests. */
  auditFiles?: Partial<SegmentFiles>;
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
  /** Told of the new local admin token after the secret key was changed. */
  onAdminToken?: (token: string) => void;
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
  /** Of this moment: it changes with the secret key. */
  readonly adminToken: string;
  readonly instanceId: string;
  /** What goes on beside the log. `listen` starts the retention. */
  readonly upkeep: Upkeep;
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
 * @throws GatehouseError key_missing, store_locked, store_newer, audit_unavailable, audit_lost, config_invalid
 */
export async function openGateway(settings: Settings, options: OpenOptions): Promise<Gateway> {
  const clock = options.clock ?? Date.now;
  const logger = options.logger ?? pino({ level: settings.log_level }, pino.destination({ dest: 2, sync: false }));
  const dataDir = settings.data;
  const loadKeys = (create: boolean) =>
    loadKeyRing({
      env: options.env,
      dataDir,
      create,
      ...(settings.secret_key_file === undefined ? {} : { file: settings.secret_key_file }),
    });
  const ring = loadKeys(true);
  const startedAt = new Date(clock()).toISOString();
  const report: UpkeepLog = (level, detail, message) => logger[level](detail, message);
  const heads = openHeadExport(settings.audit.heads, { clock, userAgent: USER_AGENT, log: report });
  const monotonic = options.monotonic ?? (() => performance.now());
  // A log of its own place belongs to many short runs; their counters, where they have any, are in a file that they share.
  const ownLog = options.auditDir !== undefined;
  const log: AuditLogOptions = {
    dir: options.auditDir ?? join(dataDir, AUDIT_FOLDER),
    clock,
    ...auditKeys(ring.current),
    previousKeys: ring.previous.map(auditKeys),
    // The runs that write such a log are short: the first search takes in what they left.
    indexBehindCalls: !ownLog,
    reserveBytes: settings.audit.reserve,
    onHead: (head) => heads.push(head),
    ...(options.auditFiles === undefined ? {} : { fs: options.auditFiles }),
  };
  let counters: Counters = new MemoryCounters({ monotonic });
  const control = await openControlPlane({
    dataDir,
    keys: ring.current,
    previousKeys: ring.previous,
    clock,
    // Such a log belongs to many stores.
    ...(ownLog ? {} : { changesAfter: (last) => changesAfter(log.dir, last) }),
    openAudit: async () => {
      if (ownLog) return openAuditLog(log);
      const { countersEvery } = options;
      const durable = await openDurableLimits({ dataDir, log, monotonic, logger, countersEvery });
      counters = durable.counters;
      return durable.audit;
    },
  }).catch(async (error: unknown) => {
    await heads.close();
    throw error;
  });
  const { services, audit, instanceId } = control;
  const keys = new LiveKeys({
    ring,
    instanceId,
    audit,
    load: () => loadKeys(false),
    changeKey: control.changeKey,
    onAdminToken: (token) => options.onAdminToken?.(token),
    warn: (error, message) => logger.warn({ err: error }, message),
  });
  const backups = new Backups({
    dataDir,
    instanceId,
    audit,
    copyStore: control.copyStore,
    ring: () => keys.ring,
    clock,
  });
  if (options.sharedCounters !== undefined) {
    counters = await openSharedLimits({ ...options.sharedCounters, logDir: log.dir, clock, logger });
  }
  const retention = openRetention(audit, { age: settings.audit.retention, clock, shared: ownLog, log: report });
  return assemble({
    settings,
    clock,
    monotonic,
    counters,
    logger,
    keys,
    backups,
    startedAt,
    services,
    audit,
    instanceId,
    upkeep: { heads, retention },
    onIntake: options.onIntake,
  });
}

interface Parts {
  settings: Settings;
  clock: () => number;
  monotonic: () => number;
  counters: Counters;
  logger: Logger;
  keys: LiveKeys;
  backups: Backups;
  startedAt: string;
  services: Services;
  audit: AuditLog;
  instanceId: string;
  upkeep: Upkeep;
  onIntake: OpenOptions['onIntake'];
}

function assemble({
  settings,
  clock,
  monotonic,
  counters,
  logger,
  keys,
  backups,
  startedAt,
  services,
  audit,
  instanceId,
  upkeep,
  onIntake,
}: Parts): Gateway {
  const dataDir = settings.data;
  const metrics = new Metrics((error) => logger.error({ err: error }, 'a fault denied a message'));
  metrics.observe(audit, counters);
  metrics.observeUpkeep(upkeep);
  const upstreams = new Upstreams({
    maxResult: settings.max_result,
    idleStream: settings.idle_stream,
    userAgent: USER_AGENT,
    monotonic,
    log: (event, detail) => logger.warn(detail, event),
  });
  const seen = new SeenDefinitions();
  const { directory } = services;
  const gate: Gate = {
    directory,
    audit,
    counters,
    sessions: new Sessions(keys, clock, settings.session_lifetime, randomUUID()),
    sseAddresses: new Sessions(keys, clock, settings.session_lifetime, randomUUID(), 'sse'),
    serverRequests: new ServerRequestIds(keys, clock),
    tasks: new Tasks(keys),
    requestStates: new RequestStates(keys, clock),
    seen,
    listChanges: new ListChanges(directory, clock, (error) => metrics.fault(error)),
    denials: new RepeatedDenials(audit, randomUUID, clock),
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
    cancelUpstream: (entry, cancelled) =>
      void cancelUpstream(gate, entry, cancelled).catch((error: unknown) => metrics.fault(error)),
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
    gate.listChanges.changed();
  });

  let addresses: Addresses | undefined;
  const api = createApi({
    services,
    audit,
    upkeep,
    counters,
    get adminToken() {
      return keys.adminToken;
    },
    clock,
    onFault: (error, requestId) => logger.error({ err: error, requestId }, 'a fault in the API'),
    runtime: {
      readDefinitions,
      proxyUrl: (slug) => addresses?.proxyUrl(slug) ?? `${baseUrl(settings, settings.port)}/mcp/${slug}`,
      version: VERSION,
      startedAt,
      instanceId,
      dataDir,
      flushRepeated: () => gate.denials.flush(),
      backups,
      rotateKey: (actor) => keys.rotate(actor),
      upstreamState: (slug) => {
        const entry = directory.server(slug);
        return entry === undefined ? 'unknown' : upstreams.state(entry.server.id);
      },
    },
  });
  let port = 0;
  /** In PEM: the command line on this machine takes this one alone, since it asks by address and not by name. */
  let certificate: string | undefined;
  const listener = new Listener({
    gate,
    api,
    settings,
    metrics,
    logger,
    upstreamState: (id) => upstreams.state(id),
    onCertificate: ({ leaf }) => {
      certificate = leaf;
      if (addresses === undefined || closing !== undefined) return;
      try {
        writeServerFile();
      } catch (error) {
        logger.error(
          { err: error },
          `${SERVER_FILE} not written: commands on this machine will refuse the certificate`,
        );
      }
    },
  });
  function writeServerFile(): void {
    const local = `${scheme(settings)}://${localHost(settings.host)}:${port}/api/v1`;
    const file = { pid: process.pid, api: local, started: startedAt, instance: instanceId, certificate };
    const path = join(dataDir, SERVER_FILE);
    writeFileSync(`${path}.new`, `${JSON.stringify(file)}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
  let closing: Promise<void> | undefined;

  return {
    api,
    services,
    audit,
    get adminToken() {
      return keys.adminToken;
    },
    instanceId,
    upkeep,
    gate,
    readTools: async (slug) => toolsOf(slug),
    readDefinitions,
    async listen() {
      port = await listener.listen();
      const url = baseUrl(settings, port);
      addresses = { console: `${url}/`, api: `${url}/api/v1`, proxyUrl: (slug) => `${url}/mcp/${slug}` };
      writeServerFile();
      upkeep.retention.start();
      logger.debug({ url, data: dataDir }, 'listening');
      return addresses;
    },
    close() {
      closing ??= (async () => {
        if (addresses !== undefined) rmSync(join(dataDir, SERVER_FILE), { force: true });
        await listener.close();
        await upstreams.close();
        await backups.close();
        gate.denials.close();
        await counters.close?.();
        await upkeep.retention.close();
        try {
          await audit.close();
        } finally {
          // The last head is the one over `stop`.
          await upkeep.heads.close();
          await services.close();
        }
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

const scheme = (settings: Settings): string => (tlsFiles(settings) === undefined ? 'http' : 'https');

function baseUrl(settings: Settings, port: number): string {
  return (settings.public_url ?? `${scheme(settings)}://${localHost(settings.host)}:${port}`).replace(/\/+$/, '');
}
