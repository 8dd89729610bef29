// What is printed.
import type { Bound } from './bounds.ts';
import type { JudgeRow } from './judge.ts';
import type { Machine } from './machine.ts';
import type { MemoryRow } from './memory.ts';
import type { Result } from './result.ts';
import type { Estimate } from './statistics.ts';
import type { Comparison, Row } from './summary.ts';

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
const connectionsOf = (count: number) => `${whole(count)} connection${count === 1 ? '' : 's'}`;

/** One table for each workload and number of connections. */
export function callsTable(rows: readonly Row[]): string {
  const header = [
    'variant',
    'calls/s',
    'p50 µs',
    'p99 µs',
    '+p50 direct',
    '+p99 direct',
    '+p50 bare',
    '+p99 bare',
    'CPU µs',
    'index',
    'behind',
    'CPU / bare',
  ];
  const places = new Map(rows.map((row) => [`${row.workload}/${row.connections}`, row]));
  return [...places.values()]
    .map(({ workload, connections }) => {
      const cells = rows
        .filter((row) => row.workload === workload && row.connections === connections)
        .map((row) => [
          row.variant,
          whole(row.rate),
          whole(row.p50),
          whole(row.p99),
          optional(row.added, ({ p50 }) => interval(p50, 0)),
          optional(row.added, ({ p99 }) => interval(p99, 0)),
          optional(row.addedToReference, ({ p50 }) => interval(p50, 0)),
          optional(row.addedToReference, ({ p99 }) => interval(p99, 0)),
          optional(row.cpu, whole),
          optional(row.index, (micros) => micros.toFixed(1)),
          optional(row.behind, (micros) => micros.toFixed(1)),
          optional(row.cpuRatio, (ratio) => interval(ratio, 2)),
        ]);
      return `${workload}, ${connectionsOf(connections)}\n${table(header, cells)}`;
    })
    .join('\n\n');
}

/** Ratios of one variant to another. */
export function comparisonTable(title: string, comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(({ workload, connections, variant, against, cpu, background, p50, p99, rate }) => [
    `${variant} / ${against}`,
    workload,
    whole(connections),
    interval(cpu, 2),
    interval(background, 2),
    interval(p50, 2),
    interval(p99, 2),
    interval(rate, 2),
  ]);
  return table([title, 'workload', 'connections', 'CPU', 'background', 'p50', 'p99', 'calls/s'], rows);
}

export function memoryTable(rows: readonly MemoryRow[]): string {
  const mebibytes = (bytes: number) => (bytes / 1_024 ** 2).toFixed(1);
  const kibibytes = ({ value, low, high }: Estimate) =>
    interval({ value: value / 1_024, low: low / 1_024, high: high / 1_024 }, 1);
  return table(
    ['memory', 'idle streams', 'MiB without', 'MiB with', 'KiB per stream'],
    rows.map(({ variant, streams, idleBytes, fullBytes, perStream }) => [
      variant,
      whole(streams),
      mebibytes(idleBytes),
      mebibytes(fullBytes),
      kibibytes(perStream),
    ]),
  );
}

export function judgeTable(rows: readonly JudgeRow[]): string {
  const compared = rows.some(({ ratio }) => ratio !== undefined);
  const several = new Set(rows.map(({ candidate }) => candidate)).size > 1;
  return table(
    ['judge alone', 'µs', ...(compared ? ['new / old'] : [])],
    rows.map(({ name, candidate, micros, ratio }) => [
      several ? `${name} (${candidate})` : name,
      interval(micros, 2),
      ...(compared ? [optional(ratio, (value) => interval(value, 2))] : []),
    ]),
  );
}

export function boundsTable(bounds: readonly Bound[]): string {
  return table(
    ['bound', 'limit', 'measured', 'verdict'],
    bounds.map(({ name, limit, estimate, unit, verdict }) => [
      name,
      limit,
      `${interval(estimate, unit === 'µs' && estimate.value > 10 ? 0 : 2)}${unit === '' ? '' : ` ${unit}`}`,
      verdict,
    ]),
  );
}

export function describeMachine(machine: Machine): string {
  const { platform, cpus, model, node, nginx, syncMicros, commit, changed } = machine;
  const of = commit === undefined ? '' : `; commit ${commit.slice(0, 12)}${changed === true ? ' with changes' : ''}`;
  return `${cpus} × ${model}, ${platform}, Node ${node}, ${nginx ?? 'no nginx'}; one fdatasync of the data folder: ${Math.round(syncMicros)} µs${of}`;
}

/** All tables of a result, with what must be known to read them. */
export function reportOf({ calls, flat, memory, judge, bounds, warnings, missing }: Result): string {
  const parts: string[] = [];
  if (calls !== undefined) {
    parts.push(callsTable(calls.rows));
    if (calls.comparisons.length > 0) parts.push(comparisonTable('new / old', calls.comparisons));
  }
  if (flat !== undefined) parts.push(comparisonTable('many / one', flat.comparisons));
  if (memory !== undefined) parts.push(memoryTable(memory));
  if (judge !== undefined) parts.push(judgeTable(judge));
  if (bounds.length > 0) parts.push(boundsTable(bounds));
  const lines = [...warnings.map((text) => `WARNING: ${text}`), ...missing.map((text) => `NOT MEASURED: ${text}`)];
  if (lines.length > 0) parts.push(lines.join('\n'));
  return parts.join('\n\n');
}

export const HOW_TO_READ = `In brackets: 95 % bootstrap intervals of the median, paired by round. "+p50 direct": how much longer the median call takes
than direct. "index" and "behind": µs of CPU per call for the search index and after the load, not in "CPU". Absolute numbers drift on a shared machine, from
run to run and from minute to minute: compare ratios, and only within one run. docs/benchmarks.md says more.`;
