import type { ChainReport, KeyReport, Problem, TornLine, VerifyReport } from './types.ts';

const SHOWN = 10;

const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

/** A file's name can hold anything; what is printed must not act on a terminal. */
const printable = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '?');

function place(found: Problem | TornLine): string {
  const chain = found.writer === undefined ? '' : ` ${found.stream}/${found.writer}`;
  const seq = 'seq' in found && found.seq !== undefined ? ` record ${found.seq}` : '';
  const file = found.file === undefined ? '' : ` ${found.file}`;
  const line = found.line === undefined ? '' : `${file === '' ? ' line ' : ':'}${found.line}`;
  return `${chain}${seq}${file}${line}`.trim();
}

function listed<T>(items: readonly T[], total: number, show: (item: T) => string): string[] {
  const lines = items.slice(0, SHOWN).map((item) => `  ${show(item)}`);
  if (total > lines.length) lines.push(`  … and ${total - lines.length} more`);
  return lines;
}

function chainLine(chain: ChainReport): string {
  const end = chain.stopped ? '' : ', not stopped in order or still open';
  const from = chain.firstSeq === 1 ? '' : ` from ${chain.firstSeq} on`;
  const proven = chain.unproven === 0 ? 'all proven' : `${chain.unproven} unproven`;
  return `${chain.stream}/${chain.writer}: ${counted(chain.records, 'record')}${from}, ${counted(chain.heads, 'head')}, ${proven}${end}`;
}

const KEY_SOURCES: Readonly<Record<KeyReport['source'], string>> = {
  given: 'given',
  successor: 'named by its predecessor',
  predecessor: 'vouched for by its successor',
};

const keyLine = ({ keyId, source, heads }: KeyReport): string =>
  `${keyId ?? '(no name)'}: ${KEY_SOURCES[source]}, ${counted(heads, 'head')}`;

/** A report as text for a terminal, without a line feed at its end. The first problem comes first. */
export function formatReport(report: VerifyReport): string {
  const out: string[] = [];
  const [first] = report.problems;
  if (first) {
    out.push(`NOT INTACT: ${counted(report.problemCount, 'problem')}.`);
    out.push(`First bad record: ${place(first)} (${first.code})`, `  ${first.message}`);
    if (report.problemCount > 1) {
      out.push(
        'Further problems:',
        ...listed(report.problems.slice(1), report.problemCount - 1, (p) => `${place(p)} (${p.code}): ${p.message}`),
      );
    }
  } else {
    out.push(
      report.signaturesChecked
        ? 'INTACT as far as it can be proven.'
        : 'No contradiction found; signatures were not checked.',
    );
  }
  out.push(
    `${counted(report.records, 'record')} in ${counted(report.chains.length, 'chain')}: ${report.proven.toLocaleString('en')} proven by signed heads, ${report.unproven.toLocaleString('en')} unproven.`,
    ...listed(report.chains, report.chains.length, chainLine),
  );
  if (report.cutCount > 0) {
    out.push(
      `Cut by retention, as signed records tell: ${counted(report.cutRecords, 'record')} of ${counted(report.cutCount, 'chain')}:`,
      ...listed(
        report.cuts,
        report.cutCount,
        (cut) => `${cut.stream}/${cut.writer} up to record ${cut.lastSeq}, ${cut.lastTime}; cut at ${cut.time}`,
      ),
    );
  }
  if (report.keys.length > 1 || report.keys.some(({ source }) => source !== 'given')) {
    out.push('Keys:', ...listed(report.keys, report.keys.length, keyLine));
  }
  if (report.torn.length > 0) {
    out.push(
      `${counted(report.torn.length, 'torn line')} (cut off while being written; not tampering):`,
      ...listed(
        report.torn,
        report.torn.length,
        (torn) => `${place(torn)}: ${counted(torn.bytes, 'byte')} after record ${torn.afterSeq ?? '?'}`,
      ),
    );
  }
  const open = report.intentsWithoutOutcome;
  if (open.count > 0) {
    out.push(
      `${counted(open.count, 'intent')} without an outcome (the calls may have had their effect):`,
      ...listed(open.examples, open.count, (intent) => `${intent.requestId} (${intent.writer} record ${intent.seq})`),
    );
  }
  if (report.externalHeadHeld !== undefined) {
    const { given, held, cut } = report.externalHeads ?? { given: 1, held: Number(report.externalHeadHeld), cut: 0 };
    const gone = cut === 0 ? '' : ` ${counted(cut, 'head')} from outside: the records are cut.`;
    const said =
      given === 1
        ? `The head from outside is ${report.externalHeadHeld ? '' : 'NOT '}held.`
        : `${held} of ${given} heads from outside are held.`;
    out.push(cut === given ? gone.trim() : `${said}${gone}`);
  }
  out.push('What this does not prove:', ...report.cannotProve.map((limit) => `  ${limit}`));
  return out.map(printable).join('\n');
}
