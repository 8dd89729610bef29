import type { Migration } from 'kysely/migration';
import { first } from './001-first.ts';

/** All migrations by name; they run in the order of their names, and a name never changes once it was published. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '001-first': first,
};
