import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import type { Command } from 'commander';
import { type Context, defineCommand, handle, withClient } from '../context.ts';
import { usageError } from '../errors.ts';
import { queryOf } from '../values.ts';
import { addFilters, type FilterOptions, filterQuery } from './audit.ts';

interface ExportOptions extends FilterOptions {
  format: string;
  output?: string;
}

async function exportLog(context: Context, options: ExportOptions): Promise<undefined> {
  const { format, output } = options;
  if (format !== 'jsonl' && format !== 'csv') throw usageError(`--format: "${format}" is neither jsonl nor csv.`);
  const query = queryOf({ format, ...filterQuery(context, options) });
  return withClient(context, options, async (client) => {
    const body = await client.stream(`/audit/export${query}`, format === 'csv' ? 'text/csv' : 'application/x-ndjson');
    if (output === undefined) {
      const decoder = new TextDecoder();
      for await (const chunk of body) await context.out.rawAwaited(decoder.decode(chunk, { stream: true }));
      return undefined;
    }
    // What is exported says who did what: for this user only.
    await pipeline(
      Readable.fromWeb(body as NodeReadableStream),
      createWriteStream(output, { mode: 0o600, flags: 'wx' }),
    ).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') throw usageError(`${output} exists already; name another file.`);
      throw error;
    });
    if (context.out.isJson) context.out.json({ file: output });
    else context.out.note(`Written to ${output}.`);
    return undefined;
  });
}

export function addExportCommand(group: Command, context: Context): void {
  const command = defineCommand(group, 'export', {
    description: 'the log as JSON Lines or CSV, of any length',
    examples: [
      'gatehouse audit export --output audit.jsonl',
      'gatehouse audit export --format csv --from 30d > calls.csv',
    ],
    notes:
      'An export as JSON Lines without filters holds both chains whole, and can be verified: gatehouse audit verify --file.',
  });
  addFilters(command, { past: true })
    .option('--format <format>', 'jsonl or csv', 'jsonl')
    .option('--output <file>', 'a new file instead of standard output');
  handle<ExportOptions>(context, command, (_, options) => exportLog(context, options));
}
