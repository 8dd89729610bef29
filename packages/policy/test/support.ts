import { readdirSync, readFileSync } from 'node:fs';
import { type JsonValue, parseJson } from '@gatehouse/wire';
import { parse } from 'yaml';
import { compileSchema } from '../src/ajv.ts';
import type { Call, JudgeContext, PinnedTool } from '../src/index.ts';

export interface Definition {
  class?: PinnedTool['class'];
  state?: PinnedTool['state'];
  annotations?: Record<string, unknown>;
  inputSchema?: unknown;
}

export interface CaseContext {
  identity?: object;
  grant?: object;
  server?: object;
  client?: { name: string; version: string };
  session?: string;
  frozen?: boolean;
  tolerated?: string[];
  now?: string;
}

export interface Case {
  name: string;
  policy?: unknown;
  block?: object;
  definitions?: Record<string, Definition>;
  tool?: string;
  arguments?: JsonValue;
  json?: string;
  resource?: string;
  prompt?: string;
  context?: CaseContext;
  expect: {
    allow?: true;
    charges?: Record<string, number[]>;
    slots?: Record<string, number>;
    warnings?: string[];
    deny?: string;
    also?: string[];
    reason?: string;
    concealed?: boolean;
    visible?: boolean;
  };
}

export interface Row {
  arg?: JsonValue;
  json?: string;
  is: boolean | 'indeterminate' | 'missing';
  why?: string;
}

export interface CaseFile {
  title: string;
  definitions?: Record<string, Definition>;
  policy?: unknown;
  cases?: Case[];
  tables?: { op: string; value: JsonValue; style?: string; rows: Row[] }[];
}

const folder = new URL('../cases/', import.meta.url);

export function caseFiles(): { file: string; content: CaseFile }[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => ({ file, content: parse(readFileSync(new URL(file, folder), 'utf8')) as CaseFile }));
}

export function caseSchema(): unknown {
  return JSON.parse(readFileSync(new URL('case.schema.json', folder), 'utf8'));
}

const schemas = new Map<string, ReturnType<typeof compileSchema>>();

export function makeTool(name: string, definition: Definition = {}): PinnedTool {
  const inputSchema = definition.inputSchema ?? { type: 'object' };
  const text = JSON.stringify(inputSchema);
  const compiled = schemas.get(text) ?? compileSchema(inputSchema);
  schemas.set(text, compiled);
  if (!compiled.ok) throw new Error(compiled.reason);
  return {
    name,
    class: definition.class ?? 'write',
    digest: `digest-of-${name}`,
    state: definition.state ?? 'accepted',
    inputSchema,
    validator: compiled.validator,
    ...(definition.annotations && { annotations: definition.annotations }),
  };
}

export function makeTools(...definitions: (Record<string, Definition> | undefined)[]): Map<string, PinnedTool> {
  const all = Object.assign({ t: {} }, ...definitions) as Record<string, Definition>;
  return new Map(Object.entries(all).map(([name, definition]) => [name, makeTool(name, definition)]));
}

export function makeContext(context: CaseContext = {}): JudgeContext {
  return {
    caller: {
      identity: { id: 'i1', name: 'Ann', groups: [], ...context.identity },
      grant: { id: 'g1', label: 'agent', attributes: {}, ...context.grant },
      server: { slug: 'flux', ...context.server },
      ...(context.session !== undefined && { session: context.session }),
      ...(context.client && { client: context.client }),
    },
    now: Date.parse(context.now ?? '2026-03-04T10:30:00Z'),
    ...(context.frozen !== undefined && { frozen: context.frozen }),
    ...(context.tolerated && { toleratedArguments: new Set(context.tolerated) }),
  };
}

export function callOf(one: Case): Call {
  const args = one.json === undefined ? (one.arguments ?? {}) : parseJson(one.json);
  return { tool: one.tool ?? 't', arguments: args };
}

export function policyOf(one: Case, file: CaseFile): unknown {
  if (one.block) return { version: '1', default: 'deny', tools: { [one.tool ?? 't']: one.block } };
  return one.policy === undefined ? file.policy : one.policy;
}

/** Multiplies the runs of property tests. */
export const RUNS = Number(process.env.FC_RUNS ?? 1);
