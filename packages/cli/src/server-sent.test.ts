import { describe, expect, it } from 'vitest';
import { serverSentEvents } from './server-sent.ts';

function streamOf(chunks: readonly (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(typeof chunk === 'string' ? encoder.encode(chunk) : chunk);
      controller.close();
    },
  });
}

async function read(chunks: readonly (string | Uint8Array)[]) {
  const events = [];
  for await (const event of serverSentEvents(streamOf(chunks))) events.push(event);
  return events;
}

describe('serverSentEvents', () => {
  it('gives each event as it comes, wherever the chunks are cut', async () => {
    const bytes = new TextEncoder().encode(': hello\n\nevent: row\ndata: {"a":"é"}\n\ndata:1\r\ndata: 2\r\n\r\n');
    const expected = [
      { event: 'row', data: '{"a":"é"}' },
      { event: 'message', data: '1\n2' },
    ];
    expect(await read([bytes])).toEqual(expected);
    expect(await read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(expected);
  });

  it('drops an event that was cut off', async () => {
    expect(await read(['data: whole\n\ndata: ha'])).toEqual([{ event: 'message', data: 'whole' }]);
  });
});
