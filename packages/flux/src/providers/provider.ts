import type { ModelCard, ModelName, OutputFormat } from '../models.ts';
import type { PixelSize, SizeRule } from '../sizes.ts';

/** A picture that came in with a call, already loaded and checked. */
export interface SourceImage {
  readonly bytes: Uint8Array;
  /** From the magic bytes, never from what the sender claimed. */
  readonly mimeType: string;
  readonly width: number;
  readonly height: number;
}

/** One piece of work for a provider. The same job always stands behind the same task. */
export interface ImageJob {
  readonly taskId: string;
  readonly action: 'generate' | 'edit';
  readonly prompt: string;
  readonly model: ModelName;
  /** `undefined` in an edit: the size of the first source. */
  readonly size: PixelSize | undefined;
  /** 1 to 8. */
  readonly count: number;
  /** 0 to 2³²−1. Picture n of a job uses `seed + n`. */
  readonly seed: number;
  readonly format: OutputFormat;
  /** Edits only: the picture to change first, then the references. */
  readonly sources: readonly SourceImage[];
}

export interface ProducedImage {
  readonly bytes: Uint8Array;
  readonly format: OutputFormat;
  readonly width: number;
  readonly height: number;
  readonly seed: number | undefined;
}

export interface JobContext {
  /** Aborted when the caller cancels or the server stops. */
  readonly signal: AbortSignal;
  /** @param done 0 to 1, never falling; @param message one short sentence without anything of the prompt */
  readonly onProgress: (done: number, message: string) => void;
}

/** What a provider takes for one model, and what it costs there. */
export interface ModelOffer {
  readonly card: ModelCard;
  readonly sizes: SizeRule;
  readonly defaultSize: string;
  readonly edits: boolean;
  readonly maxReferences: number;
  /** Price of one picture in US dollars; `undefined` where the provider does not say. */
  readonly priceUsd: number | undefined;
  readonly priceNote: string;
  readonly speedNote: string;
}

/** How a caller should ask after a task of this provider. Seconds, and a count of attempts. */
export interface PollingAdvice {
  readonly intervalSeconds: number;
  readonly maxAttempts: number;
  readonly expectedSeconds: number;
}

/**
 * Something that makes pictures (spec: flux §2).
 *
 * `start` is called exactly once for a task, and its handle is stored before anything else happens; `collect` may be called
 * again with the same handle, also by another process after a restart. So what `start` does may cost money, and what
 * `collect` does may not. A task whose process ended between the two is failed with a reason, never started again.
 */
export interface ImageProvider {
  readonly name: string;
  /** Put into every result and model list, such as "preview, not Flux"; `undefined` when there is nothing to say. */
  readonly notice: string | undefined;
  readonly polling: PollingAdvice;
  /** In the order of `MODEL_NAMES`; a model that is not in it is refused by name. */
  models(): readonly ModelOffer[];
  /** @returns what `collect` needs to find the work again, at most a few kilobytes of text */
  start(job: ImageJob, context: JobContext): Promise<string>;
  /** @throws FluxError with the provider's code, HTTP status and trace id when the work failed */
  collect(handle: string, job: ImageJob, context: JobContext): Promise<readonly ProducedImage[]>;
  /** Ends the work where the provider can. @returns whether it did */
  cancel(handle: string): Promise<boolean>;
  close(): Promise<void>;
}
