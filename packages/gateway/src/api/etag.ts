// Revisions and versions as entity tags (RFC 9110 §8.8, §13.1).
import { GatehouseError } from '../errors.ts';

const STRONG_TAG = /^"([^"]*)"$/;
const WHOLE_NUMBER = /^[1-9]\d{0,14}$/;

/** The entity tag of a revision or version. */
export function etagOf(revision: number): string {
  return `"${revision}"`;
}

function changed(what: string, seen: string): GatehouseError {
  return new GatehouseError(
    'precondition_failed',
    `${what} is no longer the one with the entity tag ${seen.slice(0, 64)}. Read it again and repeat the change.`,
  );
}

/**
 * The revision that an `If-Match` header demands; undefined when there is none, or it is `*` (whatever is there).
 * @param what the subject of the error, such as `Server "flux"`
 * @throws GatehouseError precondition_failed for a tag that no revision has, invalid_input for a list of tags
 */
export function ifMatch(header: string | undefined, what: string): number | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  const value = header.trim();
  if (value.includes(',')) {
    throw new GatehouseError('invalid_input', 'If-Match takes one entity tag here.', [
      { pointer: 'If-Match', message: 'Send one entity tag, as the ETag header gave it, or *.' },
    ]);
  }
  const tag = STRONG_TAG.exec(value)?.[1];
  if (tag === undefined || !WHOLE_NUMBER.test(tag)) throw changed(what, value);
  return Number(tag);
}

/** For a removal: the thing must still be as the caller saw it. `undefined`: it has no entity tag, so none can match. */
export function requireMatch(header: string | undefined, current: number | undefined, what: string): void {
  const seen = ifMatch(header, what);
  if (seen !== undefined && seen !== current) throw changed(what, etagOf(seen));
}

/** Whether an `If-None-Match` header demands that the thing does not exist yet. */
export function mustNotExist(header: string | undefined): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  throw new GatehouseError('invalid_input', 'If-None-Match takes only * here.', [
    { pointer: 'If-None-Match', message: 'Send * to say that it must not exist yet, or use If-Match.' },
  ]);
}
