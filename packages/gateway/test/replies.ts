// What a recording upstream is made to say.
import type { ServerResponse } from 'node:http';
import type { RecordedRequest, RecordingUpstream } from '@gatehouse/testkit';

/** @param id raw JSON of the request's id */
export type Reply = (response: ServerResponse, id: string, request: RecordedRequest) => void;

export const tool = (name: string, extra: Record<string, unknown> = {}) => ({
  name,
  description: `Tool ${name}`,
  inputSchema: { type: 'object', properties: {} },
  ...extra,
});

/** One method is answered by hand, everything else as usual. */
export function answerWith(upstream: RecordingUpstream, method: string, reply: Reply): void {
  upstream.options.intercept = (request, response) => {
    if (request.message?.method !== method) return false;
    reply(response, JSON.stringify(request.message.id), request);
    return true;
  };
}

export function json(
  response: ServerResponse,
  text: string | Buffer,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(text);
}

export function events(response: ServerResponse, ...data: string[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.end(data.map((text) => `data: ${text}\n\n`).join(''));
}
