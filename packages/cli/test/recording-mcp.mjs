// An MCP server over stdio that writes each call it executes to a file, which several of its processes share. With a
// number of milliseconds as second argument a call takes that long, and its end is written as well.
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [file, takes] = process.argv.slice(2);
const schema = { type: 'object', properties: { tag: { type: 'string' } } };
const tools = [{ name: 'get_it', description: 'Reads a thing.', inputSchema: schema }];

function answer({ method, params }) {
  if (method === 'initialize') {
    return {
      protocolVersion: params.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: 'recording', version: '1.0.0' },
    };
  }
  if (method === 'tools/list') return { tools };
  if (method !== 'tools/call') return {};
  return { content: [{ type: 'text', text: 'done' }] };
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line);
  if (message.id === undefined) return;
  const reply = () =>
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: message.id, result: answer(message) })}\n`);
  if (message.method !== 'tools/call') {
    reply();
    return;
  }
  const { tag } = message.params.arguments;
  appendFileSync(file, `${tag}\n`);
  if (takes === undefined) {
    reply();
    return;
  }
  setTimeout(() => {
    appendFileSync(file, `end ${tag}\n`);
    reply();
  }, Number(takes));
});
