// `list_changed` of the gateway's own (spec: gateway §4, streams): a change of the configuration that changes what a client
// may see in a list is told to that client, where its server declared such notifications. Calls pay nothing for it.
import { type CompiledPolicy, toolVisibility } from '@gatehouse/policy';
import { META, type Reply, readValue } from '@gatehouse/wire';
import type { Directory, GrantEntry, ServedTool } from '../model.ts';

export const LIST_KINDS = ['tools', 'resources', 'prompts'] as const;
export type ListKind = (typeof LIST_KINDS)[number];

/** A client's open stream, for messages that belong to no call. */
export interface WatchedStream {
  readonly grant: string;
  /** Of several streams of one session the newest one is told (2025-11-25, multiple connections). Undefined: each is. */
  readonly session: string | undefined;
  /** The lists of which the server lets this client hear. */
  kinds(): ReadonlySet<ListKind>;
  /** Sends `notifications/<kind>/list_changed`. */
  tell(kind: ListKind): void;
}

interface Watched {
  readonly stream: WatchedStream;
  /** The grant by which the client last saw its lists, as far as is known here. */
  grant: GrantEntry | undefined;
}

/** What servers declared is remembered for so many sessions; of one that is forgotten nothing is known, and nothing sent. */
const MAX_DECLARED = 10_000;
/** Streams that are looked at in one turn of the event loop: calls do not wait for thousands of them. */
const PER_TURN = 256;
const NONE: ReadonlySet<ListKind> = new Set();

export class ListChanges {
  readonly #directory: Pick<Directory, 'grant'>;
  readonly #clock: () => number;
  readonly #onFault: (error: unknown) => void;
  readonly #watched = new Set<Watched>();
  /** By session, in the order they were opened. */
  readonly #bySession = new Map<string, Set<Watched>>();
  readonly #declared = new Map<string, ReadonlySet<ListKind>>();
  #sweeping = false;
  /** The configuration changed since the sweep began. */
  #again = false;

  /** @param clock milliseconds since 1970 */
  constructor(directory: Pick<Directory, 'grant'>, clock: () => number, onFault: (error: unknown) => void) {
    this.#directory = directory;
    this.#clock = clock;
    this.#onFault = onFault;
  }

  /** Streams that are open. */
  get watching(): number {
    return this.#watched.size;
  }

