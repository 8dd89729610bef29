import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLASSIFIER_VERSION, classify } from './classify.ts';
import { AXES, severityOf, TOOL_CLASSES, type ToolClass, type ToolDefinition, worstClass } from './types.ts';

const schema = (properties: Record<string, unknown>, required: string[] = []) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});
const text = { type: 'string' };
const none = schema({});

function classOf(name: string, rest: Partial<ToolDefinition> = {}, slug?: string): ToolClass {
  return classify({ name, inputSchema: none, ...rest }, slug === undefined ? {} : { slug }).class;
}

describe('order of classes', () => {
  it('[CAT-ORDER] financial > destructive > execute > write > read, with their severities', () => {
    expect(TOOL_CLASSES).toEqual(['read', 'write', 'execute', 'destructive', 'financial']);
    expect(TOOL_CLASSES.map(severityOf)).toEqual(['low', 'medium', 'high', 'critical', 'critical']);
    for (const [i, a] of TOOL_CLASSES.entries()) {
      for (const [j, b] of TOOL_CLASSES.entries()) expect(worstClass(a, b)).toBe(TOOL_CLASSES[Math.max(i, j)]);
    }
  });
});

describe('names', () => {
  it.each<[string, ToolClass, string?]>([
    ['list_items', 'read'],
    ['getConsoleLogs', 'read'],
    ['policy_assignment_list', 'read'],
    ['search_documents_tool', 'read'],
    ['search_pull_requests', 'read'],
    ['mysql_database_query', 'read'],
    ['take_screenshot', 'read', 'browser'],
    ['resolve-library-id', 'read'],
    ['snapshot_create', 'write'],
    ['create_snapshot', 'write'],
    ['mark_all_notifications_read', 'write'],
    ['resolve_review_thread', 'write'],
    ['policy_createorupdate', 'write'],
    ['get_or_create_session', 'write'],
    ['search_and_replace', 'write'],
    ['issue_write', 'write'],
    ['issue_read', 'read'],
    ['pull_request_read', 'read'],
    ['API-post-page', 'write'],
    ['communication_email_send', 'write'],
    ['manage_notification_subscription', 'write'],
    ['run_workflow', 'execute'],
    ['pods_exec', 'execute'],
    ['make_api_request', 'execute'],
    ['query_sql', 'execute'],
    ['send_code_mappings', 'write'],
    ['get_api_request', 'read'],
    ['browser_fill', 'execute', 'browser-tools'],
    ['fetch_and_delete', 'destructive'],
    ['helm_uninstall', 'destructive'],
    ['deleteApi', 'destructive'],
    ['drop-table', 'destructive'],
    ['purge_queue', 'destructive'],
    ['run_ddl_query', 'destructive'],
    ['create_invoice', 'financial'],
    ['refund_payment', 'financial'],
    ['transfer_funds', 'financial'],
    ['transfer_tokens', 'financial', 'my-wallet'],
    ['transfer_issue', 'write'],
    ['place_order', 'financial'],
    ['charge_card', 'financial'],
    ['cancel_subscription', 'financial', 'billing-service'],
    ['cancel_subscription', 'write', 'event-bus'],
    ['get_invoice', 'read'],
    ['list_charges', 'read'],
    ['git_checkout', 'write', 'git'],
  ])('[CAT-NAME] %s is %s', (name, expected, slug) => {
    expect(classOf(name, {}, slug)).toBe(expected);
  });

  it('takes the name of the server off the front of a name', () => {
    expect(classify({ name: 'acme_status', inputSchema: none }, { slug: 'acme-mcp' }).evidence[0]).toMatchObject({
      token: 'status',
      rule: 'name.first-noun-verb',
    });
  });

  it('[CAT-UNKNOWN] falls to execute, for review, when nothing tells', () => {
    expect(classOf('frobnicator', { inputSchema: schema({ force: { type: 'boolean' } }) })).toBe('execute');
    const result = classify({ name: 'frobnicator', inputSchema: none });
    expect(result).toMatchObject({ class: 'execute', confidence: 'low' });
    expect(result.evidence[0]).toMatchObject({ rule: 'default.unknown' });
  });
});

