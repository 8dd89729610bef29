import { fileURLToPath } from 'node:url';

export { VERSION } from './version.ts';

/** The file that runs the server: `node <commandPath> --help` tells how. */
export const commandPath: string = fileURLToPath(
  new URL(`./main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);
