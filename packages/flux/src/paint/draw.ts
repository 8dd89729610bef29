import { createCanvas } from '@napi-rs/canvas';
import type { Raster } from '../media/codec.ts';
import { applyStyle, paintLettering, paintMark, paintWeather } from './finish.ts';
import { paintAbstract, paintBackdrop, paintRoom, paintUnderwater } from './indoors.ts';
import { paintDesert, paintMeadow, paintMountains } from './land.ts';
import { noiseFrom } from './noise.ts';
import { paletteOf } from './palette.ts';
import { paintCity, paintForest, paintOcean, paintSpace } from './places.ts';
import { randomFrom } from './random.ts';
import { readScene } from './scene.ts';
import type { Stage } from './stage.ts';
import { paintSubjects } from './subjects.ts';
import type { Setting } from './vocabulary.ts';

/** A painter of a place. @returns the height on which things stand */
type Painter = (stage: Stage) => number;

const PAINTERS: Readonly<Record<Setting, Painter>> = {
  mountains: paintMountains,
  ocean: paintOcean,
  forest: paintForest,
  city: paintCity,
  desert: paintDesert,
  meadow: paintMeadow,
  space: paintSpace,
  underwater: paintUnderwater,
  room: paintRoom,
  backdrop: paintBackdrop,
  abstract: paintAbstract,
};

/** Larger pictures are drawn with about this many pixels and enlarged: the cost of a call stays bounded. */
const MAX_DRAWN_PIXELS = 2_400_000;
/** Below this a drawing loses its details; smaller pictures are drawn larger and reduced. */
const MIN_DRAWN_SIDE = 256;

/**
 * Draws a prompt. The same prompt, seed and size give the same pixels.
 *
 * @param seed 0 to 2³²−1
 * @param width, height 64 to 4096
 */
export function drawPrompt(prompt: string, seed: number, width: number, height: number): Raster {
  const shrink = Math.min(1, Math.sqrt(MAX_DRAWN_PIXELS / (width * height)));
  const scale = Math.max(
    shrink,
    MIN_DRAWN_SIDE / Math.min(width, height) > 1 ? MIN_DRAWN_SIDE / Math.min(width, height) : 0,
  );
  const drawing = createCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  paint(drawing.getContext('2d'), drawing.width, drawing.height, prompt, seed);

  const canvas = createCanvas(width, height);
  const ctx = canvas.getContext('2d');
  ctx.imageSmoothingEnabled = true;
  ctx.imageSmoothingQuality = 'high';
  ctx.drawImage(drawing, 0, 0, width, height);
  paintMark(ctx, width, height, prompt);
  return { data: pixelsOf(ctx.getImageData(0, 0, width, height).data), width, height };
}

function paint(ctx: Stage['ctx'], width: number, height: number, prompt: string, seed: number): void {
  const scene = readScene(prompt);
  const random = randomFrom(scene.fingerprint, seed);
  const palette = paletteOf(scene, random);
  const stage: Stage = {
    ctx,
    width,
    height,
    unit: Math.min(width, height),
    scene,
    palette,
    random,
    noise: noiseFrom(`${scene.fingerprint}:${seed}`),
  };
  const ground = PAINTERS[scene.setting](stage);
  paintSubjects(stage, ground);
  paintWeather(stage);
  applyStyle(ctx, width, height, scene.style, random, palette.accent);
  paintLettering(stage);
}

/** The same memory as bytes: a canvas hands out clamped ones. */
export function pixelsOf(data: Uint8ClampedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
