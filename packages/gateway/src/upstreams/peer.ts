// What a lane speaks through: the pipes of a child, or the stream and the posts of HTTP+SSE.

/** What becomes of one message; `onTaken` or `onFailed` comes last, or neither after `abort`. */
export interface Delivery {
  /** A byte of the message is about to be handed over. */
  onHandedOver(): void;
  onTaken(): void;
  /** @param reason in plain words, without an address */
  onFailed(reason: string, handedOver: boolean): void;
}

/** A message whose delivery takes its time. */
export interface Posted {
  /** Gives up; the delivery is told nothing more. */
  abort(): void;
  /** The message was answered, so that nobody waits for its delivery any more. */
  settle(): void;
}

export interface Peer {
  /** How it ended; nothing more comes of it then. Never rejects. */
  readonly ended: Promise<string>;
  /** @returns undefined: the delivery was told the end of it inside this call */
  write(message: Uint8Array, delivery: Delivery): Posted | undefined;
  /** Stops reading until `resume`. */
  pause(): void;
  resume(): void;
  /** The last lines for people, oldest first. */
  stderrLines(): string[];
  /** Resolves when it is gone. */
  stop(): Promise<unknown>;
}

export type Started = { ok: true; peer: Peer } | { ok: false; reason: string };

/** How lanes of one server come to their peers. */
export interface Connector {
  /** @param onMessage gets each message as it came; the bytes are the listener's only until it returns */
  start(onMessage: (bytes: Uint8Array) => void): Promise<Started>;
  /** With the peer all that it was given has ended. */
  readonly endsWork: boolean;
  /** How people and agents are told. */
  readonly words: {
    /** What a lane is, in the plural, and what it does: `processes running`. */
    readonly lanes: string;
    /** That there is no peer: `could not be started`. @param why named only where agents may see it */
    notMade(why: string): string;
    /** The event of the program log: `child`. */
    readonly event: string;
    /** What a call is told whose answer did not come. */
    readonly ended: string;
    /** What a message is told that comes too late. */
    readonly gone: string;
    /** Why another one is not made at once. */
    why(how: string): string;
  };
}