describe('descriptions', () => {
  it.each<[string, string, ToolClass]>([
    ['frobnicator', 'This tool permanently deletes a record.', 'destructive'],
    ['frobnicator', 'Lists all records', 'read'],
    ['frobnicator', 'Create, update or delete a record', 'destructive'],
    ['frobnicator', 'Runs arbitrary shell commands', 'execute'],
    ['get_record', 'Deletes a record', 'destructive'],
    ['frobnicator', 'A detailed tool for thinking', 'execute'],
    ['update_record', 'Charges the customer for the change', 'financial'],
    ['comment', 'Lists what people said', 'read'],
  ])('%s: "%s" is %s', (name, description, expected) => {
    expect(classOf(name, { description })).toBe(expected);
  });

  it('[CAT-CONFLICT] takes the worse class with low confidence where name and description conflict', () => {
    expect(classify({ name: 'get_record', description: 'Deletes a record', inputSchema: none })).toMatchObject({
      class: 'destructive',
      confidence: 'low',
    });
    expect(classify({ name: 'delete_record', description: 'Returns a record', inputSchema: none })).toMatchObject({
      class: 'destructive',
      confidence: 'low',
    });
  });

  it('is sure when two sources agree, and half sure with one', () => {
    expect(classify({ name: 'get_record', description: 'What is kept about it', inputSchema: none }).confidence).toBe(
      'medium',
    );
    expect(classify({ name: 'get_record', description: 'Gets a record', inputSchema: none }).confidence).toBe('high');
    expect(classify({ name: 'get_record', inputSchema: none, annotations: { readOnlyHint: true } }).confidence).toBe(
      'high',
    );
  });
});

describe('schemas', () => {
  const actions = (values?: string[]) => schema({ action: values === undefined ? text : { ...text, enum: values } });

  it('[CAT-MULTIPLEX] a tool with an action parameter has the class of its worst value, without values execute', () => {
    expect(classOf('thing', { inputSchema: actions(['list', 'get']) })).toBe('read');
    expect(classOf('thing', { inputSchema: actions(['list', 'create_item']) })).toBe('write');
    expect(classOf('get_thing', { inputSchema: actions(['get', 'delete']) })).toBe('destructive');
    expect(classOf('thing', { inputSchema: actions() })).toBe('execute');
    expect(classOf('get_thing', { inputSchema: actions() })).toBe('execute');
    const oneOf = schema({ method: { oneOf: [{ const: 'GET' }, { const: 'DELETE' }] } });
    expect(classOf('thing', { inputSchema: oneOf })).toBe('destructive');
  });

  it('leaves a parameter alone that only sounds like an action', () => {
    const interpolate = schema({ method: { ...text, enum: ['linear', 'cubic'] }, payment_method: text });
    expect(classOf('list_things', { inputSchema: interpolate })).toBe('read');
  });

  it('raises a read to a write for a flag that passes over a safeguard', () => {
    const result = classify({ name: 'get_thing', inputSchema: schema({ force: { type: 'boolean' } }) });
    expect(result).toMatchObject({ class: 'write', confidence: 'low' });
    expect(result.axes).toContain('irreversible');
  });

  it('takes code for execution only where the verb does not say otherwise', () => {
    const sql = schema({ sql: text });
    expect(classOf('query', { inputSchema: sql })).toBe('execute');
    expect(classOf('explain_statement', { inputSchema: sql })).toBe('read');
    expect(classOf('update_script', { inputSchema: schema({ script: text }) })).toBe('write');
  });
});

describe('annotations', () => {
  it('[CAT-ANNOTATIONS] raise a class and never lower it', () => {
    expect(classOf('get_x', { annotations: { readOnlyHint: false } })).toBe('write');
    expect(classOf('get_x', { annotations: { destructiveHint: true } })).toBe('write');
    expect(classOf('delete_x', { annotations: { readOnlyHint: true } })).toBe('destructive');
    expect(classify({ name: 'delete_x', annotations: { readOnlyHint: true } }).confidence).toBe('low');
    fc.assert(
      fc.property(
        fc.constantFrom('get_x', 'list_all', 'create_x', 'run_x', 'delete_x', 'pay_x', 'frob', 'x'),
        fc.record(
          { readOnlyHint: fc.boolean(), destructiveHint: fc.boolean(), openWorldHint: fc.boolean() },
          { requiredKeys: [] },
        ),
        (name, annotations) => {
          const annotated = classOf(name, { annotations });
          expect(worstClass(classOf(name), annotated)).toBe(annotated);
        },
      ),
    );
  });

  it('[CAT-ANNOTATIONS] lower it on a trusted server', () => {
    const trusted = { slug: 'ours', trusted: true };
    expect(classify({ name: 'frobnicator', annotations: { readOnlyHint: true } }, trusted).class).toBe('read');
    expect(classify({ name: 'reset_view', annotations: { destructiveHint: false } }, trusted).class).toBe('write');
    expect(classify({ name: 'get_x', annotations: { readOnlyHint: false } }, trusted).class).toBe('write');
  });
});

