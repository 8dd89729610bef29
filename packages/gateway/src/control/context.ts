import type { SchemaCompiler } from '@gatehouse/policy';
import type { LiveDirectory } from '../directory.ts';
import type { RandomBytes } from '../identity/base62.ts';
import type { SealingKey } from '../store/seal.ts';
import type { ChangeRunner } from './change.ts';
import type { Pieces } from './pieces.ts';
import type { ControlState } from './state.ts';

/** What each service of the control plane works with. */
export interface ControlContext {
  readonly state: ControlState;
  readonly changes: ChangeRunner;
  readonly directory: LiveDirectory;
  readonly pieces: Pieces;
  readonly compileSchema: SchemaCompiler;
  readonly credentialsKey: SealingKey;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly random: RandomBytes;
}

/** The present as RFC 3339 text in UTC. */
export function timestamp(context: ControlContext): string {
  return new Date(context.clock()).toISOString();
}
