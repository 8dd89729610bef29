import { Checker, referencesOf } from './checker.ts';
import { keyChangesOf } from './key-changes.ts';
import { changesBeside, Keys, readHead } from './keys.ts';
import { readRecord } from './record.ts';
import { filesOfDir, filesOfList, type InputFile, type InputLine, linesOfFile, linesOfIterable } from './source.ts';
import type { SignedHead, VerifyInput, VerifyReport } from './types.ts';

const MAX_EXAMPLES = 100;

/** Stands in every record that says something of keys. */
const KEY_CHANGES = Buffer.from('"key_changes":[');

/**
 * Reads what the input says of changes of the signing key, so that it is known before the first head passes by. In a
 * log's folder that is a file and the stream of changes, which is short; an export is read through.
 */
async function collectKeys(dir: string | undefined, files: readonly InputFile[], keys: Keys): Promise<void> {
  if (!keys.some) return;
  if (dir !== undefined) keys.learn(changesBeside(dir));
  for (const file of files) {
    if (file.segment?.stream === 'calls') continue;
    for await (const lines of linesOfFile(file.path)) {
      for (const { bytes, tooLong } of lines) {
        const read = !tooLong && bytes.includes(KEY_CHANGES) ? readRecord(bytes) : undefined;
        if (read?.ok) keys.learn(keyChangesOf(read.record));
      }
    }
  }
}

/** What the first records of each chain say of other chains, so that it is known before these pass by. */
async function collectReferences(files: readonly InputFile[], checker: Checker, keys: Keys): Promise<void> {
  for (const file of files) {
    if (file.segment?.firstSeq !== 1) continue;
    scan: for await (const lines of linesOfFile(file.path)) {
      for (const input of lines) {
        const read = input.terminated && !input.tooLong ? readRecord(input.bytes) : undefined;
        if (!read?.ok) break scan;
        const { record } = read;
        if (record.kind !== 'start' && record.kind !== 'head') break scan;
        for (const reference of referencesOf(record, keys)) {
          checker.refer({ ...reference, file: file.path, line: input.line });
        }
      }
    }
  }
}

function externalHeadsOf({ externalHead, externalHeads }: VerifyInput): readonly unknown[] {
  return [...(externalHead === undefined ? [] : [externalHead]), ...(externalHeads ?? [])];
}

function referToExternal(given: unknown, keys: Keys, checker: Checker): void {
  const head = readHead(given);
  checker.external.given += 1;
  const checked = head && keys.some ? keys.check(head) : undefined;
  if (!head || (checked !== undefined && checked !== 'valid')) {
    const reason = !head
      ? 'it needs stream, writer, seq, hash, time, key_id and signature'
      : checked === 'unknown_key'
        ? `it names the key ${head.key_id}, which was not given`
        : 'its signature does not fit what it says';
    checker.problemCount += 1;
    if (checker.problems.length >= MAX_EXAMPLES) return;
    checker.problems.push({
      code: 'external_head_invalid',
      message: `The head from outside cannot be used: ${reason}.`,
    });
    return;
  }
  const { stream, writer, seq, hash, time } = head;
  const signed = checked === 'valid';
  checker.refer({ stream, writer, seq, hash, time, signed, by: 'the head from outside', outside: true });
}

