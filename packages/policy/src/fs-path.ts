/** `path_within`: lexical normalisation and segment-wise comparison of file paths (spec: policy §3). */

export type PathStyle = 'posix' | 'windows' | 'relative';
export const PATH_STYLES: readonly PathStyle[] = ['posix', 'windows', 'relative'];

export interface FsPath {
  /** Drive letter in lower case for `windows`, else empty. */
  readonly drive: string;
  readonly segments: readonly string[];
  /** True when `..` climbs out of the base of a relative path. */
  readonly escapes: boolean;
}

/** `undefined` for a string outside the grammar of the style. */
export function parseFsPath(text: string, style: PathStyle): FsPath | undefined {
  if (text === '' || text.includes('\0') || /%[0-9a-f]{2}/i.test(text) || text.startsWith('~')) return undefined;
  if (style === 'windows') return parseWindows(text);
  if (text.includes('\\')) return undefined;
  if (style === 'posix') return text.startsWith('/') ? normalise('', text.slice(1).split('/')) : undefined;
  // On Windows "C:x" is not relative to the base.
  if (text.startsWith('/') || /^[A-Za-z]:/.test(text)) return undefined;
  const path = normalise('', text.split('/'), true);
  return path;
}

// Names that Windows takes for devices whatever their folder or extension.
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i;

function parseWindows(text: string): FsPath | undefined {
  const found = /^([A-Za-z]):[\\/](.*)$/s.exec(text);
  if (!found) return undefined;
  const segments = found[2]!.split(/[\\/]/);
  for (const segment of segments) {
    if (segment === '' || segment === '.' || segment === '..') continue;
    // Windows drops trailing dots and spaces, opens streams after a colon, and expands short names such as PROGRA~1.
    if (/[<>:"|?*\u0000-\u001f]|[. ]$|~\d/.test(segment) || DEVICE.test(segment)) return undefined;
  }
  return normalise(
    found[1]!.toLowerCase(),
    segments.map((s) => s.toLowerCase()),
  );
}

function normalise(drive: string, parts: readonly string[], relative = false): FsPath {
  const segments: string[] = [];
  let escapes = false;
  for (const part of parts) {
    if (part === '' || part === '.') continue;
    if (part !== '..') segments.push(part);
    else if (segments.length > 0) segments.pop();
    else if (relative) escapes = true;
  }
  return { drive, segments, escapes };
}

export interface FsBound {
  readonly drive: string;
  readonly segments: readonly string[];
  /** A glob matches the whole path; a directory holds itself and what is below. */
  readonly glob: boolean;
}

/** A literal of `path_within`; `undefined` when it is no directory or glob of the style. */
export function parseFsBound(text: string, style: PathStyle): FsBound | undefined {
  const glob = /[*?]/.test(text);
  const stripped = style === 'windows' && glob ? text.replace(/[*?]/g, 'x') : text;
  const plain = parseFsPath(stripped, style);
  if (!plain || plain.escapes) return undefined;
  if (/(?:^|[\\/])\.\.(?:[\\/]|$)/.test(text)) return undefined;
  if (!glob) return { drive: plain.drive, segments: plain.segments, glob: false };
  const body = style === 'windows' ? text.slice(2).toLowerCase() : text;
  const segments = body.split(style === 'windows' ? /[\\/]/ : '/').filter((s) => s !== '' && s !== '.');
  return { drive: plain.drive, segments, glob: true };
}

export function fsWithin(path: FsPath, bound: FsBound): boolean {
  if (path.escapes || path.drive !== bound.drive) return false;
  if (bound.glob) return globMatches(path.segments, bound.segments);
  if (path.segments.length < bound.segments.length) return false;
  return bound.segments.every((segment, i) => segment === path.segments[i]);
}

/** Greedy with one point to return to, so that the cost is at most the product of the lengths. */
function wild<T>(
  items: ArrayLike<T>,
  pattern: ArrayLike<T>,
  isStar: (part: T) => boolean,
  fits: (item: T, part: T) => boolean,
): boolean {
  let i = 0;
  let p = 0;
  let star = -1;
  let resume = 0;
  while (i < items.length) {
    if (p < pattern.length && isStar(pattern[p]!)) {
      star = p++;
      resume = i;
    } else if (p < pattern.length && fits(items[i]!, pattern[p]!)) {
      i++;
      p++;
    } else if (star >= 0) {
      p = star + 1;
      i = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.length && isStar(pattern[p]!)) p++;
  return p === pattern.length;
}

function globMatches(segments: readonly string[], glob: readonly string[]): boolean {
  return wild(
    segments,
    glob,
    (part) => part === '**',
    (segment, part) =>
      wild(
        [...segment],
        [...part],
        (c) => c === '*',
        (item, c) => c === '?' || c === item,
      ),
  );
}
