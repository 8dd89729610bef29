// The smallest MCP server that the tests need: two tools over stdio.
import { createInterface } from 'node:readline';

const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
const tools = [
  {
    name: 'get_double',
    description: 'Reads the double of a number.',
    inputSchema: schema,
    annotations: { readOnlyHint: true },
  },
  { name: 'delete_number', description: 'Deletes a number.', inputSchema: schema },
];

function answer({ method, params }) {
  if (method === 'initialize') {
    return {
      protocolVersion: params.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: 'tiny', version: '1.0.0' },
    };
  }
  if (method === 'tools/list') return { tools };
  if (method === 'tools/call') return { content: [{ type: 'text', text: String(params.arguments.n * 2) }] };
  return {};
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line);
  if (message.id === undefined) return;
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: message.id, result: answer(message) })}\n`);
});
