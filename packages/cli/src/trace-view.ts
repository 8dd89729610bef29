// How a decision and the way to it are shown.
import type { Decision, Trace, TracePredicate } from '@gatehouse/policy';
import type { Output } from './output.ts';

const MARKS = { pass: 'ok', deny: 'deny', 'not reached': '-' } as const;

function readText(predicate: TracePredicate): string {
  const { read, path } = predicate;
  if (read === undefined) return '';
  const value = read.found ? JSON.stringify(read.value) : (read.note ?? 'missing');
  return path === undefined ? ` (read ${value})` : ` (${path} is ${value})`;
}

function showPredicate(out: Output, predicate: TracePredicate, depth: number): void {
  const { name, kind, path, op, value, pointer, members } = predicate;
  const what = kind === 'predicate' ? `${path ?? ''} ${op ?? ''}`.trim() : kind;
  out.text(
    `${'  '.repeat(depth)}${value}: ${name === undefined ? '' : `${name}: `}${what}${readText(predicate)}  ${pointer}`,
  );
  for (const member of members ?? []) showPredicate(out, member, depth + 1);
}

export function showTrace(out: Output, trace: Trace): void {
  for (const { step, title, result, detail, predicates } of trace.steps) {
    out.text(
      `${String(step).padStart(2)}  ${MARKS[result].padEnd(4)}  ${title}${detail === undefined ? '' : `: ${detail}`}`,
    );
    for (const predicate of predicates) showPredicate(out, predicate, 5);
  }
}

export function showDecision(out: Output, decision: Decision): void {
  if (decision.outcome === 'allow') {
    out.line(out.style('green', 'allow'));
    for (const charge of decision.charges) {
      const { counter, amount, max, scope } = charge;
      const span = charge.kind === 'slot' ? 'at once' : `per ${charge.unit ?? `${charge.windowSeconds} s`}`;
      out.text(`  would take ${amount} of ${max} from ${counter} ${span} and ${scope}`);
    }
    for (const warning of decision.warnings) out.text(`  warning: ${warning}`);
    return;
  }
  out.line(`${out.style('red', 'deny')}`);
  out.text(`  ${decision.reason}`);
  out.text(`  rule ${decision.rule}${decision.name === undefined ? '' : ` (${decision.name})`}`);
  if (decision.retryAfterMs !== undefined)
    out.text(`  a retry can pass in ${Math.ceil(decision.retryAfterMs / 1000)} s`);
  for (const { pointer, message, value } of decision.failures) out.text(`  ${value}: ${message}  ${pointer}`);
}
