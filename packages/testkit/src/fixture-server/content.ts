// What the conformance suite expects to be read: its scenarios compare some of these words.
import type { CallToolResult } from '@modelcontextprotocol/server';

/** One pixel. */
export const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
/** No sample at all. */
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

type Content = CallToolResult['content'];

export const IMAGE: Content = [{ type: 'image', data: PNG, mimeType: 'image/png' }];
export const AUDIO: Content = [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }];
export const EMBEDDED: Content = [
  {
    type: 'resource',
    resource: {
      uri: 'test://embedded-resource',
      mimeType: 'text/plain',
      text: 'This is an embedded resource content.',
    },
  },
];
export const MIXED: Content = [
  { type: 'text', text: 'Multiple content types test:' },
  ...IMAGE,
  {
    type: 'resource',
    resource: {
      uri: 'test://mixed-content-resource',
      mimeType: 'application/json',
      text: '{"test":"data","value":123}',
    },
  },
];
