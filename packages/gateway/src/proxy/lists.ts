// What a client may see (spec: gateway §4, lists; §6). Any message with one of these lists, on any stream, comes here.
import { judgePrompt, judgeResource, judgeResourceTemplate, toolVisibility } from '@gatehouse/policy';
import {
  arrayItems,
  checkValue,
  editListItems,
  foldKey,
  type ListItemEdit,
  objectMembers,
  type Reply,
  readString,
  readValue,
  replaceCacheScope,
  type Span,
} from '@gatehouse/wire';
import type { GrantEntry } from '../model.ts';
import type { ObservedTool } from '../services.ts';
import { type Gate, isGatehouse } from './gate.ts';
import { callerOf } from './judgement.ts';
import type { Session } from './sessions.ts';

export type Filtered = { ok: true; bytes: Uint8Array } | { ok: false; reason: string };

const LISTS = ['tools', 'resources', 'resourceTemplates', 'prompts'] as const;
type ListName = (typeof LISTS)[number];

/** The member by which a policy knows an item. */
const KEY: Record<ListName, string> = {
  tools: 'name',
  resources: 'uri',
  resourceTemplates: 'uriTemplate',
  prompts: 'name',
};

/** Whether a reply carries a list, so that it must be filtered. */
export function carriesList(reply: Reply): boolean {
  const members = reply.resultMembers;
  return members !== undefined && LISTS.some((list) => members.has(list));
}

/**
 * Cuts what the grant may not see out of the reply; everything else stays byte for byte. Waits only when a definition
 * was not seen before, which is stored first.
 */
export function filterLists(
  gate: Gate,
  grant: GrantEntry,
  session: Session | undefined,
  reply: Reply,
): Filtered | Promise<Filtered> {
  if (isGatehouse(grant)) return { ok: true, bytes: reply.bytes };
  const tools = reply.resultMembers?.get('tools');
  if (tools === undefined) return cutAll(gate, grant, session, reply);
  const items = listItems(reply, tools, 'tools');
  if (typeof items === 'string') return { ok: false, reason: items };
  const unseen = items.filter(
    (item) => !gate.seen.has(gate.directory.epoch, grant.entry.server.id, reply.bytes.subarray(item.start, item.end)),
  );
  if (unseen.length === 0) return cutAll(gate, grant, session, reply);
  const observed: ObservedTool[] = unseen.map((item) => ({
    bytes: new Uint8Array(reply.bytes.subarray(item.start, item.end)),
    value: readValue(reply.bytes, item),
  }));
  return intakeThenCut(gate, grant, session, reply, observed);
}

async function intakeThenCut(
  gate: Gate,
  grant: GrantEntry,
  session: Session | undefined,
  reply: Reply,
  observed: readonly ObservedTool[],
): Promise<Filtered> {
  const { slug, id } = grant.entry.server;
  const { epoch } = gate.directory;
  try {
    await gate.intake(slug, observed);
  } catch {
    return { ok: false, reason: 'its tool definitions could not be stored' };
  }
  if (gate.directory.epoch === epoch) for (const tool of observed) gate.seen.add(epoch, id, tool.bytes);
  const current = gate.directory.grant(grant.id) ?? grant;
  return cutAll(gate, current, session, reply);
}

function cutAll(gate: Gate, grant: GrantEntry, session: Session | undefined, original: Reply): Filtered {
  let reply = original;
  let filtered = false;
  for (const list of LISTS) {
    const span = reply.resultMembers?.get(list);
    if (span === undefined) continue;
    const items = listItems(reply, span, list);
    if (typeof items === 'string') return { ok: false, reason: items };
    const edits: ListItemEdit[] = [];
    for (const item of items) {
      const edit = editOf(gate, grant, session, reply, list, item);
      if (edit !== undefined) edits.push(edit);
    }
    filtered = true;
    if (edits.length > 0) reply = editListItems(reply, list, edits);
  }
  // What one caller may see is nobody else's (spec: gateway §4, lists).
  if (filtered && reply.resultMembers?.has('cacheScope') === true) reply = replaceCacheScope(reply, 'private');
  return { ok: true, bytes: reply.bytes };
}

interface Item extends Span {
  key: string;
}

/** The items with the member that names them, or what is wrong with the list. */
function listItems(reply: Reply, span: Span, list: ListName): Item[] | string {
  if (reply.bytes[span.start] !== 0x5b) return `its list of ${list} is no array`;
  const seen = new Set<string>();
  const items: Item[] = [];
  for (const item of arrayItems(reply.bytes, span)) {
    // Two names in one item: which one a client reads cannot be known.
    if (checkValue(reply.bytes, item) !== undefined)
      return `its list of ${list} has an item that can be read in two ways`;
    const name = reply.bytes[item.start] === 0x7b ? objectMembers(reply.bytes, item).get(KEY[list]) : undefined;
    if (name === undefined || reply.bytes[name.start] !== 0x22) {
      return `its list of ${list} has an item without a ${KEY[list]}`;
    }
    const key = readString(reply.bytes, name);
    // Two items of one name: which of them would be called cannot be known.
    const folded = list === 'tools' ? foldKey(key) : key;
    if (seen.has(folded) && list !== 'resources') return `its list of ${list} has ${JSON.stringify(key)} twice`;
    seen.add(folded);
    items.push({ start: item.start, end: item.end, key });
  }
  return items;
}

/** Undefined: the item stays as it is. */
function editOf(
  gate: Gate,
  grant: GrantEntry,
  session: Session | undefined,
  reply: Reply,
  list: ListName,
  item: Item,
): ListItemEdit | undefined {
  const cut: ListItemEdit = { item, replacement: null };
  const policy = grant.policy;
  if (policy === undefined) return cut;
  const context = { caller: callerOf(grant, session), now: gate.clock() };
  if (list === 'tools') {
    const tool = grant.entry.tools.get(item.key);
    // Nobody accepted it: agents read accepted definitions only.
    if (tool?.acceptedBytes === undefined) return cut;
    if (toolVisibility(policy, grant.entry.tools, item.key, context) === 'hidden') return cut;
    return sameBytes(reply, item, tool.acceptedBytes) ? undefined : { item, replacement: tool.acceptedBytes };
  }
  const judgeItem = { resources: judgeResource, resourceTemplates: judgeResourceTemplate, prompts: judgePrompt }[list];
  const decision = judgeItem(policy, item.key, context);
  return decision.outcome === 'allow' ? undefined : cut;
}

function sameBytes(reply: Reply, item: Span, bytes: Uint8Array): boolean {
  return Buffer.compare(reply.bytes.subarray(item.start, item.end), bytes) === 0;
}