describe('axes and signals', () => {
  const axesOf = (tool: ToolDefinition, slug?: string) => classify(tool, slug === undefined ? {} : { slug }).axes;

  it.each<[string, string, unknown, string]>([
    ['url_input', 'callbackUrl', text, 'Accepts URL or endpoint input (callbackUrl)'],
    ['url_input', 'link_target', { ...text, format: 'uri' }, 'Accepts URL or endpoint input (link_target)'],
    ['code_input', 'command', text, 'Accepts freeform code or query input (command)'],
    ['path_input', 'working_directory', text, 'Accepts file system path (working_directory)'],
    ['html_input', 'html', text, 'Accepts raw HTML or template content (html)'],
    ['secret_in', 'api_key', text, 'Handles credentials or secrets (api_key)'],
    ['secret_in', 'value', { ...text, format: 'password' }, 'Handles credentials or secrets (value)'],
    ['recipient_input', 'bcc', { type: 'array', items: text }, 'Accepts recipients (bcc)'],
    ['money_input', 'amount', { type: 'number' }, 'Accepts amounts of money (amount)'],
    [
      'bulk',
      'message_ids',
      { type: 'array', items: text },
      'Bulk operation, affects many targets at once (message_ids)',
    ],
  ])('[CAT-SIGNAL] %s by %s', (axis, parameter, parameterSchema, sentence) => {
    const { axes, signals, evidence } = classify({
      name: 'update_x',
      inputSchema: schema({ [parameter]: parameterSchema }),
    });
    expect(axes).toContain(axis);
    expect(signals.find((signal) => signal.axis === axis)).toEqual({ axis, text: sentence, parameters: [parameter] });
    expect(evidence).toContainEqual(expect.objectContaining({ field: `inputSchema.properties.${parameter}`, axis }));
  });

  it('names parameters inside objects and lists by their path', () => {
    const nested = schema({
      smtp: { type: 'object', properties: { host: text } },
      files: { type: 'array', items: { type: 'object', properties: { path: text } } },
    });
    const { signals } = classify({ name: 'send_report', inputSchema: nested });
    expect(signals.find(({ axis }) => axis === 'url_input')?.parameters).toEqual(['smtp.host']);
    expect(signals.find(({ axis }) => axis === 'path_input')?.parameters).toEqual(['files[].path']);
  });

  it.each([
    ['server', text],
    ['url_count', { type: 'integer' }],
    ['file_type', text],
    ['next_page_token', text],
    ['country_code', text],
    ['callback_url', { type: 'boolean' }],
    ['query', text],
  ])('is not misled by %s', (parameter, parameterSchema) => {
    expect(axesOf({ name: 'list_x', inputSchema: schema({ [parameter]: parameterSchema }) })).toEqual([]);
  });

  it('counts parameters, and tells a schema that says nothing', () => {
    const ten = schema(Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`field${i}`, text])));
    expect(classify({ name: 'get_x', inputSchema: ten }).signals).toEqual([
      { axis: 'many_parameters', text: 'High parameter count (10 parameters)', parameters: [] },
    ]);
    expect(axesOf({ name: 'get_x' })).toEqual(['open_schema']);
    expect(axesOf({ name: 'get_x', inputSchema: { type: 'object' } })).toEqual(['open_schema']);
    expect(axesOf({ name: 'get_x', inputSchema: { type: 'object', properties: {} } })).toEqual([]);
    expect(
      axesOf({ name: 'get_x', inputSchema: { type: 'object', properties: {}, additionalProperties: true } }),
    ).toEqual(['open_schema']);
  });

  it('tells what goes out, what comes in and what is private', () => {
    expect(axesOf({ name: 'send_message', inputSchema: none })).toContain('egress');
    expect(axesOf({ name: 'fetch_page', inputSchema: schema({ url: text }) })).toEqual([
      'egress',
      'untrusted_input',
      'url_input',
    ]);
    expect(axesOf({ name: 'read_emails', inputSchema: none })).toEqual(['untrusted_input', 'private_data']);
    expect(axesOf({ name: 'get_connection_string', inputSchema: none })).toEqual(['secret_out']);
    expect(axesOf({ name: 'get_x', inputSchema: none, annotations: { openWorldHint: true } })).toEqual(['egress']);
    expect(axesOf({ name: 'delete_role', inputSchema: none })).toEqual(['irreversible', 'admin']);
    expect(axesOf({ name: 'translate', description: 'Translates; costs 2 credits', inputSchema: none })).toEqual([
      'paid_per_call',
    ]);
  });
});

