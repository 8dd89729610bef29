// The head of a request as text: what is the same for many is made and checked once.
import { isFieldName, isFieldValue } from './characters.ts';
import { Http1Error } from './http1-error.ts';

export type RequestMethod = 'DELETE' | 'GET' | 'HEAD' | 'POST';

export interface RequestParts {
  method: RequestMethod;
  /** With its query, as it stands on the wire: begins with `/`, visible ASCII. */
  path: string;
  /** Names in any case. */
  headers: Readonly<Record<string, string>>;
}

/** They frame the message, belong to the connection, or ask for codings that are not read: made here, or not sent at all. */
const OWN = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const PATH = /^\/[\x21-\x7e]*$/;

/** Made by `Http1Pool.prepare`. */
export class RequestHead {
  readonly method: RequestMethod;
  readonly #text: string;
  readonly #names: ReadonlySet<string>;

  /** @throws Http1Error INVALID_REQUEST for what cannot stand in a request */
  constructor(host: string, parts: RequestParts) {
    if (!PATH.test(parts.path)) throw new Http1Error('INVALID_REQUEST', 'The path of the request is malformed.');
    this.method = parts.method;
    const names = new Set<string>();
    let text = `${parts.method} ${parts.path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`;
    for (const [given, value] of Object.entries(parts.headers)) {
      const name = given.toLowerCase();
      if (names.has(name))
        throw new Http1Error('INVALID_REQUEST', `The header ${JSON.stringify(name)} is given twice.`);
      names.add(name);
      text += field(name, value);
    }
    this.#text = text;
    this.#names = names;
  }

  /**
   * The whole head, Latin-1.
   * @param headers further ones, names in lower case; one that is prepared already keeps its prepared value
   * @param length of the body in bytes; undefined: there is none
   * @throws Http1Error INVALID_REQUEST for a header that cannot stand in a request
   */
  text(headers: Readonly<Record<string, string>>, length: number | undefined): string {
    let text = this.#text;
    for (const name in headers) {
      if (!this.#names.has(name)) text += field(name, headers[name] as string);
    }
    return length === undefined ? `${text}\r\n` : `${text}content-length: ${length}\r\n\r\n`;
  }
}

// The value may be a secret: a message never repeats it.
function field(name: string, value: string): string {
  if (!isFieldName(name)) throw new Http1Error('INVALID_REQUEST', `${JSON.stringify(name)} is no header name.`);
  if (OWN.has(name)) {
    throw new Http1Error('INVALID_REQUEST', `The header ${name} is made by the client; leave it out.`);
  }
  if (!isFieldValue(value)) {
    throw new Http1Error('INVALID_REQUEST', `The value of the header ${name} has characters that no header can carry.`);
  }
  return `${name}: ${value}\r\n`;
}
