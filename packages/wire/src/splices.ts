import { encodeText, type Span } from './text.ts';

/** Bytes from `start` to `end` are replaced by `insert`. */
export interface Splice extends Span {
  readonly insert: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/**
 * Applies splices in the order of the text; two at one place apply as given.
 * Throws a RangeError where they overlap or leave the bytes.
 */
export function applySplices(bytes: Uint8Array, splices: readonly Splice[]): Uint8Array {
  const ordered = splices.toSorted((a, b) => a.start - b.start || a.end - b.end);
  const length = ordered.reduce((sum, { start, end, insert }) => sum + insert.length - (end - start), bytes.length);
  const out = new Uint8Array(length);
  let from = 0;
  let to = 0;
  for (const { start, end, insert } of ordered) {
    if (start < from || end < start || end > bytes.length)
      throw new RangeError(`splice at ${start}..${end} is misplaced`);
    out.set(bytes.subarray(from, start), to);
    to += start - from;
    out.set(insert, to);
    to += insert.length;
    from = end;
  }
  out.set(bytes.subarray(from), to);
  return out;
}

/** Cuts the elements of an array or object (in order of the text) for which `drop` holds, each with one comma. */
export function cutElements(elements: readonly Span[], drop: (index: number) => boolean): Splice[] {
  const splices: Splice[] = [];
  let lastKept: Span | undefined;
  let firstDropped: Span | undefined;
  let lastDropped: Span | undefined;
  elements.forEach((element, index) => {
    if (drop(index)) {
      firstDropped ??= element;
      lastDropped = element;
      return;
    }
    // What is kept follows: the comma and the white space behind the dropped ones go with them.
    if (firstDropped !== undefined) splices.push({ start: firstDropped.start, end: element.start, insert: NOTHING });
    firstDropped = undefined;
    lastKept = element;
  });
  if (firstDropped !== undefined && lastDropped !== undefined) {
    // Nothing follows: the comma before them goes, if there is one.
    splices.push({ start: lastKept?.end ?? firstDropped.start, end: lastDropped.end, insert: NOTHING });
  }
  return splices;
}

export interface Member extends Span {
  readonly key: string;
  readonly value: Span;
}

/**
 * Sets members of the object at `object` to raw JSON values, or removes those given as null. A member that is not there is
 * added behind the last one; one that is there keeps its place and its key's spelling.
 */
export function changeMembers(
  object: Span,
  members: readonly Member[],
  changes: ReadonlyMap<string, Uint8Array | null>,
): Splice[] {
  const dropped = members.map(({ key }) => changes.get(key) === null);
  const splices = cutElements(members, (index) => dropped[index] === true);
  for (const { key, value } of members) {
    const raw = changes.get(key);
    if (raw) splices.push({ start: value.start, end: value.end, insert: raw });
  }
  const present = new Set(members.map(({ key }) => key));
  const added: Uint8Array[] = [];
  for (const [key, raw] of changes) {
    if (raw !== null && !present.has(key)) added.push(encodeText(`${JSON.stringify(key)}:`), raw, encodeText(','));
  }
  if (added.length === 0) return splices;
  added.pop();
  const last = members.findLast((_member, index) => dropped[index] === false);
  if (last !== undefined) added.unshift(encodeText(','));
  const at = last?.end ?? object.start + 1;
  splices.push({ start: at, end: at, insert: concat(added) });
  return splices;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let to = 0;
  for (const part of parts) {
    out.set(part, to);
    to += part.length;
  }
  return out;
}
