/** `url_in`: strict http(s) URLs and segment-wise prefixes (spec: policy §3). */

export interface StrictUrl {
  /** `https://host` or `https://host:8443`, as written. */
  readonly origin: string;
  readonly path: string;
}

// Encoded separators would be one segment here and several on a server that decodes first.
const ENCODED_SEPARATOR = /%(?:2f|5c)/i;
const AUTHORITY = /^https?:\/\/[^/?#@]+(?=[/?#]|$)/;

/** `undefined` for everything that the WHATWG parser would repair, and for what two parsers might read differently. */
export function parseStrictUrl(text: string): StrictUrl | undefined {
  if (text.length > 8192 || /[^\x21-\x7e]|\\/.test(text) || !AUTHORITY.test(text)) return undefined;
  let parsed: URL;
  try {
    parsed = new URL(text);
  } catch {
    return undefined;
  }
  const { href, origin, pathname: path, username, password } = parsed;
  // The slash that a bare origin lacks is the one difference that is no repair.
  if (username !== '' || password !== '' || (href !== text && href !== `${text}/`)) return undefined;
  return ENCODED_SEPARATOR.test(path) || /%(?![0-9a-f]{2})/i.test(path) ? undefined : { origin, path };
}

export interface UrlPrefix {
  readonly origin: string;
  readonly path: string;
}

/** A literal of `url_in`: an origin, or an origin with a path, without a query or fragment. */
export function parseUrlPrefix(text: string): UrlPrefix | undefined {
  if (/[?#]/.test(text)) return undefined;
  return parseStrictUrl(text);
}

export function urlUnder(url: StrictUrl, prefix: UrlPrefix): boolean {
  return url.origin === prefix.origin && under(url.path, prefix.path);
}

/** Segment-wise: `/a` holds `/a` and `/a/b`, not `/ab`; `/a/` holds only what begins with `/a/`. */
export function under(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return prefix.endsWith('/') || path.length === prefix.length || path[prefix.length] === '/';
}