function limitsOf(input: VerifyInput, report: Omit<VerifyReport, 'cannotProve'>): string[] {
  const limits: string[] = [];
  if (!report.signaturesChecked) {
    limits.push(
      'No public key was given: whoever can write the store could have made every record anew. Nothing here is proven.',
    );
  }
  if (report.unproven > 0) {
    limits.push(
      `${report.unproven === 1 ? '1 record lies' : `${report.unproven} records lie`} behind the last signed head of their chain; what lies there could have been changed or cut off by whoever can write the store.`,
    );
  }
  const heads = externalHeadsOf(input);
  const [head] = heads as readonly SignedHead[];
  limits.push(
    head === undefined
      ? 'No head from outside was given: whoever can write the store can cut off records back to an earlier head, or remove the newest chains, and whoever has the signing key as well can rewrite all. Keep heads elsewhere and give one.'
      : report.externalHeadHeld
        ? heads.length > 1
          ? 'Up to the records that the heads from outside name this is the log that they were made from. What lies behind the last of them, whoever can write the store could have cut off, and with the signing key rewritten.'
          : `Up to record ${head.seq} of ${head.stream}/${head.writer} this is the log that the head from outside was made from. What lies behind it, whoever can write the store could have cut off, and with the signing key rewritten.`
        : heads.length > 1
          ? 'Not every head from outside was found as it says: this is not the log that they were made from, or it was changed since.'
          : 'The head from outside was not found as it says: this is not the log that it was made from, or it was changed since.',
  );
  if (report.cutCount > 0) {
    limits.push(
      'What was cut cannot be looked at any more. That it was old enough to be cut is what the gateway says; whoever has the signing key could say it as well.',
    );
  }
  if (report.unchecked > 0) {
    limits.push(
      `${report.unchecked} mentions of other chains could not be looked up, since the input does not hold these records.`,
    );
  }
  return limits;
}

/**
 * Verifies an audit log, or an export of it, from the records and public keys alone; docs/audit-format.md says how.
 * Reads in a stream: memory is bounded by the number of chains, not by the number of records.
 * @throws TypeError when not exactly one of `dir`, `files`, `lines` is given, or a key cannot be used.
 * @throws Error of the file system when a file cannot be read.
 */
export async function verifyAuditLog(input: VerifyInput): Promise<VerifyReport> {
  const { dir, files, lines } = input;
  if ([dir, files, lines].filter((given) => given !== undefined).length !== 1) {
    throw new TypeError('Give exactly one of dir, files and lines.');
  }
  const keys = new Keys(input.publicKeys);
  const list = dir !== undefined ? filesOfDir(dir) : filesOfList(files ?? []);
  // In an export the chains may be mixed: references are then met as the records pass by.
  const collected = lines === undefined && list.every((file) => file.segment !== undefined);
  await collectKeys(dir, list, keys);
  const checker = new Checker(keys, collected);
  for (const head of externalHeadsOf(input)) referToExternal(head, keys, checker);
  if (collected) await collectReferences(list, checker, keys);
  const takeAll = async (batches: AsyncIterable<InputLine[]>): Promise<void> => {
    for await (const batch of batches) for (const line of batch) checker.take(line);
  };
  if (lines) await takeAll(linesOfIterable(lines));
  for (const file of list) {
    checker.beginFile(file);
    await takeAll(linesOfFile(file.path));
  }
  checker.end(dir === undefined);

  const { external } = checker;
  const chains = [...checker.chains.values()].filter((chain) => chain.records > 0 || chain.files > 0);
  const examples = chains.flatMap((chain) => chain.openExamples(MAX_EXAMPLES)).slice(0, MAX_EXAMPLES);
  const reports = chains.map((chain) => chain.report());
  const sum = (of: (chain: (typeof reports)[number]) => number): number =>
    reports.reduce((total, chain) => total + of(chain), 0);
  const report: Omit<VerifyReport, 'cannotProve'> = {
    ok: checker.problemCount === 0,
    records: sum((chain) => chain.records),
    proven: sum((chain) => chain.records - chain.unproven),
    unproven: sum((chain) => chain.unproven),
    heads: sum((chain) => chain.heads),
    chains: reports,
    problems: checker.problems,
    problemCount: checker.problemCount,
    torn: checker.torn,
    intentsWithoutOutcome: { count: chains.reduce((total, chain) => total + chain.openIntents, 0), examples },
    unchecked: checker.unchecked,
    signaturesChecked: keys.some,
    cuts: checker.cuts,
    cutCount: checker.cutCount,
    cutRecords: checker.cutRecords,
    ...(external.given > 0 && {
      externalHeadHeld: external.held > 0 && external.held + external.cut === external.given,
      externalHeads: { ...external },
    }),
    keys: keys.report,
  };
  return { ...report, cannotProve: limitsOf(input, report) };
}
