// Answers of unknown length.
import type { AuditRow } from '../audit/search.ts';

const KEEP_ALIVE_MS = 15_000;
/** Rows that wait for a slow reader; what comes beyond is counted and named. */
const MAX_WAITING_ROWS = 1_000;
/** Text is handed over in pieces of about this many characters. */
const CHUNK_CHARACTERS = 64 * 1024;

const encoder = new TextEncoder();

/** The same lines, the first of them read already: what fails before it still gets an answer of its own. */
export async function begun(lines: AsyncIterable<string>): Promise<AsyncIterable<string>> {
  const iterator = lines[Symbol.asyncIterator]();
  let first: IteratorResult<string> | undefined = await iterator.next();
  const rest: AsyncIterator<string> = {
    async next() {
      const next = first ?? (await iterator.next());
      first = undefined;
      return next;
    },
    async return() {
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => rest };
}

/** Lines as one stream, read only as fast as they are taken; the source is ended when the reader goes. */
export function streamOfLines(lines: AsyncIterable<string>, lineEnd: '\n' | '\r\n'): ReadableStream<Uint8Array> {
  const iterator = lines[Symbol.asyncIterator]();
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
      let text = '';
      while (text.length < CHUNK_CHARACTERS) {
        const next = await iterator.next();
        if (next.done) {
          if (text !== '') controller.enqueue(encoder.encode(text));
          controller.close();
          return;
        }
        text += next.value + lineEnd;
      }
      controller.enqueue(encoder.encode(text));
    },
    async cancel() {
      await iterator.return?.();
    },
  };
  // 0: nothing is opened for an answer that nobody reads, such as one to HEAD.
  return new ReadableStream<Uint8Array>(source, { highWaterMark: 0 });
}

/**
 * Rows as server-sent events: `event: row` with the row as JSON, `event: dropped` with `{"count": n}` when the reader
 * was too slow for n rows, and a comment every 15 s.
 * @param subscribe called once, with what takes each row; returns what ends it
 */
export function streamOfRows(subscribe: (push: (row: AuditRow) => void) => () => void): ReadableStream<Uint8Array> {
  let unsubscribe: (() => void) | undefined;
  let keepAlive: NodeJS.Timeout | undefined;
  let dropped = 0;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (text: string): void => controller.enqueue(encoder.encode(text));
        // At once, so that whoever connects knows that it follows from here on.
        send(': following\n\n');
        unsubscribe = subscribe((row) => {
          if ((controller.desiredSize ?? 0) <= 0) dropped++;
          else send(`event: row\nid: ${row.requestId}\ndata: ${JSON.stringify(row)}\n\n`);
        });
        keepAlive = setInterval(() => {
          if ((controller.desiredSize ?? 0) > 0) send(': keep-alive\n\n');
        }, KEEP_ALIVE_MS);
        keepAlive.unref();
      },
      pull(controller) {
        if (dropped === 0) return;
        controller.enqueue(encoder.encode(`event: dropped\ndata: {"count":${dropped}}\n\n`));
        dropped = 0;
      },
      cancel() {
        unsubscribe?.();
        clearInterval(keepAlive);
      },
    },
    { highWaterMark: MAX_WAITING_ROWS },
  );
}
