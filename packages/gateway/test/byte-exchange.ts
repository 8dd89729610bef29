// One exchange as bytes, without any library that decodes them: for tests of what passes unchanged.

/** Sends these bytes. @returns the bytes of the message in the reply, whether it is JSON or the last event of a stream */
export async function exchange(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<{ status: number; message: string }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
    body: Buffer.from(body),
  });
  // `text()` would take a byte order mark away.
  const text = Buffer.from(await response.arrayBuffer()).toString('utf8');
  const stream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  return { status: response.status, message: stream ? lastEvent(text) : text };
}

/** What an event stream carries of a text: each of its lines, whatever ended them, joined by LF. */
export const asEvent = (text: string): string => text.split(/\r\n|\r|\n/).join('\n');

/** The event that carries this text. */
export const frame = (text: string): string =>
  `event: message\n${asEvent(text)
    .split('\n')
    .map((line) => `data: ${line}\n`)
    .join('')}\n`;

function lastEvent(text: string): string {
  const event = text
    .split('\n\n')
    .filter((block) => /^data:/m.test(block))
    .at(-1);
  return (event ?? '')
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.replace(/^data: ?/, ''))
    .join('\n');
}

/** A call with the value in each place that takes an unknown member. @param id, value raw JSON */
export function callWith(id: string, value: string, meta = ''): string {
  return `{"x-first": -0,"params":{"_meta":{${meta}"com.example/x":${value}},"arguments":{"z":1.0,"a":${value}},"x-more":${value},"name":"get_a"} ,"method":"tools\\/call","jsonrpc":"2.0","id":${id},"x-last":${value}}`;
}

/** Its answer, likewise. */
export function answerWithValue(id: string, value: string): string {
  return `{"x-first":1.0,"result":{"_meta":{"com.example/x":${value}},"x-more":${value},"structuredContent":{"a":${value}},"content":[{"text":"\\u0064one","type":"text","x":-0,"_meta":{"a/b":${value}}}]} ,"id":${id},"jsonrpc":"2.0","x-last":${value}}`;
}

export const MODERN_META =
  '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},';
export const MODERN_HEADERS = {
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': 'tools/call',
  'mcp-name': 'get_a',
};
