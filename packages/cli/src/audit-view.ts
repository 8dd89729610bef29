// Rows of the audit log, for people.
import type { AuditRow, ChangeRow } from './api-types.ts';
import type { Cell, Output } from './output.ts';

export const ROW_COLUMNS = ['TIME', 'OUTCOME', 'SERVER', 'TOOL', 'IDENTITY', 'RULE', 'REQUEST'];

function timeOf(row: AuditRow): string {
  return new Date(row.time).toISOString();
}

/** With the number of those that the row stands for. */
function outcomeOf(row: AuditRow): string {
  return row.count > 1 ? `${row.outcome} ×${row.count}` : row.outcome;
}

export function rowCells(row: AuditRow): Cell[] {
  const tool = row.tool ?? row.method;
  return [timeOf(row), outcomeOf(row), row.server, tool, row.identity?.name, row.rule, row.requestId];
}

export const CHANGE_COLUMNS = ['TIME', 'ACTION', 'TARGET', 'ACTOR'];

export function changeCells({ time, action, target, actor }: ChangeRow): Cell[] {
  return [new Date(time).toISOString(), action, target, `${actor.kind} ${actor.id}`];
}

/** One line of the live view. */
export function rowLine(row: AuditRow): string {
  const took = row.upstreamMs === undefined ? '' : ` ${Math.round(row.upstreamMs)} ms`;
  const why = row.message === undefined ? '' : `  ${row.message}`;
  return `${rowCells(row)
    .map((cell) => cell ?? '-')
    .join('  ')}${took}${why}`;
}

/** A call with its whole records. */
export function showRecords(out: Output, row: AuditRow): void {
  out.fields([
    ['request', row.requestId],
    ['time', timeOf(row)],
    ['outcome', outcomeOf(row)],
    ['rule', row.rule],
    ['message', row.message],
    ['server', row.server],
    ['method', row.method],
    ['tool', row.tool],
    ['identity', row.identity?.name],
    ['grant', row.grant && `${row.grant.label} (${row.grant.id})`],
    ['policy', row.policy && `${row.policy.id}, version ${row.policy.version}`],
    ['client', row.client],
    ['source', row.source],
    ['took', row.upstreamMs === undefined ? undefined : `${row.upstreamMs} ms`],
    ['answer', row.bytes === undefined ? undefined : `${row.bytes} bytes`],
  ]);
  for (const record of row.records ?? []) {
    out.line();
    out.json(record);
  }
}
