// What the choke point works with. Made once by gateway.ts; nothing in it changes while a call runs but what says so.
import type { LimitCharge } from '@gatehouse/policy';
import type { AuditLog, Durability } from '../audit/log.ts';
import { GatehouseError } from '../errors.ts';
import {
  type CallUnderWay,
  type Counters,
  CountersUnavailableError,
  type Receipt,
  type ReserveResult,
} from '../limits/counters.ts';
import type { Metrics } from '../metrics.ts';
import type { Directory, GrantEntry, ServerEntry } from '../model.ts';
import type { IntakeReport, ObservedTool } from '../services.ts';
import type { Upstream } from '../upstreams/upstream.ts';
import type { RepeatedDenials } from './denials.ts';
import type { ProtocolHeaders } from './exchange.ts';
import type { ServerRequestIds } from './inbound.ts';
import type { ListChanges } from './list-changes.ts';
import type { RequestStates } from './request-state.ts';
import type { SeenDefinitions } from './seen.ts';
import type { Sessions } from './sessions.ts';
import type { Tasks } from './tasks.ts';

export interface Gate {
  readonly directory: Directory;
  readonly audit: AuditLog;
  readonly counters: Counters;
  readonly sessions: Sessions;
  /** Addresses for the messages of clients of HTTP+SSE. */
  readonly sseAddresses: Sessions;
  readonly serverRequests: ServerRequestIds;
  readonly requestStates: RequestStates;
  readonly tasks: Tasks;
  readonly seen: SeenDefinitions;
  readonly listChanges: ListChanges;
  readonly denials: RepeatedDenials;
  readonly metrics: Metrics;
  readonly clock: () => number;
  readonly newRequestId: () => string;
  readonly limits: { maxDepth: number; callDeadline: number };
  readonly durability: 'class' | 'fsync' | 'commit';
  /** The transport of a server as it is now. */
  upstream(entry: ServerEntry): Upstream;
  /** Stores definitions that were not seen before, before the page that showed them goes on (spec: gateway §6). */
  intake(slug: string, observed: readonly ObservedTool[]): Promise<IntakeReport>;
  /** Answers a request of the upstream that its settings do not let through. */
  answerUpstream(
    entry: ServerEntry,
    answer: { body: Uint8Array; session: string | undefined; lane: string; version: string | undefined },
  ): void;
  /** Tells a child that nobody waits for a request any more. @param cancelled the id raw, as the child knows it */
  cancelUpstream(entry: ServerEntry, cancelled: { id: string; lane: string }): void;
  /** The server says that its tools changed: they are read again, behind the call. */
  toolsChanged(slug: string): void;
}

/** One message of a client, authenticated and not yet looked into. */
export interface Inbound {
  readonly grant: GrantEntry;
  readonly body: Uint8Array;
  readonly headers: ProtocolHeaders;
  /** Remote address as configured; empty for stdio. */
  readonly source: string;
  /**
   * Authenticates the same client again, for a judgement that has to be made anew (spec: gateway §5).
   * Default: the grant as the directory has it.
   */
  readonly reauthenticate?: () => GrantEntry | undefined;
  /** A client on stdio has one session and sends no id for it: the one that its `initialize` opened. */
  readonly stdio?: { session?: string };
}

/** The gateway's own identity, under which its own messages pass the same door (P1). */
export const GATEHOUSE = 'gatehouse';

export function gatehouseGrant(entry: ServerEntry): GrantEntry {
  return {
    id: GATEHOUSE,
    label: GATEHOUSE,
    identityId: GATEHOUSE,
    identityName: GATEHOUSE,
    caller: {
      identity: { id: GATEHOUSE, name: GATEHOUSE, groups: [] },
      grant: { id: GATEHOUSE, label: GATEHOUSE, attributes: {} },
      server: { slug: entry.server.slug },
    },
    entry,
    policy: undefined,
  };
}

export function isGatehouse(grant: GrantEntry): boolean {
  return grant.id === GATEHOUSE;
}

/**
 * The transport of a server, if the server is still the one that was judged.
 * @throws GatehouseError conflict: an older revision would wake what was closed, under settings that hold no more
 */
export function transportOf(gate: Gate, entry: ServerEntry): Upstream {
  const { id, revision, slug } = entry.server;
  const now = gate.directory.server(slug)?.server;
  if (now?.id !== id || now.revision !== revision) {
    throw new GatehouseError('conflict', `The server ${slug} was changed meanwhile. Try again.`);
  }
  return gate.upstream(entry);
}

/** P3: read-class calls survive the death of the process, everything above survives power loss, unless set otherwise. */
export function durabilityOf(gate: Gate, read: boolean): Durability {
  if (gate.durability === 'fsync') return 'power';
  if (gate.durability === 'commit') return 'process';
  return read ? 'process' : 'power';
}

/**
 * Reserves all limits of a call, or none. `unavailable`: the counters do not work, so that nothing with a limit may pass
 * (spec: gateway §9); the reason, where there is one to tell.
 */
export function reserveLimits(
  gate: Gate,
  charges: readonly LimitCharge[],
  now: number,
  call: CallUnderWay,
): ReserveResult | Unavailable | Promise<ReserveResult | Unavailable> {
  const failed = (error: unknown): Unavailable => {
    gate.metrics.fault(error);
    return { unavailable: error instanceof CountersUnavailableError ? ` (${error.reason})` : '' };
  };
  try {
    const result = gate.counters.reserve(charges, now, call);
    return result instanceof Promise ? result.catch(failed) : result;
  } catch (error) {
    return failed(error);
  }
}

interface Unavailable {
  /** Why, in brackets; empty where only the program log may say. */
  readonly unavailable: string;
}

/** Gives a reservation back; a counter store that fails here keeps the units, which errs on the safe side. */
export function releaseReservation(gate: Gate, receipt: Receipt | undefined): void {
  if (receipt === undefined) return;
  try {
    gate.counters.release(receipt)?.catch((error: unknown) => gate.metrics.fault(error));
  } catch (error) {
    gate.metrics.fault(error);
  }
}

/** Frees the slots of a call that is over; a counter store that fails here holds them until the call's deadline. */
export function freeSlots(gate: Gate, receipt: Receipt): void {
  try {
    gate.counters.free(receipt)?.catch((error: unknown) => gate.metrics.fault(error));
  } catch (error) {
    gate.metrics.fault(error);
  }
}
