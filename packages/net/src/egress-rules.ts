import { BlockList, isIP, isIPv4, SocketAddress } from 'node:net';

export type EgressVerdict = { ok: true } | { ok: false; reason: string };

export type EgressErrorCode = 'blocked' | 'timeout' | 'too_large' | 'failed' | 'aborted';

/** Why a guarded request gave no response. */
export class EgressError extends Error {
  override readonly name = 'EgressError';
  /**
   * `blocked`: the guard refused it and nothing was sent; `timeout`, `too_large`: a bound of the caller was reached;
   * `aborted`: the caller's signal; `failed`: name look-up, connection, TLS or protocol.
   */
  readonly code: EgressErrorCode;

  constructor(code: EgressErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

interface Range {
  name: string;
  /** Whether listing a host name is enough to open it; otherwise the address itself must be listed. */
  byName: boolean;
  subnets: readonly [network: string, prefix: number][];
}

// IANA special-purpose registries (RFC 6890 and later entries) and the metadata services of clouds that live on
// addresses of other ranges. A host name that the operator trusts may sensibly live on a private address, never on a
// link-local, metadata or reserved one: there a name is more likely to have been rebound.
const IPV4_RANGES: readonly Range[] = [
  { name: 'loopback', byName: true, subnets: [['127.0.0.0', 8]] },
  {
    name: 'private',
    byName: true,
    subnets: [
      ['10.0.0.0', 8],
      ['172.16.0.0', 12],
      ['192.168.0.0', 16],
    ],
  },
  // The metadata services: one inside CGNAT space, one on a public address; 169.254.169.254 is link-local.
  {
    name: 'cloud metadata',
    byName: false,
    subnets: [
      ['100.100.100.200', 32],
      ['168.63.129.16', 32],
      ['169.254.169.254', 32],
    ],
  },
  { name: 'carrier-grade NAT', byName: true, subnets: [['100.64.0.0', 10]] },
  { name: 'link-local', byName: false, subnets: [['169.254.0.0', 16]] },
  { name: 'unspecified', byName: false, subnets: [['0.0.0.0', 8]] },
  { name: 'multicast', byName: false, subnets: [['224.0.0.0', 4]] },
  {
    name: 'reserved',
    byName: false,
    subnets: [
      ['192.0.0.0', 24],
      ['192.0.2.0', 24],
      ['192.88.99.0', 24],
      ['198.18.0.0', 15],
      ['198.51.100.0', 24],
      ['203.0.113.0', 24],
      ['240.0.0.0', 4],
    ],
  },
];

const IPV6_RANGES: readonly Range[] = [
  { name: 'loopback', byName: true, subnets: [['::1', 128]] },
  { name: 'unspecified', byName: false, subnets: [['::', 128]] },
  { name: 'cloud metadata', byName: false, subnets: [['fd00:ec2::254', 128]] },
  { name: 'unique local', byName: true, subnets: [['fc00::', 7]] },
  { name: 'link-local', byName: false, subnets: [['fe80::', 10]] },
  { name: 'multicast', byName: false, subnets: [['ff00::', 8]] },
  // These carry an IPv4 address inside, which a translator on the way would reach.
  {
    name: 'NAT64',
    byName: false,
    subnets: [
      ['64:ff9b::', 96],
      ['64:ff9b:1::', 48],
    ],
  },
  { name: '6to4', byName: false, subnets: [['2002::', 16]] },
  {
    name: 'reserved',
    byName: false,
    subnets: [
      ['2001::', 23],
      ['2001:db8::', 32],
      ['3fff::', 20],
    ],
  },
];

function compile(ranges: readonly Range[], family: 'ipv4' | 'ipv6') {
  return ranges.map((range) => {
    const list = new BlockList();
    for (const [network, prefix] of range.subnets) list.addSubnet(network, prefix, family);
    return { name: range.name, byName: range.byName, list };
  });
}

const IPV4 = compile(IPV4_RANGES, 'ipv4');
const IPV6 = compile(IPV6_RANGES, 'ipv6');
// All other IPv6 space is not global unicast (RFC 4291 §2.4), so it is refused without a name of its own.
const GLOBAL_IPV6 = new BlockList();
GLOBAL_IPV6.addSubnet('2000::', 3, 'ipv6');

/** Why an address is not a public one, or undefined when it is. `address` must be a valid IP address. */
export function specialRange(address: string): { name: string; byName: boolean } | undefined {
  const plain = canonicalAddress(address);
  if (isIPv4(plain)) return IPV4.find((range) => range.list.check(plain, 'ipv4'));
  const named = IPV6.find((range) => range.list.check(plain, 'ipv6'));
  if (named !== undefined) return named;
  return GLOBAL_IPV6.check(plain, 'ipv6') ? undefined : { name: 'reserved', byName: false };
}

/** One spelling per address: IPv4-mapped IPv6 becomes IPv4, since that is where a connection to it goes. */
export function canonicalAddress(address: string): string {
  if (isIPv4(address)) return address;
  const zone = address.indexOf('%');
  const { address: plain } = new SocketAddress({
    address: zone === -1 ? address : address.slice(0, zone),
    family: 'ipv6',
  });
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain);
  return mapped?.[1] ?? plain;
}

/** The entries of an egress allow list, compiled. */
export interface AllowList {
  hasName(host: string): boolean;
  hasAddress(address: string): boolean;
}

/**
 * Compiles host names, addresses and CIDR ranges.
 * @throws TypeError naming the entry that is none of these.
 */
export function compileAllowList(entries: readonly string[]): AllowList {
  const names = new Set<string>();
  // One list per family: a BlockList compares an IPv4 address with IPv6 rules through its mapped form, so that one
  // wide IPv6 range could open IPv4 space.
  const v4 = new BlockList();
  const v6 = new BlockList();
  for (const entry of entries) {
    const [, network, prefix] = /^\[?([0-9a-fA-F:.]+)\]?(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
    const family = network === undefined ? 0 : isIP(network);
    if (network !== undefined && family !== 0) {
      const bits = prefix === undefined ? undefined : Number(prefix);
      const plain = canonicalAddress(network);
      if (family === 6 && isIPv4(plain)) {
        throw bad(entry, `write the IPv4 address itself (${plain})`);
      }
      if (bits !== undefined && bits > (family === 4 ? 32 : 128)) throw bad(entry, 'the prefix is too long');
      const list = family === 4 ? v4 : v6;
      list.addSubnet(network, bits ?? (family === 4 ? 32 : 128), family === 4 ? 'ipv4' : 'ipv6');
    } else if (
      /^[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i.test(entry) &&
      !/^[\d.]+$/.test(entry)
    ) {
      names.add(normalHost(entry));
    } else {
      throw bad(entry, 'use a host name without scheme and port, an address, or a range such as 10.1.0.0/16');
    }
  }
  return {
    hasName: (host) => names.has(normalHost(host)),
    hasAddress: (address) => {
      const plain = canonicalAddress(address);
      return isIPv4(plain) ? v4.check(plain, 'ipv4') : v6.check(plain, 'ipv6');
    },
  };
}

function bad(entry: string, advice: string): TypeError {
  return new TypeError(`egress allow list: ${JSON.stringify(entry)} is not usable; ${advice}`);
}

/** A host as names are compared: lower case, without the final dot and without brackets. */
export function normalHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
}

/** Judges one address that is about to be connected to, or was. `host` is the name it came from, or the address. */
export function judgeAddress(address: string, host: string, allow: AllowList): EgressVerdict {
  if (isIP(address.replace(/%.*$/, '')) === 0)
    return { ok: false, reason: `${JSON.stringify(address)} is not an address` };
  const range = specialRange(address);
  if (range === undefined || allow.hasAddress(address)) return { ok: true };
  if (range.byName && allow.hasName(host)) return { ok: true };
  const shown = canonicalAddress(address);
  const from = isIP(normalHost(host)) === 0 ? `${host} leads to ${shown}, which` : shown;
  return {
    ok: false,
    reason: `${from} is a ${range.name} address; list ${range.byName ? 'the host or the address' : 'the address itself'} in the egress allow list if this is meant`,
  };
}
