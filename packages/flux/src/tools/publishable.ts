import type { StandardSchemaWithJSON } from '@modelcontextprotocol/server';
import * as z from 'zod';

/**
 * A schema whose JSON form is made once. Over HTTP there is a server object for every request, and turning the schemas
 * into JSON for each of them would be most of the cost of `tools/list`.
 */
export function publishable<Schema extends z.ZodType>(
  schema: Schema,
): StandardSchemaWithJSON<z.input<Schema>, z.output<Schema>> {
  const standard = (schema as z.ZodType<z.output<Schema>, z.input<Schema>>)['~standard'];
  const made: { input?: Record<string, unknown>; output?: Record<string, unknown> } = {};
  const json = (io: 'input' | 'output') => (): Record<string, unknown> => {
    made[io] ??= z.toJSONSchema(schema, { target: 'draft-2020-12', io }) as Record<string, unknown>;
    return made[io];
  };
  return { '~standard': { ...standard, jsonSchema: { input: json('input'), output: json('output') } } };
}
