import { enableCompileCache } from 'node:module';

// Before anything else is loaded: compiled code from the last start is most of the way to the first answer.
enableCompileCache();
await import('./command.ts');
