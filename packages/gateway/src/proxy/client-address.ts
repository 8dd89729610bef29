// Who speaks, when a proxy stands in between: the forwarding headers of trusted proxies (spec: gateway §2).
import { type BlockList, isIP, SocketAddress } from 'node:net';
import { isInSources, sourceList } from '../identity/sources.ts';

export interface ClientAddress {
  /** For records and for the tallies of refusals. */
  source: string;
  /** What source networks of grants are held against; empty, and so in none of them, when it is not known. */
  network: string;
}

export interface ForwardedRequest {
  readonly socket: { readonly remoteAddress?: string | undefined };
  readonly headers: {
    readonly forwarded?: string | undefined;
    readonly 'x-forwarded-for'?: string | readonly string[] | undefined;
  };
}

const UNKNOWN = '';

export class TrustedProxies {
  readonly #trusted: BlockList;
  /** By connection: a proxy keeps a few open for everybody. */
  readonly #peers = new WeakMap<object, boolean>();

  private constructor(trusted: BlockList) {
    this.#trusted = trusted;
  }

  /** @param blocks canonical ones of `parseSource` @returns undefined when there are none, so that nothing is looked at */
  static of(blocks: readonly string[]): TrustedProxies | undefined {
    const list = sourceList(blocks);
    return list === undefined ? undefined : new TrustedProxies(list);
  }

  /** @returns undefined where the peer is the client: it is no proxy of ours, or it names nobody */
  locate(request: ForwardedRequest): ClientAddress | undefined {
    const { socket, headers } = request;
    const peer = socket.remoteAddress;
    if (peer === undefined || !this.#isTrustedPeer(socket, peer)) return undefined;
    const { forwarded } = headers;
    // Node joins several headers of a name in their order.
    const given = headers['x-forwarded-for'] as string | undefined;
    const fromList = given === undefined ? undefined : this.#client(given.split(','), (hop) => addressOf(trimmed(hop)));
    if (forwarded === undefined) return fromList === undefined ? undefined : located(fromList, peer);
    const fromForwarded = this.#client(addressesOfForwarded(forwarded), addressOf);
    // A proxy that writes one of the two passes the other as its client sent it. Nothing tells which, so they must agree.
    const agreed = fromList === undefined || fromList === fromForwarded ? fromForwarded : UNKNOWN;
    return located(agreed, peer);
  }

  #isTrustedPeer(socket: object, peer: string): boolean {
    let trusted = this.#peers.get(socket);
    if (trusted === undefined) {
      trusted = isInSources(this.#trusted, peer);
      this.#peers.set(socket, trusted);
    }
    return trusted;
  }

  /** The rightmost hop that is no trusted proxy: what stands left of it was written by whoever that hop is. */
  #client(hops: readonly string[], read: (hop: string) => string | undefined): string {
    for (let at = hops.length - 1; at >= 0; at--) {
      const address = read(hops[at] as string);
      if (address === undefined) return UNKNOWN;
      if (at === 0 || !isInSources(this.#trusted, address)) return address;
    }
    return UNKNOWN;
  }
}

function located(client: string, peer: string): ClientAddress {
  return client === UNKNOWN ? { source: peer, network: UNKNOWN } : { source: client, network: client };
}

/** Without the optional white space of HTTP; in time that grows with the text, which `/[ \t]+$/` does not hold to. */
function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text, start)) start++;
  while (end > start && isBlank(text, end - 1)) end--;
  return text.slice(start, end);
}

const isBlank = (text: string, at: number): boolean => text[at] === ' ' || text[at] === '\t';

/** `name=value` of RFC 7239 §4, a value being a token or a quoted string, and what comes behind it. */
const PAIR =
  /[ \t]*([!#$%&'*+\-.^_`|~\w]+)=(?:([!#$%&'*+\-.^_`|~\w]+)|"((?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)")[ \t]*(;|,|$)/y;

/**
 * The `for` of each element; one that has none, or more than one, names nobody. What breaks the grammar anywhere makes the
 * whole header worthless: an open quote of a client could swallow what the proxy appended.
 */
function addressesOfForwarded(header: string): string[] {
  const hops: string[] = [];
  let hop: string | undefined;
  for (PAIR.lastIndex = 0; ; ) {
    const match = PAIR.exec(header);
    if (match === null) return [];
    const [, name = '', token, quoted, behind] = match;
    if (name.toLowerCase() === 'for') hop = hop === undefined ? (token ?? quoted?.replace(/\\(.)/g, '$1') ?? '') : '';
    if (behind === ';') continue;
    hops.push(hop ?? '');
    hop = undefined;
    if (behind === '') return hops;
  }
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; always written the same way. */
const NODE = /^(?:(\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})?|\[([0-9a-f:.]+)\](?::\d{1,5})?|([0-9a-f:.]+))$/i;
const MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/;

function addressOf(node: string): string | undefined {
  const match = NODE.exec(node);
  const address = match?.[1] ?? match?.[2] ?? match?.[3] ?? '';
  const family = isIP(address);
  // Brackets are for IPv6 alone.
  if (family === 0 || (family === 4) !== (match?.[1] !== undefined)) return undefined;
  if (family === 4) return address;
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address;
  return MAPPED.exec(canonical)?.[1] ?? canonical;
}
