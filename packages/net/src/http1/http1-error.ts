/**
 * - `INVALID_REQUEST`: what was to be sent is no HTTP request; nothing was connected or written.
 * - `INVALID_RESPONSE`: the server broke HTTP/1.1, or used what this client does not take; the message goes on after
 *   "its response was refused:", and repeats nothing that the server sent.
 * - `POOL_DESTROYED`: the pool ended, and all its exchanges with it.
 * - `ECONNRESET`: the server closed the connection before the end of its response.
 * - `ETIMEDOUT`: no connection (TLS included) within the time for it.
 */
export type Http1ErrorCode = 'INVALID_REQUEST' | 'INVALID_RESPONSE' | 'POOL_DESTROYED' | 'ECONNRESET' | 'ETIMEDOUT';

/** A fault that the client itself found; those of sockets, name look-up and TLS are handed on as Node made them. */
export class Http1Error extends Error {
  override readonly name = 'Http1Error';
  readonly code: Http1ErrorCode;

  constructor(code: Http1ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
