import { checkValue, parsePlainJson, type Refusal } from '@gatehouse/wire';
import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { GatehouseError } from '../errors.ts';
import type { ApiEnv } from './deps.ts';
import { MAX_API_BODY } from './route.ts';

/** Refuses bodies above 4 MiB, before they are held in memory. */
export const limitBody: MiddlewareHandler = bodyLimit({
  maxSize: MAX_API_BODY,
  onError: () => {
    throw new GatehouseError('too_large', 'The body of a request to the API is at most 4 MiB (4194304 bytes).');
  },
});

const JSON_TYPE = /^application\/json\s*(?:;|$)/i;

const FAULTS: Partial<Record<Refusal['reason'], string>> = {
  byte_order_mark: 'The body begins with a byte order mark',
  invalid_utf8: 'The body is not valid UTF-8',
  too_deep: 'The body is nested too deeply',
  duplicate_key: 'A key stands twice in one object of the body',
  folded_key: 'Two keys of the body differ only in case',
};

// The refusal's own message would repeat a piece of the body, which may hold a secret.
function fault(bytes: Uint8Array, { reason, offset }: Refusal): GatehouseError {
  const lines = new TextDecoder().decode(bytes.subarray(0, offset)).split('\n');
  const where = `line ${lines.length}, column ${lines.at(-1)!.length + 1}`;
  return new GatehouseError('invalid_input', `${FAULTS[reason] ?? 'The body is not valid JSON'} (${where}).`);
}

/** Makes handlers and validators read bodies with a parser that is right about escaped keys, which V8's is not. */
const readExactly = (c: Context<ApiEnv>): void => {
  c.req.json = async <T>(): Promise<T> => parsePlainJson(await c.req.text()) as T;
};

/** Refuses JSON that is broken, or that two parsers could read in two ways. */
export const checkJson: MiddlewareHandler<ApiEnv> = async (c, next) => {
  // The one PUT carries a policy, whose own reader names such faults by their place in the document.
  if (JSON_TYPE.test(c.req.header('content-type') ?? '') && c.req.method !== 'PUT') {
    const bytes = new Uint8Array(await c.req.arrayBuffer());
    const refusal = bytes.length === 0 ? undefined : checkValue(bytes, { start: 0, end: bytes.length });
    if (refusal !== undefined) throw fault(bytes, refusal);
  }
  readExactly(c);
  await next();
};
