// Tools that ask in their result and are called again with the answers: revision 2026-07-28.
import { randomBytes, randomUUID } from 'node:crypto';
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  createRequestStateCodec,
  type InputRequests,
  inputRequired,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { type FixtureTool, text } from './tool.ts';

/** What a client brings back is its word alone, so that it is sealed. */
export const REQUEST_STATE = createRequestStateCodec<Record<string, unknown>>({ key: randomBytes(32) });

const seal = (state: Record<string, unknown>): Promise<string> => REQUEST_STATE.mint({ ...state, nonce: randomUUID() });

const answers = (ctx: ServerContext) => ctx.mcpReq.inputResponses;
const accepted = (ctx: ServerContext, key: string): Readonly<Record<string, unknown>> | undefined =>
  acceptedContent<Record<string, unknown>>(answers(ctx), key);

export function askFor(message: string, property: string, type: 'string' | 'boolean'): InputRequests[string] {
  return inputRequired.elicit({
    message,
    requestedSchema: {
      type: 'object',
      properties: { [property]: type === 'string' ? { type } : { type } },
      required: [property],
    },
  });
}

const askModel = (words: string): InputRequests[string] =>
  inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: words } }],
    maxTokens: 100,
  });

const spoken = (answer: unknown): string | undefined =>
  (answer as { content?: { text?: string } } | undefined)?.content?.text;
const rootsOf = (answer: unknown): unknown[] | undefined => (answer as { roots?: unknown[] } | undefined)?.roots;

export const INPUT_TOOLS: readonly FixtureTool[] = [
  {
    name: 'test_missing_capability',
    description: 'Needs the client to have a model',
    run: (_args, ctx) =>
      answers(ctx)?.llm_answer === undefined
        ? inputRequired({ inputRequests: { llm_answer: askModel('Reply with the single word: pong') } })
        : text('answered'),
  },
  {
    name: 'test_input_required_result_elicitation',
    description: 'Asks for a name',
    run: (_args, ctx) => {
      const name = accepted(ctx, 'user_name')?.name;
      if (typeof name === 'string') return text(`Hello, ${name}!`);
      return inputRequired({ inputRequests: { user_name: askFor('What is your name?', 'name', 'string') } });
    },
  },
  {
    name: 'test_input_required_result_sampling',
    description: 'Asks the model of the client',
    run: (_args, ctx) => {
      const answer = answers(ctx)?.capital_question;
      if (answer !== undefined) return text(`Sampling response: ${spoken(answer) ?? JSON.stringify(answer)}`);
      return inputRequired({ inputRequests: { capital_question: askModel('What is the capital of France?') } });
    },
  },
  {
    name: 'test_input_required_result_list_roots',
    description: 'Asks for the roots of the client',
    run: (_args, ctx) => {
      const roots = rootsOf(answers(ctx)?.client_roots);
      if (roots !== undefined) return text(`The client has ${roots.length} roots`);
      return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    },
  },
  {
    name: 'test_input_required_result_request_state',
    description: 'Asks for a confirmation, with a state that comes back',
    run: async (_args, ctx) => {
      if (accepted(ctx, 'confirm') !== undefined && ctx.mcpReq.requestState() !== undefined) return text('state-ok');
      return inputRequired({
        inputRequests: { confirm: askFor('Please confirm', 'ok', 'boolean') },
        requestState: await seal({ tool: 'request_state' }),
      });
    },
  },
  {
    name: 'test_input_required_result_multiple_inputs',
    description: 'Asks for three kinds of answers at once',
    run: async (_args, ctx) => {
      const name = accepted(ctx, 'user_name')?.name;
      const greeting = spoken(answers(ctx)?.greeting);
      const roots = rootsOf(answers(ctx)?.client_roots);
      if (typeof name === 'string' && greeting !== undefined && roots !== undefined) {
        return text(`${greeting} ${name}, ${roots.length} roots`);
      }
      return inputRequired({
        inputRequests: {
          user_name: askFor('What is your name?', 'name', 'string'),
          greeting: askModel('Generate a greeting'),
          client_roots: inputRequired.listRoots(),
        },
        requestState: await seal({ tool: 'multiple_inputs' }),
      });
    },
  },
  {
    name: 'test_input_required_result_multi_round',
    description: 'Asks twice, with a state that changes',
    run: async (_args, ctx) => {
      const state = ctx.mcpReq.requestState<Record<string, unknown>>();
      if (state?.round === 2) return text(`${String(state.name)} likes ${String(accepted(ctx, 'step2')?.color)}`);
      if (state?.round === 1) {
        const name = accepted(ctx, 'step1')?.name ?? 'unknown';
        return inputRequired({
          inputRequests: { step2: askFor('Step 2: What is your favorite color?', 'color', 'string') },
          requestState: await seal({ round: 2, name }),
        });
      }
      return inputRequired({
        inputRequests: { step1: askFor('Step 1: What is your name?', 'name', 'string') },
        requestState: await seal({ round: 1 }),
      });
    },
  },
  {
    name: 'test_input_required_result_tampered_state',
    description: 'Takes back only the state that it gave',
    run: async (_args, ctx) => {
      if (ctx.mcpReq.requestState() !== undefined && accepted(ctx, 'confirm') !== undefined)
        return text('integrity-ok');
      return inputRequired({
        inputRequests: { confirm: askFor('Please confirm', 'ok', 'boolean') },
        requestState: await seal({ tool: 'tampered_state' }),
      });
    },
  },
  {
    name: 'test_input_required_result_capabilities',
    description: 'Asks only for what the client can answer',
    run: (_args, ctx) => {
      if (answers(ctx) !== undefined) return text('answered');
      const envelope = ctx.mcpReq.envelope as { [CLIENT_CAPABILITIES_META_KEY]?: ClientCapabilities } | undefined;
      const declared = envelope?.[CLIENT_CAPABILITIES_META_KEY];
      const inputRequests: InputRequests = {};
      if (declared?.elicitation !== undefined) {
        inputRequests.user_name = askFor('What is your name?', 'name', 'string');
      }
      if (declared?.sampling !== undefined) inputRequests.greeting = askModel('Generate a short greeting');
      if (declared?.roots !== undefined) inputRequests.client_roots = inputRequired.listRoots();
      return Object.keys(inputRequests).length === 0 ? text('nothing to ask for') : inputRequired({ inputRequests });
    },
  },
];
