// The report of the offline verifier as a schema.

import type { VerifyReport } from '@gatehouse/verify';
import { z } from '@hono/zod-openapi';

const where = { stream: z.string().optional(), writer: z.string().optional() };

export const verifyReportSchema: z.ZodType<VerifyReport> = z
  .object({
    ok: z
      .boolean()
      .openapi({ description: 'Nothing is wrong. Torn lines, unproven records and open intents are no fault.' }),
    records: z.int(),
    proven: z.int(),
    unproven: z.int(),
    heads: z.int(),
    chains: z.array(
      z.object({
        stream: z.string(),
        writer: z.string(),
        files: z.int(),
        records: z.int(),
        firstSeq: z.int(),
        lastSeq: z.int(),
        provenSeq: z.int(),
        unproven: z.int(),
        heads: z.int(),
        stopped: z.boolean(),
        lastHead: z.object({ seq: z.int(), hash: z.string(), time: z.string(), keyId: z.string() }).optional(),
      }),
    ),
    problems: z.array(
      z.object({
        code: z.enum([
          'malformed',
          'line_too_long',
          'hash_mismatch',
          'chain_broken',
          'sequence_gap',
          'missing_segment',
          'reordered',
          'duplicate',
          'foreign_record',
          'signature_invalid',
          'unknown_key',
          'head_mismatch',
          'reference_mismatch',
          'truncated',
          'missing_chain',
          'cut_invalid',
          'external_head_invalid',
        ]),
        ...where,
        seq: z.int().optional(),
        file: z.string().optional(),
        line: z.int().optional(),
        message: z.string(),
      }),
    ),
    problemCount: z.int(),
    torn: z.array(
      z.object({
        ...where,
        afterSeq: z.int().optional(),
        file: z.string().optional(),
        line: z.int(),
        bytes: z.int(),
      }),
    ),
    intentsWithoutOutcome: z.object({
      count: z.int(),
      examples: z.array(z.object({ writer: z.string(), seq: z.int(), requestId: z.string() })),
    }),
    unchecked: z.int(),
    signaturesChecked: z.boolean(),
    cuts: z
      .array(
        z.object({
          stream: z.string(),
          writer: z.string(),
          firstSeq: z.int(),
          lastSeq: z.int(),
          firstTime: z.string(),
          lastTime: z.string(),
          time: z.string(),
        }),
      )
      .openapi({ description: 'What retention cut, as signed records tell; the first 100.' }),
    cutCount: z.int(),
    cutRecords: z.int(),
    externalHeads: z.object({ given: z.int(), held: z.int(), cut: z.int() }).optional(),
    keys: z.array(
      z.object({
        keyId: z.string().optional(),
        source: z
          .enum(['given', 'successor', 'predecessor'])
          .openapi({ description: 'Given, or tied to a given one by what the log says.' }),
        heads: z.int(),
      }),
    ),
    externalHeadHeld: z.boolean().optional(),
    cannotProve: z.array(z.string()).openapi({ description: 'What this result does not say.' }),
  })
  .openapi('VerifyReport');
