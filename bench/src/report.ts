// What is printed.
import type { JudgeCase } from './judge.ts';
import type { Estimate } from './statistics.ts';
import type { Row } from './summary.ts';

/** Columns as wide as their widest cell; the first is left-aligned, the others are right-aligned. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd();
  return [line(header), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

const whole = (value: number) => Math.round(value).toLocaleString('en');
const interval = ({ value, low, high }: Estimate, digits: number) =>
  `${value.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
const optional = <T>(value: T | undefined, text: (value: T) => string) => (value === undefined ? '–' : text(value));

export function callsTable(rows: readonly Row[]): string {
  const header = [
    'variant',
    'calls/s',
    'p50 µs',
    'p99 µs',
    'added p50 µs',
    'CPU µs/call',
    'behind',
    'CPU / bare',
    'calls/s / bare',
  ];
  const groups = [...new Set(rows.map(({ connections }) => connections))];
  return groups
    .map((connections) => {
      const cells = rows
        .filter((row) => row.connections === connections)
        .map((row) => [
          row.variant,
          whole(row.rate),
          whole(row.p50),
          whole(row.p99),
          optional(row.addedP50, (added) => interval(added, 0)),
          optional(row.cpu, whole),
          optional(row.cpuBehind, (behind) => behind.toFixed(1)),
          optional(row.cpuRatio, (ratio) => interval(ratio, 2)),
          optional(row.rateRatio, (ratio) => interval(ratio, 2)),
        ]);
      return `${connections} connection${connections === 1 ? '' : 's'}\n${table(header, cells)}`;
    })
    .join('\n\n');
}

export function judgeTable(cases: readonly JudgeCase[]): string {
  return table(
    ['judge alone', 'µs per decision'],
    cases.map(({ name, micros }) => [name, interval(micros, 2)]),
  );
}

export const HOW_TO_READ = `In brackets: 95 % bootstrap intervals of the median, paired by round. "behind" is CPU used after the load, per call.
Absolute numbers drift on a shared machine, from run to run and from minute to minute: compare ratios, and only within one run.`;