  /**
   * Remembers what a server declared to a client.
   * @param key the session; the grant, where the server has no sessions
   * @param reply the answer to `initialize`
   */
  declare(key: string, reply: Reply): void {
    const span = reply.resultMembers?.get('capabilities');
    const declared = (span === undefined ? undefined : readValue(reply.bytes, span)) as
      | Partial<Record<ListKind, { listChanged?: unknown } | null>>
      | null
      | undefined;
    this.#declared.delete(key);
    this.#declared.set(key, new Set(LIST_KINDS.filter((kind) => declared?.[kind]?.listChanged === true)));
    if (this.#declared.size <= MAX_DECLARED) return;
    const oldest = this.#declared.keys().next();
    if (!oldest.done) this.#declared.delete(oldest.value);
  }

  declared(key: string): ReadonlySet<ListKind> {
    return this.#declared.get(key) ?? NONE;
  }

  /** The session has ended. */
  forget(session: string): void {
    this.#declared.delete(session);
  }

  /** @returns the end of it */
  watch(stream: WatchedStream): () => void {
    const watched: Watched = { stream, grant: this.#directory.grant(stream.grant) };
    const { session } = stream;
    this.#watched.add(watched);
    if (session !== undefined) {
      const beside = this.#bySession.get(session);
      if (beside === undefined) this.#bySession.set(session, new Set([watched]));
      else beside.add(watched);
    }
    return () => {
      this.#watched.delete(watched);
      if (session === undefined) return;
      const beside = this.#bySession.get(session);
      beside?.delete(watched);
      if (beside?.size === 0) this.#bySession.delete(session);
    };
  }

  /** The configuration changed; who has to be told is found out behind the calls that wait. */
  changed(): void {
    this.#again = true;
    if (this.#sweeping || this.#watched.size === 0) return;
    this.#sweeping = true;
    setImmediate(() => this.#sweep());
  }

  #sweep(): void {
    this.#again = false;
    const streams = [...this.#watched];
    const differences = new Differences(this.#clock());
    const turn = (from: number): void => {
      for (const watched of streams.slice(from, from + PER_TURN)) {
        if (!this.#watched.has(watched)) continue;
        try {
          this.#look(watched, differences);
        } catch (error) {
          this.#onFault(error);
        }
      }
      if (from + PER_TURN < streams.length) setImmediate(turn, from + PER_TURN);
      else if (this.#again && this.#watched.size > 0) setImmediate(() => this.#sweep());
      else this.#sweeping = false;
    };
    turn(0);
  }

  #look(watched: Watched, differences: Differences): void {
    const { stream, grant: before } = watched;
    const now = this.#directory.grant(stream.grant);
    if (now === before) return;
    watched.grant = now;
    // A grant that has ended sees nothing any more, and its streams end with it.
    if (now === undefined || before === undefined || !this.#speaks(watched)) return;
    const kinds = stream.kinds();
    for (const kind of LIST_KINDS) if (kinds.has(kind) && differences.in(kind, before, now)) stream.tell(kind);
  }

  #speaks(watched: Watched): boolean {
    const { session } = watched.stream;
    if (session === undefined) return true;
    const newest = [...(this.#bySession.get(session) ?? [])].at(-1);
    return newest === watched;
  }
}

/** `notifications/<kind>/list_changed`. @param subscription raw id of the request that asked for it (2026-07-28) */
export function listChanged(kind: ListKind, subscription: Uint8Array | undefined): Uint8Array {
  const method = `"jsonrpc":"2.0","method":"notifications/${kind}/list_changed"`;
  if (subscription === undefined) return Buffer.from(`{${method}}`);
  const tag = `{${method},"params":{"_meta":{${JSON.stringify(META.subscriptionId)}:`;
  return Buffer.concat([Buffer.from(tag), subscription, Buffer.from('}}}')]);
}

const SUBSCRIBED: Record<ListKind, string> = {
  tools: 'toolsListChanged',
  resources: 'resourcesListChanged',
  prompts: 'promptsListChanged',
};

/**
 * What a `subscriptions/listen` asked for and its acknowledgement granted.
 * @param asked `params.notifications` of the request
 * @param granted `params.notifications` of the acknowledgement
 */
export function subscribedKinds(asked: unknown, granted: unknown): ReadonlySet<ListKind> {
  const says = (value: unknown, kind: ListKind): boolean =>
    typeof value === 'object' && value !== null && (value as Record<string, unknown>)[SUBSCRIBED[kind]] === true;
  return new Set(LIST_KINDS.filter((kind) => says(asked, kind) && says(granted, kind)));
}

type Tools = ReadonlyMap<string, ServedTool>;

/** What one change of the configuration changed, found out once for all grants under the same policy. */
class Differences {
  readonly #now: number;
  readonly #tools = new Map<Tools, { before: GrantEntry; now: GrantEntry; differ: boolean }[]>();
  readonly #sections = new Map<CompiledPolicy, Map<ListKind, string>>();

  constructor(now: number) {
    this.#now = now;
  }

  in(kind: ListKind, before: GrantEntry, now: GrantEntry): boolean {
    return kind === 'tools' ? this.#inTools(before, now) : this.#inNamed(kind, before, now);
  }

  #inTools(before: GrantEntry, now: GrantEntry): boolean {
    if (before.policy === now.policy && before.entry.tools === now.entry.tools) return false;
    const known = this.#tools.get(now.entry.tools) ?? [];
    this.#tools.set(now.entry.tools, known);
    const same = known.find(
      (pair) =>
        pair.before.policy === before.policy &&
        pair.before.entry.tools === before.entry.tools &&
        pair.now.policy === now.policy,
    );
    if (same !== undefined) return same.differ;
    // The older ones first: a policy keeps its plans for the tools that it was last asked about.
    const differ = !sameTools(this.#visible(before), this.#visible(now));
    known.push({ before, now, differ });
    return differ;
  }

  /** The definitions that the list filter lets this grant see (lists.ts); which ones has nothing to do with the caller. */
  #visible(grant: GrantEntry): Map<string, Uint8Array> {
    const visible = new Map<string, Uint8Array>();
    if (grant.policy === undefined) return visible;
    const context = { caller: grant.caller, now: this.#now };
    for (const [name, tool] of grant.entry.tools) {
      if (tool.acceptedBytes === undefined) continue;
      if (toolVisibility(grant.policy, grant.entry.tools, name, context) === 'visible') {
        visible.set(name, tool.acceptedBytes);
      }
    }
    return visible;
  }

  /** What a server has of these is not known here, so that the part of the policy that judges them stands for the list. */
  #inNamed(kind: 'resources' | 'prompts', before: GrantEntry, now: GrantEntry): boolean {
    if (before.policy === undefined || now.policy === undefined) return before.policy !== now.policy;
    const section = this.#section(kind, now.policy);
    if (before.policy !== now.policy && this.#section(kind, before.policy) !== section) return true;
    // A limit may be counted by what the caller lacks, which denies (spec: policy §5).
    return (now.policy[kind]?.limits.length ?? 0) > 0 && JSON.stringify(before.caller) !== JSON.stringify(now.caller);
  }

  #section(kind: 'resources' | 'prompts', policy: CompiledPolicy): string {
    const known = this.#sections.get(policy) ?? new Map<ListKind, string>();
    this.#sections.set(policy, known);
    const section = known.get(kind) ?? sectionOf(kind, policy);
    known.set(kind, section);
    return section;
  }
}

/** Of a policy, all that a decision on a name can turn on. */
function sectionOf(kind: 'resources' | 'prompts', { document, defaultAction }: CompiledPolicy): string {
  const { [kind]: block } = document as Readonly<Record<string, unknown>>;
  const { name: _name, reason: _reason, ...rules } = (block ?? {}) as Readonly<Record<string, unknown>>;
  return JSON.stringify([rules.allow === undefined ? defaultAction : null, rules]);
}

function sameTools(before: ReadonlyMap<string, Uint8Array>, now: ReadonlyMap<string, Uint8Array>): boolean {
  if (before.size !== now.size) return false;
  for (const [name, bytes] of now) {
    const old = before.get(name);
    if (old === undefined || (old !== bytes && Buffer.compare(old, bytes) !== 0)) return false;
  }
  return true;
}
