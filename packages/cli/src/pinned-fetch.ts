// `fetch` for the gateway on this machine under TLS: it is asked by address, for which its certificate need not be, so this
// one certificate is taken and no other, whoever vouches for it.
import { request } from 'node:https';
import { Readable } from 'node:stream';

/**
 * @param certificate PEM of the one certificate that is taken
 * @returns as much of `fetch` as the client uses: bodies of text, no redirects; rejects as `fetch` does
 */
export function pinnedFetch(certificate: string): (url: string, init: RequestInit) => Promise<Response> {
  return (url, { method = 'GET', headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const sent = request(
        url,
        {
          method,
          headers: Object.fromEntries(new Headers(headers)),
          ...(signal ? { signal } : {}),
          // A connection for each request: a command makes few, and none may keep the process from ending.
          agent: false,
          ca: certificate,
          allowPartialTrustChain: true,
          checkServerIdentity: () => undefined,
        },
        (answer) => {
          const { statusCode: status = 0 } = answer;
          const hasBody = status !== 204 && status !== 304;
          if (!hasBody) answer.resume();
          const given = Object.entries(answer.headers).map(([name, value]): [string, string] => [name, String(value)]);
          resolve(
            new Response(hasBody ? (Readable.toWeb(answer) as ReadableStream<Uint8Array>) : null, {
              status,
              headers: given,
            }),
          );
        },
      );
      sent.on('error', (error) => {
        reject(signal?.aborted ? (signal.reason as Error) : new TypeError('fetch failed', { cause: error }));
      });
      sent.end(typeof body === 'string' ? body : undefined);
    });
}
