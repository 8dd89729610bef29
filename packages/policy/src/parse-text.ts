/** Reads a policy's text: JSON, or YAML 1.2 in its core schema. Duplicate keys and numbers that no double holds are refused. */
import { isExactNumber } from '@gatehouse/wire';
import { isAlias, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import type { PolicyProblem } from './types.ts';

const MAX_TEXT = 1_048_576;

function problem(message: string, code: string, suggestion?: string): PolicyProblem {
  return { pointer: '', message, severity: 'error', code, ...(suggestion !== undefined && { suggestion }) };
}

/** At most 1 MiB. The document is not checked any further; that is `checkPolicy`'s part. */
export function parsePolicyText(
  text: string,
): { ok: true; document: unknown } | { ok: false; problems: PolicyProblem[] } {
  if (text.length > MAX_TEXT) return { ok: false, problems: [problem('The text is longer than 1 MiB.', 'too_long')] };
  if (text.trim() === '') return { ok: false, problems: [problem('The text is empty.', 'syntax')] };
  const lines = new LineCounter();
  const parsed = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    uniqueKeys: true,
    merge: false,
    strict: true,
    stringKeys: true,
    prettyErrors: false,
    lineCounter: lines,
  });
  const where = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `line ${line}, column ${col}`;
  };
  const problems = [...parsed.errors, ...parsed.warnings].map((error) => {
    const duplicate = error.code === 'DUPLICATE_KEY';
    const words = duplicate ? 'this key is written twice' : error.message.replace(/\.$/, '');
    return problem(`At ${where(error.pos[0])}: ${words}.`, duplicate ? 'duplicate_key' : 'syntax');
  });
  visit(parsed, (_key, node) => {
    if (!isNode(node)) return;
    const at = node.range?.[0] ?? 0;
    if (isAlias(node)) problems.push(problem(`At ${where(at)}: aliases are not read; write the value out.`, 'syntax'));
    if (!isScalar(node) || typeof node.value !== 'number') return;
    const source = node.source ?? '';
    // Octal and hexadecimal integers of YAML are exact where they are safe.
    const exact = /^0[ox]/.test(source) ? Number.isSafeInteger(node.value) : isExactNumber(jsonNumber(source));
    if (!exact) {
      problems.push(
        problem(
          `At ${where(at)}: the number ${source} cannot be held exactly; write it with fewer digits.`,
          'inexact_number',
        ),
      );
    }
  });
  return problems.length > 0 ? { ok: false, problems } : { ok: true, document: parsed.toJS() };
}

/** YAML writes `+1`, `.5`, `1.` and `007`, which JSON does not. Infinities and NaN stay as they are and are inexact. */
function jsonNumber(source: string): string {
  return source
    .replace(/^\+/, '')
    .replace(/^(-?)0+(?=\d)/, '$1')
    .replace(/^(-?)\./, '$10.')
    .replace(/\.(?=$|[eE])/, '');
}
