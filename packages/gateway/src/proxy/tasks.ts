// Tasks of both forms (2025-11-25 core, 2026-07-28 extension): their ids reach clients sealed to grant, server and tool
// (spec: gateway §4, streams), since one upstream credential may serve many callers.
import { createHmac } from 'node:crypto';
import { parsePlainJson } from '@gatehouse/wire';
import type { SealingKeys } from '../key-ring.ts';
import type { Receipt } from '../limits/counters.ts';
import type { GrantEntry } from '../model.ts';
import { openWithAny, sealBytes } from './sessions.ts';

const PREFIX = 'gt1_';
const AAD = Buffer.from('gatehouse task v1');
const NONCE = 12;
/** Longer ones of an upstream are no ids. */
const MAX_ID = 1_024;
/** Tasks that are remembered, the oldest first to go: forgotten ones are served by their ids all the same. */
const MAX_KNOWN = 100_000;
/** Questions of one task that are remembered. */
const MAX_ASKED = 1_000;
const ENDED = new Set(['completed', 'failed', 'cancelled']);

/** Where a task lives: at a server for a grant; at one child, where the server is one. */
export interface TaskScope {
  readonly grant: GrantEntry;
  /** Empty for a server over HTTP, whose tasks are the same on every connection. */
  readonly lane: string;
}

/** A task of a grant, as this process has met it. */
export interface KnownTask {
  readonly grant: string;
  readonly tool: string;
  /** The upstream's own id. */
  readonly id: string;
  /** As the client knows it. */
  readonly sealed: string;
  /** Keys of the answers that the server asked for. Absent: nothing was seen of it since this process began. */
  asked?: Set<string>;
  /** Slots that the call holds until the task ends (spec: policy §5). */
  slots?: Receipt;
}

export class Tasks {
  readonly #keys: SealingKeys;
  readonly #known = new Map<string, KnownTask>();

  constructor(keys: SealingKeys) {
    this.#keys = keys;
  }

  /** A call made this task, or undefined where the upstream's id is none. */
  made(scope: TaskScope, tool: string, id: string): KnownTask | undefined {
    if (id === '' || id.length > MAX_ID) return undefined;
    return this.#remember(scope, { grant: scope.grant.id, tool, id, sealed: this.#seal(scope, tool, id) });
  }

  /** The task of a sealed id, if it was made by this grant here; unknown and foreign ones are all undefined. */
  open(scope: TaskScope, sealed: string): KnownTask | undefined {
    if (!sealed.startsWith(PREFIX) || sealed.length > 8 * MAX_ID) return undefined;
    const body = openWithAny(this.#keys, sealed.slice(PREFIX.length), AAD);
    if (body === undefined) return undefined;
    const [grant, identity, server, lane, tool, id] = parsePlainJson(body.toString('utf8')) as string[];
    if (grant !== scope.grant.id || identity !== scope.grant.identityId) return undefined;
    if (server !== scope.grant.entry.server.id || lane !== scope.lane) return undefined;
    if (tool === undefined || id === undefined) return undefined;
    return this.own(scope, id) ?? this.#remember(scope, { grant, tool, id, sealed });
  }

  /** The task of an upstream's id, if it is this grant's and this process has met it. */
  own(scope: TaskScope, id: string): KnownTask | undefined {
    const task = this.#known.get(keyOf(scope, id));
    return task?.grant === scope.grant.id ? task : undefined;
  }

  #remember(scope: TaskScope, task: KnownTask): KnownTask {
    const key = keyOf(scope, task.id);
    this.#known.delete(key);
    this.#known.set(key, task);
    if (this.#known.size > MAX_KNOWN) {
      const oldest = this.#known.keys().next();
      if (!oldest.done) this.#known.delete(oldest.value);
    }
    return task;
  }

  /** One task has one id, however often it is shown: the nonce is made of what is sealed, with a key of its own. */
  #seal({ grant, lane }: TaskScope, tool: string, id: string): string {
    const plain = Buffer.from(JSON.stringify([grant.id, grant.identityId, grant.entry.server.id, lane, tool, id]));
    const { current } = this.#keys;
    const nonce = createHmac('sha256', current).update('gatehouse task nonce v1\n').update(plain).digest();
    return PREFIX + sealBytes(current, plain, AAD, nonce.subarray(0, NONCE));
  }
}

/** Remembers what a task asks for. */
export function noteAsked(task: KnownTask, keys: readonly string[]): void {
  task.asked ??= new Set();
  for (const key of keys) if (task.asked.size < MAX_ASKED) task.asked.add(key);
}

export function hasEnded(status: string | undefined): boolean {
  return status !== undefined && ENDED.has(status);
}

function keyOf({ grant, lane }: TaskScope, id: string): string {
  return `${grant.entry.server.id}\n${lane}\n${id}`;
}
