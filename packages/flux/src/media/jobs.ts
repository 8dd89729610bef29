import type { OutputFormat } from '../models.ts';

/** Work for a media worker. Everything in it can be cloned between threads. */
export type MediaJob =
  | {
      kind: 'draw';
      prompt: string;
      seed: number;
      width: number;
      height: number;
      format: OutputFormat;
    }
  | {
      kind: 'edit';
      prompt: string;
      seed: number;
      size: { width: number; height: number } | undefined;
      format: OutputFormat;
      sources: readonly Uint8Array[];
    }
  | { kind: 'inspect'; bytes: Uint8Array }
  | { kind: 'thumbnail'; bytes: Uint8Array; maxBytes: number };

/** What a worker answers: an encoded picture, or for `inspect` only its size (`bytes` is empty then). */
export interface MediaResult {
  bytes: Uint8Array;
  width: number;
  height: number;
}

export interface MediaRequest {
  id: number;
  job: MediaJob;
}

export type MediaReply = { id: number; result: MediaResult } | { id: number; error: string };
