/** URIs of resources: canonical ones only, compared segment-wise (spec: policy §8). */
import { under } from './url-grammar.ts';

// RFC 3986 §2.3; a percent-encoded unreserved character or separator is a second spelling of one URI.
const HIDDEN_SPELLING = /%(?:2[def]|3[0-9]|4[1-9a-f]|5[0-9acf]|6[1-9a-f]|7[0-9ae])/i;
const SHAPE = /^([a-z][a-z0-9+.-]*):(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/su;

export function isCanonicalUri(uri: string): boolean {
  if (uri.length > 8192 || /[\s\\\p{Cc}]/u.test(uri) || !uri.isWellFormed()) return false;
  if (/%(?![0-9a-f]{2})/i.test(uri) || HIDDEN_SPELLING.test(uri)) return false;
  const found = SHAPE.exec(uri);
  if (!found) return false;
  const [, scheme, authority, path] = found as unknown as [string, string, string | undefined, string];
  if (path.split('/').some((segment) => segment === '.' || segment === '..')) return false;
  return authority === undefined || isCanonicalAuthority(scheme, authority);
}

function isCanonicalAuthority(scheme: string, authority: string): boolean {
  if (authority === '') return true;
  if (/[^\x21-\x7e]|[A-Z@%]/.test(authority)) return false;
  if (scheme !== 'http' && scheme !== 'https') return true;
  try {
    // The WHATWG parser drops default ports and rewrites odd spellings of addresses.
    return new URL(`${scheme}://${authority}/`).host === authority;
  } catch {
    return false;
  }
}

/** A prefix with at least its scheme and colon. */
export function isCanonicalPrefix(prefix: string): boolean {
  return isCanonicalUri(prefix);
}

/** `file:///srv` holds `file:///srv`, `file:///srv/x` and `file:///srv?x`, not `file:///srv-evil`. */
export function uriUnder(uri: string, prefix: string): boolean {
  if (prefix === '*') return true;
  if (under(uri, prefix)) return true;
  if (!uri.startsWith(prefix)) return false;
  const next = uri[prefix.length];
  return prefix.endsWith(':') || next === '?' || next === '#';
}

/** The literal part of a URI template (RFC 6570) before its first expression. */
export function templatePrefix(template: string): string {
  const at = template.indexOf('{');
  return at < 0 ? template : template.slice(0, at);
}
