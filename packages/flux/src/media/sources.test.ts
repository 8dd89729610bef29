import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outside } from '../outside.ts';
import { SourceLoader } from './sources.ts';

const PNG = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);
const never = new AbortController().signal;
type Answer = { status: number; headers: Record<string, string>; body: Uint8Array };

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'flux-sources-'));
  mkdirSync(join(root, 'allowed'));
  mkdirSync(join(root, 'allowed-not'));
  writeFileSync(join(root, 'allowed', 'a b.png'), PNG);
  writeFileSync(join(root, 'allowed-not', 'b.png'), PNG);
  symlinkSync(join(root, 'allowed-not', 'b.png'), join(root, 'allowed', 'link.png'));
});
afterAll(() => rmSync(root, { recursive: true }));

function loader(answers: Record<string, Answer> = {}, asked: string[] = []): SourceLoader {
  const outside: Outside = {
    refusal: () => Promise.resolve(undefined),
    request: (url) => {
      asked.push(url);
      const answer = answers[url];
      return answer ? Promise.resolve(answer) : Promise.reject(new Error('127.0.0.1 is a loopback address'));
    },
    close: () => Promise.resolve(),
  };
  return new SourceLoader({
    outside,
    pool: { run: () => Promise.resolve({ bytes: new Uint8Array(), width: 5, height: 6 }) },
    folders: [join(root, 'allowed')],
    ownImagesUrl: 'http://127.0.0.1:1/images/',
    readOwn: (name, caller) => Promise.resolve(name === 'mine.png' && caller === 'ana' ? PNG : undefined),
  });
}
const load = (url: string, from = loader()) => from.load(url, 'image_url', 'ana', never);
const file = (...parts: string[]) => pathToFileURL(join(root, ...parts)).href;

describe('SourceLoader', () => {
  it('takes data URIs, and the size and type come from the bytes', async () => {
    const data = Buffer.from(PNG).toString('base64');
    expect(await load(`data:image/jpeg;base64,${data}`)).toMatchObject({ mimeType: 'image/png', width: 5, height: 6 });
    await expect(load('data:image/png,plain')).rejects.toThrow(/not base64/);
    await expect(load('data:image/png;base64,***')).rejects.toThrow(/not base64/);
    await expect(load('data:image/png;base64')).rejects.toThrow(/not whole/);
  });

  it('[FLUX-FILES] takes files inside an allowed folder and nothing around it, not even by a link', async () => {
    expect(await load(file('allowed', 'a b.png'))).toMatchObject({ mimeType: 'image/png' });
    const outside = [
      file('allowed-not', 'b.png'),
      file('allowed', 'link.png'),
      `${file('allowed')}/../allowed-not/b.png`,
    ];
    const missing = file('allowed-not', 'nothing.png');
    const messages = await Promise.all(
      [...outside, missing].map((url) => load(url).catch((error: Error) => error.message)),
    );
    expect(new Set(messages)).toEqual(
      new Set(['image_url: the file is not there, or not inside a folder that the server was allowed.']),
    );
  });

  it('[FLUX-EGRESS] fetches through the guard, and so every redirect', async () => {
    const asked: string[] = [];
    const answers = {
      'https://a.example/x': { status: 302, headers: { location: '/y' }, body: new Uint8Array() },
      'https://a.example/y': { status: 200, headers: {}, body: PNG },
      'https://b.example/': { status: 301, headers: { location: 'http://127.0.0.1/' }, body: new Uint8Array() },
      'https://c.example/': { status: 302, headers: { location: 'https://c.example/' }, body: new Uint8Array() },
      'https://d.example/': { status: 404, headers: {}, body: new Uint8Array() },
    };
    expect(await load('https://a.example/x', loader(answers, asked))).toMatchObject({ width: 5 });
    expect(asked).toEqual(['https://a.example/x', 'https://a.example/y']);
    await expect(load('https://b.example/', loader(answers))).rejects.toThrow(/loopback/);
    await expect(load('https://c.example/', loader(answers))).rejects.toThrow(/more than 3 redirects/);
    await expect(load('https://d.example/', loader(answers))).rejects.toThrow(/answered 404/);
  });

  it('[FLUX-CALLER] finds the own pictures of a caller by either address, and nobody else’s', async () => {
    expect(await load('flux://images/mine.png')).toMatchObject({ width: 5 });
    expect(await load('http://127.0.0.1:1/images/mine.png')).toMatchObject({ width: 5 });
    await expect(loader().load('flux://images/mine.png', 'image_url', 'ben', never)).rejects.toThrow(/no such picture/);
  });

  it('refuses other schemes, what is no URL, and what is no picture, naming the parameter', async () => {
    await expect(load('ftp://a.example/x.png')).rejects.toThrow('image_url: the scheme "ftp:" is not taken.');
    await expect(load('picture.png')).rejects.toThrow('image_url: this is no URL.');
    const html = { status: 200, headers: {}, body: new TextEncoder().encode('<html>') };
    await expect(load('https://a.example/', loader({ 'https://a.example/': html }))).rejects.toThrow(/no PNG/);
  });
});
