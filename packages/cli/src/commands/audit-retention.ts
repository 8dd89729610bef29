import type { Command } from 'commander';
import type { Cut, RetentionView } from '../api-types.ts';
import { type Context, confirmed, defineCommand, type GlobalOptions, handle, withClient } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import type { Cell } from '../output.ts';

interface RetentionOptions extends GlobalOptions {
  apply?: boolean;
  yes?: boolean;
}

const COLUMNS = ['CHAIN', 'RECORDS', 'SEGMENTS', 'MIB', 'FROM', 'TO'];
const DAY_MS = 86_400_000;

function cutCells({ stream, writer, firstSeq, lastSeq, segments, bytes, firstTime, lastTime }: Cut): Cell[] {
  const chain = `${stream}/${writer}`;
  return [chain, lastSeq - firstSeq + 1, segments, (bytes / 1024 ** 2).toFixed(1), firstTime, lastTime];
}

async function retention(context: Context, options: RetentionOptions): Promise<ExitCode> {
  const { out } = context;
  return withClient(context, options, async (client) => {
    const view = await client.request<RetentionView>('GET', '/audit/retention');
    if (options.apply !== true) {
      if (out.isJson) out.json(view);
      else show(context, view);
      return EXIT.ok;
    }
    if (!out.isJson) show(context, view);
    if (view.due.length > 0) {
      const question = `Cut ${view.due.reduce((sum, cut) => sum + cut.segments, 0)} segments of the audit log for ever?`;
      if (!(await confirmed(context, options.yes, question))) return EXIT.ok;
    }
    const { cut } = await client.request<{ cut: Cut[] }>('POST', '/audit/retention');
    if (out.isJson) out.json({ cut });
    else if (cut.length === 0) out.text('Nothing was cut.');
    else
      out.text(`Cut: ${cut.reduce((sum, one) => sum + one.segments, 0)} segments. gatehouse audit verify says what.`);
    return EXIT.ok;
  });
}

function show({ out }: Context, view: RetentionView): void {
  if (view.age === null) {
    out.text('Nothing is ever cut (audit.retention: never).');
    return;
  }
  out.text(
    `Segments whose records are all older than ${Math.round(view.age / DAY_MS)} days are cut: before ${view.before}.`,
  );
  out.table(COLUMNS, view.due.map(cutCells), 'Nothing is old enough.');
  for (const { stream, writer, name, reason } of view.kept) {
    out.note(`Kept although it is old enough: ${stream}/${name} of ${writer}: ${reason}.`);
  }
}

export function addRetentionCommand(group: Command, context: Context): void {
  const command = defineCommand(group, 'retention', {
    description: 'what of the log is old enough to be cut; with --apply, cut it now',
    examples: ['gatehouse audit retention', 'gatehouse audit retention --apply'],
    notes:
      'A running gateway does it by itself, every hour. What was cut is told by a signed record first, so that the log\n' +
      'still verifies. How long records are kept: audit.retention (400d; never).',
  })
    .option('--apply', 'cut what is due')
    .option('--yes', 'do not ask');
  handle<RetentionOptions>(context, command, (_, options) => retention(context, options));
}