describe('the Flux Pro tools', () => {
  const common = { size: text, model: text, callback_url: text };
  const flux = (name: string, properties: Record<string, unknown>, description: string) =>
    classify({ name, description, inputSchema: schema(properties) }, { slug: 'flux' });

  it('[CAT-FLUX] two write with their URL signals, four read', () => {
    const generate = flux(
      'flux_generate_image',
      { prompt: text, count: { type: 'integer' }, ...common },
      'Generate images from a prompt',
    );
    expect(generate).toMatchObject({ class: 'write', severity: 'medium', version: CLASSIFIER_VERSION });
    expect(generate.signals.map((signal) => signal.text)).toContain('Accepts URL or endpoint input (callback_url)');
    const edit = flux('flux_edit_image', { prompt: text, image_url: text, ...common }, 'Edit an image');
    expect(edit).toMatchObject({ class: 'write', severity: 'medium' });
    expect(edit.signals.map((signal) => signal.text)).toContain(
      'Accepts URL or endpoint input (image_url, callback_url)',
    );
    for (const tool of [
      flux('flux_get_task', { task_id: text }, 'State of a task'),
      flux(
        'flux_get_tasks_batch',
        { task_ids: { type: 'array', items: text, maxItems: 50 } },
        'State of several tasks',
      ),
      flux('flux_list_models', {}, 'Models of the active provider'),
      flux('flux_list_actions', {}, 'The tools and worked examples'),
    ]) {
      expect(tool).toMatchObject({ class: 'read', severity: 'low' });
    }
  });
});

describe('any definition', () => {
  it('[CAT-PURE] gets a complete and repeatable answer, however ill-formed', () => {
    fc.assert(
      fc.property(
        fc.record({
          name: fc.oneof(fc.string(), fc.constantFrom('get_x', 'delete_all')),
          description: fc.oneof(fc.string(), fc.jsonValue()),
          inputSchema: fc.oneof(
            fc.jsonValue(),
            fc.record({
              type: fc.jsonValue(),
              properties: fc.dictionary(fc.string(), fc.jsonValue()),
              items: fc.jsonValue(),
            }),
          ),
          outputSchema: fc.jsonValue(),
          annotations: fc.jsonValue(),
        }),
        (tool) => {
          const definition = tool as unknown as ToolDefinition;
          const result = classify(definition);
          expect(classify(definition)).toEqual(result);
          expect(TOOL_CLASSES).toContain(result.class);
          expect(result.severity).toBe(severityOf(result.class));
          expect(result.axes).toEqual(AXES.filter((axis) => result.axes.includes(axis)));
          expect(result.signals.map(({ axis }) => axis)).toEqual(result.axes);
          expect(result.evidence.some(({ supports }) => supports === result.class)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('[CAT-AXES] every axis has evidence', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('get_secret', 'send_email', 'bulk_delete', 'fetch_url', 'admin_reset'),
        fc.boolean(),
        (name, force) => {
          const result = classify({
            name,
            inputSchema: schema(force ? { force: { type: 'boolean' }, url: text } : {}),
          });
          for (const axis of result.axes) expect(result.evidence.some((each) => each.axis === axis)).toBe(true);
        },
      ),
    );
  });

  it('is not slowed down by a huge definition', () => {
    const properties = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`callback_url_${i}`, text]));
    let deep: Record<string, unknown> = {};
    for (let i = 0; i < 1000; i++) deep = { type: 'object', properties: { x: deep } };
    const started = performance.now();
    classify({
      name: 'create_'.repeat(5000),
      description: 'delete and '.repeat(50_000),
      inputSchema: schema(properties),
    });
    classify({ name: 'get_x', inputSchema: deep });
    expect(performance.now() - started).toBeLessThan(500);
  });
});
