import { createCanvas, ImageData } from '@napi-rs/canvas';
import { decode, type Raster } from '../media/codec.ts';
import { type Colour, css, mix, shade } from './colour.ts';
import { pixelsOf } from './draw.ts';
import { applyStyle, paintLettering, paintMark, paintWeather } from './finish.ts';
import { noiseFrom } from './noise.ts';
import { paletteOf } from './palette.ts';
import { randomFrom } from './random.ts';
import { readScene, type Scene } from './scene.ts';
import { paintStars } from './sky.ts';
import { glow, type Stage } from './stage.ts';
import { paintSubjects } from './subjects.ts';
import { TIMES } from './vocabulary.ts';

/** A source of more pixels than this is worked on in a smaller size, unless a size was asked for. */
const MAX_SIDE = 4096;
/** References stand along the lower edge, each this share of the shorter side. */
const REFERENCE_SHARE = 0.2;

/**
 * Changes a picture by the words of a prompt: light and weather of the hour that is named, colours, styles, things that are
 * named and words in quotation marks. The picture stays recognisable under it.
 *
 * @param sources encoded pictures, the one to change first
 * @param size of the result; `undefined` keeps that of the source
 * @throws Error when a source cannot be decoded
 */
export async function editPicture(
  prompt: string,
  seed: number,
  sources: readonly Uint8Array[],
  size: { width: number; height: number } | undefined,
): Promise<Raster> {
  const [first, ...references] = sources;
  if (!first) throw new Error('an edit needs a picture');
  const source = await decode(first, size);
  const shrink = size ? 1 : Math.min(1, MAX_SIDE / Math.max(source.width, source.height));
  const width = Math.max(1, Math.round(source.width * shrink));
  const height = Math.max(1, Math.round(source.height * shrink));
  const canvas = createCanvas(width, height);
  const ctx = canvas.getContext('2d');
  ctx.drawImage(toCanvas(source), 0, 0, width, height);

  const scene = readScene(prompt);
  const random = randomFrom(scene.fingerprint, seed, 'edit');
  const palette = paletteOf(scene, random);
  const unit = Math.min(width, height);
  const noise = noiseFrom(`${scene.fingerprint}:${seed}`);
  const stage: Stage = { ctx, width, height, unit, scene, palette, random, noise };

  const changed = relight(stage, prompt) || scene.weather !== 'clear' || scene.style !== 'plain';
  // A colour without a thing to belong to, or nothing that is understood: the edit must still be seen.
  const tint = scene.tints[0] ?? (changed || scene.subjects.length > 0 || scene.lettering ? undefined : palette.accent);
  if (tint) recolour(stage, tint);
  paintSubjects(stage, height * 0.94);
  paintWeather(stage);
  applyStyle(ctx, width, height, scene.style, random, palette.accent);
  paintLettering(stage);
  for (const [n, reference] of references.entries()) await paintReference(stage, reference, n);
  paintMark(ctx, width, height, `EDIT: ${prompt}`);
  return { data: pixelsOf(ctx.getImageData(0, 0, width, height).data), width, height };
}

/** @returns whether the prompt names a time of day */
function relight(stage: Stage, prompt: string): boolean {
  const { ctx, width, height, scene, palette, unit, random } = stage;
  if (!namesTime(prompt, scene)) return false;
  const grades: Readonly<
    Record<Scene['time'], readonly [colour: Colour, blend: 'multiply' | 'soft-light', strength: number]>
  > = {
    night: [mix(palette.skyMiddle, [84, 110, 190], 0.7), 'multiply', 0.86],
    sunset: [[255, 140, 70], 'soft-light', 0.85],
    dawn: [[255, 190, 200], 'soft-light', 0.75],
    day: [[255, 246, 214], 'soft-light', 0.7],
  };
  const [colour, blend, strength] = grades[scene.time];
  cover(stage, colour, blend, strength);
  if (scene.time === 'night') {
    paintStars(stage, height * 0.4, 0.55);
    glow(stage, width * random.between(0.65, 0.85), height * 0.14, unit * 0.3, palette.light, 0.55);
  } else {
    const gradient = ctx.createLinearGradient(0, 0, 0, height);
    gradient.addColorStop(0, css(palette.skyTop, 0.34));
    gradient.addColorStop(0.6, css(palette.horizon, 0.22));
    gradient.addColorStop(1, css(palette.horizon, 0));
    ctx.fillStyle = gradient;
    ctx.fillRect(0, 0, width, height);
    glow(stage, width * random.between(0.2, 0.8), height * 0.3, unit * 0.8, palette.light, 0.5);
  }
  return true;
}

function namesTime(prompt: string, scene: Scene): boolean {
  const named = new Set(TIMES[scene.time].split('|'));
  return prompt
    .toLowerCase()
    .split(/[^\p{L}]+/u)
    .some((word) => named.has(word) || named.has(word.replace(/s$/, '')));
}

/** Takes the lightness of the picture and the hue of the colour. */
function recolour(stage: Stage, tint: Colour): void {
  cover(stage, tint, 'color', 0.72);
  cover(stage, shade(tint, 0.15), 'soft-light', 0.3);
}

function cover(
  { ctx, width, height }: Stage,
  colour: Colour,
  blend: 'multiply' | 'soft-light' | 'color',
  strength: number,
): void {
  ctx.save();
  ctx.globalCompositeOperation = blend;
  ctx.fillStyle = css(colour, strength);
  ctx.fillRect(0, 0, width, height);
  ctx.restore();
}

async function paintReference({ ctx, width, height, unit }: Stage, bytes: Uint8Array, n: number): Promise<void> {
  const side = Math.max(1, Math.round(unit * REFERENCE_SHARE));
  const picture = toCanvas(await decode(bytes, { width: side, height: side }));
  const perRow = Math.max(1, Math.floor((width - side * 0.2) / (side * 1.15)));
  const x = side * 0.2 + (n % perRow) * side * 1.15;
  const y = height - unit * 0.07 - side * 1.15 * (Math.floor(n / perRow) + 1);
  ctx.fillStyle = '#f7f3ea';
  ctx.fillRect(x - side * 0.04, y - side * 0.04, side * 1.08, side * 1.08);
  ctx.drawImage(picture, x, y, side, side);
}

function toCanvas({ data, width, height }: Raster) {
  const canvas = createCanvas(width, height);
  const pixels = new Uint8ClampedArray(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  canvas.getContext('2d').putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}
