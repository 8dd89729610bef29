import { McpServer, ResourceNotFoundError, ResourceTemplate } from '@modelcontextprotocol/server';
import { imageFileName } from './media/files.ts';
import { MIME_TYPES } from './models.ts';
import { registerPrompts } from './prompts.ts';
import type { Toolbox } from './toolbox.ts';
import { registerTools } from './tools/register.ts';
import { viewImage } from './tools/views.ts';
import { VERSION } from './version.ts';

/** How many pictures `resources/list` shows; the others stay readable by their address. */
const LISTED_IMAGES = 50;

const INSTRUCTIONS =
  'Makes and changes pictures with Flux. flux_generate_image and flux_edit_image wait for the pictures up to wait_seconds and then hand back a task_id; ask after it with flux_get_task. Pictures come as links (flux://images/…), which resources/read opens; inline "thumbnail" shows them in the result.';

/** A server for one session, or over HTTP for one request, of one caller. */
export function createFluxServer(toolbox: Toolbox, caller: string): McpServer {
  const server = new McpServer(
    { name: 'flux', title: 'Flux Pro', version: VERSION },
    {
      instructions: INSTRUCTIONS,
      // Nothing of a list changes while the server runs, except the pictures, whose list is asked for.
      capabilities: {
        tools: { listChanged: false },
        prompts: { listChanged: false },
        resources: { listChanged: false, subscribe: false },
      },
      cacheHints: {
        'tools/list': { ttlMs: 300_000, cacheScope: 'public' },
        'prompts/list': { ttlMs: 300_000, cacheScope: 'public' },
      },
    },
  );
  registerTools(server, toolbox, caller);
  registerPrompts(server);

  const { tasks, files } = toolbox;
  server.registerResource(
    'image',
    new ResourceTemplate('flux://images/{file}', {
      list: () => ({
        resources: tasks.recentImages(caller, LISTED_IMAGES).map(({ image, createdAt }) => ({
          uri: viewImage(image, undefined).uri,
          name: imageFileName(image),
          title: `${image.width}x${image.height} of ${new Date(createdAt).toISOString()}`,
          mimeType: MIME_TYPES[image.format],
          size: image.bytes,
        })),
      }),
    }),
    { title: 'A picture', description: 'A picture that this server made for the caller.' },
    async (uri, { file }) => {
      const image = typeof file === 'string' ? tasks.imageByFileName(file, caller) : undefined;
      if (!image) throw new ResourceNotFoundError(uri.href);
      const blob = (await files.readImage(image)).toString('base64');
      return { contents: [{ uri: uri.href, mimeType: MIME_TYPES[image.format], blob }] };
    },
  );
  return server;
}
