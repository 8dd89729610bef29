// JSON.parse misreads escaped keys (packages/wire/src/json-text.ts), so that nothing from outside may go through it.
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Files that read only what this program or its package wrote, with keys that no one else names. */
const ALLOWED = [
  'packages/flux/src/tasks/store.ts',
  'packages/flux/src/tools/schemas.ts',
  'packages/gateway/src/store/lock.ts',
  'packages/gateway/src/version.ts',
  'packages/policy/src/path.ts',
  'packages/verify/src/keys.ts',
  'packages/verify/src/record.ts',
  'packages/wire/src/json-text.ts',
  'packages/wire/src/text.ts',
  'packages/wire/src/values.ts',
];

it('[WIRE-KEYS] only the reader that is right about escaped keys reads JSON from outside', () => {
  const found = globSync('packages/*/src/**/*.ts', { cwd: root })
    .filter((file) => !/(?:\.test|\/testing)\.ts$/.test(file) && !file.startsWith('packages/testkit/'))
    .filter((file) => /\bJSON\.parse\b|\.json\(\)/.test(code(readFileSync(`${root}/${file}`, 'utf8'))));
  expect(found.sort()).toEqual(['packages/cli/src/serve-gateway.ts', ...ALLOWED].sort());
});

/** Without comments. */
function code(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
}
