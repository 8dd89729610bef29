// Repeated equal denials of one grant: the first of a period make a record each, the rest is one record with their exact
// count (spec: audit, first paragraph), so that an agent in a loop, or one that means harm, cannot fill the log.
import { CLIENT_METHODS } from '@gatehouse/wire';
import type { AuditLog } from '../audit/log.ts';
import type { DecisionRecord } from '../audit/record.ts';
import { Aggregates, PERIOD_MS, type SeriesFields } from './aggregates.ts';
import type { Inbound } from './gate.ts';

/** Denials of one grant, method, tool and rule in one period that make a record each. */
export const OWN_RECORDS = 10;
/** Beyond it, a denial of another kind makes its own record: none is lost or counted for another. */
const MAX_KINDS = 10_000;
/** Source addresses that the record of a series names. */
const MAX_SOURCES = 8;

/** What makes two denials of a grant equal. Nothing that a client may choose freely: kinds would be without number. */
export interface DenialKind {
  decision: DecisionRecord;
  method?: string | undefined;
  /** A tool of the pinned definitions. */
  tool?: string | undefined;
  definition?: string | undefined;
  /** What tells denials under one rule apart, out of a small set. */
  reason?: string | undefined;
}

export class RepeatedDenials {
  readonly #aggregates: Aggregates;
  readonly #clock: () => number;

  constructor(audit: Pick<AuditLog, 'enqueue'>, newRequestId: () => string, clock: () => number) {
    this.#aggregates = new Aggregates({ audit, newRequestId, own: OWN_RECORDS, maxKinds: MAX_KINDS });
    this.#clock = clock;
  }

  /** @returns the request id of a denial that was counted; undefined: it makes its own record */
  add(inbound: Inbound, kind: DenialKind): string | undefined {
    const { grant, source } = inbound;
    const { decision, tool, reason = '' } = kind;
    const method = knownMethod(inbound, kind.method);
    const { rule = '', policy } = decision;
    // Line feeds stand in none of them but the rule, which comes last.
    const key = `${grant.id}\n${method}\n${tool ?? ''}\n${policy?.version ?? ''}\n${reason}\n${decision.outcome}\n${rule}`;
    const series = this.#aggregates.add(key, () => fieldsOf(inbound, method, kind, this.#clock()));
    if (series === undefined) return undefined;
    const sources = series.fields.detail.sources as string[];
    if (sources.length < MAX_SOURCES && source !== '' && !sources.includes(source)) sources.push(source);
    return `${series.id}.${series.count}`;
  }

  /** Writes what was counted so far, for who asks what became of a request. */
  flush(): void {
    this.#aggregates.flush();
  }

  /** Writes the rest; afterwards every denial makes its own record. */
  close(): void {
    this.#aggregates.close();
  }
}

function knownMethod(inbound: Inbound, method: string | undefined): string {
  if (method === undefined) return '';
  return CLIENT_METHODS.has(method) || inbound.grant.entry.vendorMethods.has(method) ? method : '';
}

function fieldsOf(inbound: Inbound, method: string, kind: DenialKind, now: number): SeriesFields {
  const { grant } = inbound;
  const { decision, tool, definition, reason } = kind;
  return {
    grant: { id: grant.id, label: grant.label },
    identity: { id: grant.identityId, name: grant.identityName },
    server: grant.entry.server.slug,
    ...(method === '' ? {} : { method }),
    ...(tool === undefined ? {} : { tool }),
    ...(definition === undefined ? {} : { definition }),
    // Messages of one rule may differ, as in the time that is left: this is the first one's.
    decision,
    detail: {
      ...(reason === undefined ? {} : { refused: reason }),
      since: new Date(now).toISOString(),
      windowMs: PERIOD_MS,
      sources: [],
    },
  };
}
