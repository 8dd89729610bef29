import { describe, expect, it } from 'vitest';
import { decode, encode, inspect, thumbnail } from '../media/codec.ts';
import { drawPrompt } from './draw.ts';
import { editPicture } from './edit.ts';
import { MARK } from './finish.ts';
import { textWidth, writable } from './glyphs.ts';
import { SETTINGS, SUBJECTS } from './vocabulary.ts';

/** Mean difference of the channels, 0 to 255. */
function distance(one: Uint8Array, two: Uint8Array): number {
  let sum = 0;
  for (let n = 0; n < one.length; n += 1) sum += Math.abs((one[n] ?? 0) - (two[n] ?? 0));
  return sum / one.length;
}

describe('drawPrompt', () => {
  it('[FLUX-PREVIEW] draws the same pixels for the same prompt and seed, and others for another', () => {
    const draw = (prompt: string, seed: number) => drawPrompt(prompt, seed, 160, 120).data;
    const picture = draw('a mountain lake at dawn', 5);
    expect(distance(picture, draw('a mountain lake at dawn', 5))).toBe(0);
    expect(distance(picture, draw('a mountain lake at dawn', 6))).toBeGreaterThan(2);
    expect(distance(picture, draw('a coral reef with fish', 5))).toBeGreaterThan(20);
  });

  it('[FLUX-SIZE] has exactly the asked size, from the smallest on', () => {
    for (const [width, height] of [
      [64, 64],
      [64, 300],
      [333, 77],
    ] as const) {
      const raster = drawPrompt('a red fox in a forest', 1, width, height);
      expect([raster.width, raster.height, raster.data.length]).toEqual([width, height, width * height * 4]);
    }
  });

  it('draws every place and every thing that has a word, and no two of them alike', () => {
    const words = [...Object.values(SETTINGS), ...Object.values(SUBJECTS)].map((list) => list.split('|')[0] ?? '');
    const pictures = words.map((word) => drawPrompt(word, 3, 64, 64).data);
    for (const [n, picture] of pictures.entries()) {
      expect(new Set(picture).size, words[n]).toBeGreaterThan(20);
      for (const other of pictures.slice(n + 1)) expect(distance(picture, other)).toBeGreaterThan(0.5);
    }
  });

  it('[FLUX-MARK] bears the mark on a strip along its lower edge', () => {
    const { data, width } = drawPrompt('a sunny meadow', 1, 512, 512);
    const row = (y: number) => data.subarray(y * width * 4, (y + 1) * width * 4);
    // The yellow of the letters is nowhere else: red and green high, blue low.
    const yellow = Array.from({ length: 26 }, (_, n) => row(511 - n)).some((line) => {
      for (let n = 0; n < line.length; n += 4) {
        if ((line[n] ?? 0) > 240 && (line[n + 1] ?? 0) > 195 && (line[n + 2] ?? 255) < 110) return true;
      }
      return false;
    });
    expect(yellow).toBe(true);
    expect(writable(MARK)).toBe('PREVIEW, NOT FLUX');
    expect(textWidth(MARK)).toBeGreaterThan(10);
  });

  it('writes letters with their accents taken off, and leaves out what has no form', () => {
    expect(writable('Crème brûlée – 日本 50%')).toBe('CREME BRULEE - 50%');
  });
});

describe('editPicture', () => {
  it('[FLUX-EDIT] changes the picture visibly, keeps its size, and differs with the prompt', async () => {
    const drawn = drawPrompt('a sunny meadow with a house', 1, 200, 150);
    const { bytes } = await encode(drawn, 'png');
    const night = await editPicture('make it night', 1, [bytes], undefined);
    const purple = await editPicture('turn it purple', 1, [bytes], undefined);
    const unknown = await editPicture('qwertz', 1, [bytes], undefined);
    expect([night.width, night.height]).toEqual([200, 150]);
    expect(distance(night.data, drawn.data)).toBeGreaterThan(15);
    expect(distance(purple.data, drawn.data)).toBeGreaterThan(8);
    expect(distance(unknown.data, drawn.data)).toBeGreaterThan(4);
    expect(distance(night.data, purple.data)).toBeGreaterThan(15);
    const resized = await editPicture('make it night', 1, [bytes, bytes], { width: 90, height: 128 });
    expect([resized.width, resized.height]).toEqual([90, 128]);
  });
});

describe('codec', () => {
  it('[FLUX-FORMAT] encodes png, jpeg and webp that read back in the same size', async () => {
    const raster = drawPrompt('flowers', 1, 120, 80);
    for (const format of ['png', 'jpeg', 'webp'] as const) {
      const { bytes } = await encode(raster, format);
      expect(await inspect(bytes)).toMatchObject({ width: 120, height: 80 });
      expect(distance((await decode(bytes)).data, raster.data)).toBeLessThan(format === 'png' ? 0.01 : 6);
    }
  });

  it('[FLUX-INLINE] makes thumbnails of at most the given bytes, also of noise', async () => {
    let state = 1;
    const data = Uint8Array.from({ length: 700 * 700 * 4 }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 24;
    });
    const { bytes } = await encode({ data, width: 700, height: 700 }, 'png');
    const small = await thumbnail(bytes, 100 * 1024);
    expect(small.bytes.length).toBeLessThanOrEqual(100 * 1024);
    expect(small.width).toBeGreaterThanOrEqual(128);
  });

  it('refuses what is cut or no picture', async () => {
    const { bytes } = await encode(drawPrompt('flowers', 1, 120, 80), 'png');
    await expect(inspect(bytes.subarray(0, bytes.length / 2))).rejects.toThrow();
    await expect(inspect(new TextEncoder().encode('<html>'))).rejects.toThrow();
  });
});
