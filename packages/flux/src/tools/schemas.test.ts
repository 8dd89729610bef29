import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import * as schemas from './schemas.ts';

interface Parameter {
  name: string;
  title: string;
  type: string;
  required: boolean;
  default?: unknown;
  enum?: string[];
}

interface Parity {
  tools: { name: string; parameters: Parameter[]; extra: string[] }[];
}

const parity = JSON.parse(readFileSync(new URL('../../test/data/parity.json', import.meta.url), 'utf8')) as Parity;

const INPUTS: Readonly<Record<string, z.ZodType>> = {
  flux_generate_image: schemas.generateInput,
  flux_edit_image: schemas.editInput,
  flux_get_task: schemas.taskInput,
  flux_get_tasks_batch: schemas.batchInput,
  flux_list_models: schemas.noInput,
  flux_list_actions: schemas.noInput,
};

interface Property {
  type?: string;
  anyOf?: Property[];
  title?: string;
  enum?: string[];
  default?: unknown;
}

const typeOf = (property: Property): string =>
  property.type ?? (property.anyOf ?? []).map((part) => part.type).join('|');

describe.each(parity.tools)('[FLUX-PARITY] $name', ({ name, parameters, extra }) => {
  const schema = INPUTS[name] as z.ZodType;
  const json = z.toJSONSchema(schema, { io: 'input' }) as {
    properties?: Record<string, Property>;
    required?: string[];
    additionalProperties?: unknown;
  };
  const properties = json.properties ?? {};

  it('has the parameters of the original in their order, and its own after them', () => {
    expect(Object.keys(properties).filter((key) => !extra.includes(key))).toEqual(parameters.map((one) => one.name));
    expect(Object.keys(properties).filter((key) => extra.includes(key))).toEqual(extra);
  });

  it('requires what the original requires, and takes more than it knows', () => {
    expect(json.required ?? []).toEqual(parameters.filter((one) => one.required).map((one) => one.name));
    expect(json.additionalProperties).toBeUndefined();
  });

  it.each(parameters)('$name has the same title, type, choices and default', (parameter) => {
    const property = properties[parameter.name] as Property;
    expect(property.title).toBe(parameter.title);
    expect(typeOf(property)).toBe(parameter.type);
    expect(property.enum).toEqual(parameter.enum);
    expect(property.default).toEqual(parameter.default);
  });
});

describe('[FLUX-BOUNDS] arguments', () => {
  const base = { prompt: 'x' };
  const edit = { prompt: 'x', image_url: 'https://example.org/a.png' };

  it.each([
    ['an empty prompt', schemas.generateInput, { prompt: '  ' }],
    ['a count of 0', schemas.generateInput, { ...base, count: 0 }],
    ['a count of 9', schemas.generateInput, { ...base, count: 9 }],
    ['half a picture', schemas.generateInput, { ...base, count: 1.5 }],
    ['an unknown model', schemas.generateInput, { ...base, model: 'flux-9' }],
    ['a wait of 51 seconds', schemas.generateInput, { ...base, wait_seconds: 51 }],
    ['a negative seed', schemas.generateInput, { ...base, seed: -1 }],
    ['nine references', schemas.editInput, { ...edit, reference_images: Array(9).fill('https://example.org/') }],
    ['no image', schemas.editInput, base],
    ['no ids', schemas.batchInput, { task_ids: [] }],
    ['51 ids', schemas.batchInput, { task_ids: Array(51).fill('a') }],
  ])('refuse %s', (_, schema, input) => {
    expect(schema.safeParse(input).success).toBe(false);
  });

  it('take numbers and lists that come as text, and null for what is left out', () => {
    expect(
      schemas.generateInput.parse({ ...base, count: '4', seed: '7', wait_seconds: '0', size: null }),
    ).toMatchObject({
      count: 4,
      seed: 7,
      wait_seconds: 0,
      size: null,
    });
    expect(schemas.batchInput.parse({ task_ids: '["a","b"]' })).toEqual({ task_ids: ['a', 'b'] });
  });

  it('drop what they do not know', () => {
    expect(schemas.taskInput.parse({ task_id: 'a', other: 1 })).toEqual({ task_id: 'a' });
  });
});
