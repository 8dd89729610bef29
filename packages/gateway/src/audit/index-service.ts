import { setImmediate as nextTurn } from 'node:timers/promises';
import { CallIndex } from './call-index.ts';
import { foundCsv, foundLines, readLines } from './export.ts';
import type { IndexReply, IndexRequest } from './index-jobs.ts';
import { isDamage, removeIndex } from './index-schema.ts';
import { AuditQueryError, callsByRequestId, type LinePlace, searchCalls, searchChanges } from './search.ts';

/** Lines of an export go over in pieces of about this many characters, so that no piece holds the main thread up. */
const PIECE_CHARACTERS = 128 * 1024;

/** What the index's thread does: keeps the index up to date and answers from it. */
export class IndexService {
  readonly #dir: string;
  readonly #writer: string;
  readonly #exports = new Map<number, Iterator<string, void>>();
  #index: CallIndex | undefined;

  constructor(dir: string, writer: string) {
    this.#dir = dir;
    this.#writer = writer;
  }

  /** Answers every request; failures are in the answer. */
  async answer(request: IndexRequest): Promise<IndexReply> {
    const { id } = request;
    try {
      const value = await this.#retried(() => this.#do(request));
      const reply: IndexReply = { id, value };
      if (this.#index !== undefined) reply.indexed = this.#index.recordsOf(this.#writer);
      return reply;
    } catch (error) {
      if (error instanceof AuditQueryError) return { id, error: { kind: 'query', message: error.message } };
      this.close();
      return { id, error: { kind: 'index', message: error instanceof Error ? error.message : String(error) } };
    }
  }

  /** Closes the index; the next request opens it anew. Exports end with an error, for what they began with is gone. */
  close(): void {
    this.#exports.clear();
    const index = this.#index;
    this.#index = undefined;
    try {
      index?.close();
    } catch {
      // It is opened anew, and built again if need be.
    }
  }

  /** Once more with a new index where the file turns out to be damaged. */
  async #retried<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.close();
      removeIndex(this.#dir);
      return work();
    }
  }

  async #do(request: IndexRequest): Promise<unknown> {
    switch (request.name) {
      case 'build':
        // Searches and exports that wait go first, after each batch.
        for (const _batch of this.#open().build(request.which)) await nextTurn();
        return null;
      case 'search':
        return searchCalls(this.#caughtUp().db, request.query);
      case 'changes':
        return searchChanges(this.#caughtUp().db, request.query, (places) => this.#read(places));
      case 'request':
        return callsByRequestId(this.#caughtUp().db, request.requestId, (places) => this.#read(places));
      case 'export': {
        const { db } = this.#caughtUp();
        const { query } = request;
        this.#exports.set(
          request.reader,
          request.format === 'csv' ? foundCsv(db, query) : foundLines(this.#dir, db, query),
        );
        return null;
      }
      case 'read':
        return this.#piece(request.reader);
      case 'end':
        this.#exports.get(request.reader)?.return?.();
        this.#exports.delete(request.reader);
        return null;
      case 'close':
        this.close();
        return null;
    }
  }

  #open(): CallIndex {
    // Whoever deletes its file wants it built again.
    if (this.#index?.isCurrent === false) this.close();
    this.#index ??= new CallIndex(this.#dir);
    return this.#index;
  }

  #caughtUp(): CallIndex {
    const index = this.#open();
    index.catchUp();
    return index;
  }

  #read(places: readonly LinePlace[]): string[] {
    return [...readLines(this.#dir, this.#index!.db, places)];
  }

  #piece(reader: number): string[] {
    const lines = this.#exports.get(reader);
    if (lines === undefined) throw new Error('it was opened anew while it was exported from; export again');
    const piece: string[] = [];
    for (let characters = 0; characters < PIECE_CHARACTERS; ) {
      const next = lines.next();
      if (next.done) {
        if (piece.length === 0) this.#exports.delete(reader);
        break;
      }
      piece.push(next.value);
      characters += next.value.length;
    }
    return piece;
  }
}
