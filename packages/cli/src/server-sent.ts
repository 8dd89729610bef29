// Server-sent events of the gateway's own API, which always sends whole `data:` lines with LF.

export interface ServerSentEvent {
  event: string;
  data: string;
}

/** The events, as they come; comments (keep-alives) and events without data are passed over. */
export async function* serverSentEvents(stream: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  let event = 'message';
  let data: string[] = [];
  for await (const line of linesOf(stream)) {
    if (line === '') {
      if (data.length > 0) yield { event, data: data.join('\n') };
      event = 'message';
      data = [];
    } else if (line.startsWith('data:')) data.push(fieldValue(line, 'data:'));
    else if (line.startsWith('event:')) event = fieldValue(line, 'event:');
  }
}

function fieldValue(line: string, field: string): string {
  return line.slice(line[field.length] === ' ' ? field.length + 1 : field.length);
}

/** The lines of a stream of UTF-8 text, without their ends; a last line without an end counts. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop()!;
    for (const part of parts) yield part.endsWith('\r') ? part.slice(0, -1) : part;
  }
  if (rest !== '') yield rest;
}
