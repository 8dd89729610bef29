// What retention took away from a chain, as a signed statement: with it, verification still holds (spec: audit).
import type { HeadSigner } from './chain.ts';
import { FORMAT_VERSION, type Stream } from './record.ts';

/** `action` of the record in the stream `admin` that says what was cut, in its member `after`. */
export const CUT_ACTION = 'audit.cut';

/** Records `first_seq` to `last_seq` of a chain were there, in order, and were removed by the retention of the log. */
export interface CutStatement {
  stream: Stream;
  writer: string;
  first_seq: number;
  last_seq: number;
  /** `hash` of record `last_seq`: the record behind it has it as `prev`. */
  hash: string;
  /** Times of these two records, RFC 3339. */
  first_time: string;
  last_time: string;
  /** When it was decided, RFC 3339. */
  time: string;
}

export interface SignedCut extends CutStatement {
  key_id: string;
  /** Ed25519 over the statement, base64url. */
  signature: string;
}

/** The bytes that are signed: canonical JSON (RFC 8785); `what` tells it from a head, so that no head passes for a cut. */
function cutText(cut: CutStatement, keyId: string): string {
  const { first_seq, first_time, hash, last_seq, last_time, stream, time, writer } = cut;
  const v = FORMAT_VERSION;
  return JSON.stringify({
    first_seq,
    first_time,
    hash,
    key_id: keyId,
    last_seq,
    last_time,
    stream,
    time,
    v,
    what: 'cut',
    writer,
  });
}

export function signCut(signer: HeadSigner, cut: CutStatement): SignedCut {
  return { ...cut, key_id: signer.keyId, signature: signer.signText(cutText(cut, signer.keyId)) };
}
