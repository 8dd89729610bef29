// Source networks of a grant: CIDR blocks that its calls may come from.
import { BlockList, isIP, isIPv4 } from 'node:net';

export type ParsedSource = { ok: true; canonical: string } | { ok: false; reason: string };

/** Reads `address` or `address/prefix`; a block whose host bits are set is refused, since it says two things. */
export function parseSource(text: string): ParsedSource {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0 || address.includes('%')) {
    return {
      ok: false,
      reason: `${JSON.stringify(text)} is no IP address or CIDR block such as 10.0.0.0/8 or 2001:db8::/32`,
    };
  }
  const width = family === 4 ? 32 : 128;
  if (prefix === undefined) return { ok: true, canonical: `${address}/${width}` };
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(prefix) || Number(prefix) > width) {
    return { ok: false, reason: `${JSON.stringify(text)} needs a prefix length from 0 to ${width}` };
  }
  const length = Number(prefix);
  const bits = addressBits(address);
  if (length < width && (bits & ((1n << BigInt(width - length)) - 1n)) !== 0n) {
    return {
      ok: false,
      reason: `${JSON.stringify(text)} has bits set behind /${length}; write the network's own address`,
    };
  }
  return { ok: true, canonical: `${address}/${length}` };
}

/** @param sources canonical blocks of {@link parseSource} */
export function sourceList(sources: readonly string[]): BlockList | undefined {
  if (sources.length === 0) return undefined;
  const list = new BlockList();
  for (const source of sources) {
    const [address = '', prefix] = source.split('/');
    list.addSubnet(address, Number(prefix), isIPv4(address) ? 'ipv4' : 'ipv6');
  }
  return list;
}

/** Whether a remote address lies in the list; what is no IP address never does. */
export function isInSources(list: BlockList, remote: string): boolean {
  // A socket that listens on :: gives IPv4 peers as IPv4-mapped addresses, which BlockList takes for what they are.
  const address = remote.replace(/%.*$/, '');
  const family = isIP(address);
  if (family === 0) return false;
  return list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

function addressBits(address: string): bigint {
  if (isIPv4(address)) return address.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
  // The URL parser writes an IPv6 address canonically, an embedded IPv4 part included.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const all = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
  return all.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}
