// What was sent on the streams of one session, so that a client can ask for what it missed.
import type { EventStore, JSONRPCMessage } from '@modelcontextprotocol/server';

export class MemoryEventStore implements EventStore {
  readonly #events: { stream: string; message: JSONRPCMessage }[] = [];

  storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    this.#events.push({ stream, message });
    return Promise.resolve(String(this.#events.length - 1));
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const last = Number(lastEventId);
    const stream = this.#events[last]?.stream;
    if (stream === undefined) throw new Error(`No event has the id ${lastEventId}.`);
    for (const [index, event] of this.#events.entries()) {
      // A stream begins with an event that holds no message.
      const filled = Object.keys(event.message).length > 0;
      if (index > last && event.stream === stream && filled) await send(String(index), event.message);
    }
    return stream;
  }
}
