import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// `unit` is what runs in seconds with nothing but Node; `e2e` starts real processes.
// `npm run test:long` multiplies the runs of every property, which then take minutes.
const isLong = process.env.FC_RUNS !== undefined;

export default defineConfig({
  test: {
    // Much of the time is waiting, so that two cores serve two workers, and not one as by default.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      {
        test: {
          name: 'unit',
          // Modules are loaded once a worker: half the time, and no module of ours keeps state.
          isolate: false,
          testTimeout: isLong ? 3_600_000 : 10_000,
          include: ['packages/*/src/**/*.test.ts', 'packages/*/test/**/*.test.ts', 'bench/src/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/*.e2e.test.ts', '**/*.long.test.ts'],
        },
      },
      {
        test: {
          name: 'e2e',
          include: [
            'packages/*/src/**/*.e2e.test.ts',
            'packages/*/test/**/*.e2e.test.ts',
            'bench/src/**/*.e2e.test.ts',
          ],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        // Minutes of real processes: `npm run test:long` alone.
        test: {
          name: 'long',
          include: ['packages/*/test/**/*.long.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
