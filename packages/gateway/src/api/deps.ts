import type { AuditLog } from '../audit/log.ts';
import type { Upkeep } from '../audit/upkeep.ts';
import type { Backups } from '../backup/jobs.ts';
import type { KeyRotation } from '../key-rotation.ts';
import type { Counters } from '../limits/counters.ts';
import type { Actor } from '../model.ts';
import type { IntakeReport, Services } from '../services.ts';

/** What the API needs of the program around it. */
export interface ApiRuntime {
  /**
   * Asks the server for its tools and takes them in.
   * @throws GatehouseError upstream_unreachable
   */
  readDefinitions(slug: string, options: { accept?: boolean; actor: Actor }): Promise<IntakeReport>;
  /** The URL that clients of this server use. */
  proxyUrl(slug: string): string;
  version: string;
  /** RFC 3339. */
  startedAt: string;
  instanceId: string;
  dataDir: string;
  /** Writes what is counted and not yet recorded (equal denials), so that it is found. */
  flushRepeated(): void;
  backups: Pick<Backups, 'start' | 'get'>;
  /**
   * Makes a new secret key and goes on under it.
   * @throws GatehouseError config_invalid, conflict, audit_unavailable, store_unavailable
   */
  rotateKey(actor: Actor): Promise<KeyRotation>;
  /** One word for people, such as `up`, `down`, `idle`. */
  upstreamState(slug: string): string;
}

export interface ApiDeps {
  services: Services;
  audit: AuditLog;
  upkeep: Upkeep;
  counters: Pick<Counters, 'look' | 'stats'>;
  runtime: ApiRuntime;
  /** Derived from the secret key, and another one after that was changed; compared in constant time. */
  readonly adminToken: string;
  /** Milliseconds since the epoch. */
  clock: () => number;
  /** Told of every error that no clause expects; the caller only learns the request id. Default: nobody is told. */
  onFault?: (error: unknown, requestId: string) => void;
}

/** What every handler finds in its context. */
export interface ApiEnv {
  Variables: {
    /** Of this request to the API; in the answer's `X-Request-Id` and in problem documents. */
    requestId: string;
    actor: Actor;
  };
}
