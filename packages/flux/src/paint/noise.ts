import { createCanvas, type SKRSContext2D } from '@napi-rs/canvas';
import type { Colour } from './colour.ts';
import { randomFrom } from './random.ts';

const SIZE = 256;

/** Smooth noise over the plane, 0 to 1, that repeats every 256 units. */
export type Noise = (x: number, y: number) => number;

export function noiseFrom(seed: string | number): Noise {
  const random = randomFrom('noise', seed);
  const grid = Float32Array.from({ length: SIZE * SIZE }, () => random());
  const at = (x: number, y: number): number => grid[((y & 255) << 8) | (x & 255)] ?? 0;
  return (x, y) => {
    const left = Math.floor(x);
    const top = Math.floor(y);
    const across = x - left;
    const down = y - top;
    const u = across * across * (3 - 2 * across);
    const v = down * down * (3 - 2 * down);
    const upper = at(left, top) + (at(left + 1, top) - at(left, top)) * u;
    const lower = at(left, top + 1) + (at(left + 1, top + 1) - at(left, top + 1)) * u;
    return upper + (lower - upper) * v;
  };
}

/** Five octaves of noise, 0 to 1. */
export function cloudNoise(noise: Noise): Noise {
  return (x, y) => {
    let sum = 0;
    let weight = 0.5;
    let scale = 1;
    for (let octave = 0; octave < 5; octave += 1) {
      sum += weight * noise(x * scale + octave * 37, y * scale + octave * 71);
      weight /= 2;
      scale *= 2;
    }
    return sum / 0.97;
  };
}

/**
 * Lays a soft texture over a part of the picture. It is worked out at a quarter of the size: it has no sharp edges, and
 * every pixel costs five looks into the grid.
 *
 * @param opacity 0 to 1 for a place, both coordinates 0 to 1
 */
export function layTexture(
  ctx: SKRSContext2D,
  area: { x: number; y: number; width: number; height: number },
  colour: (u: number, v: number) => Colour,
  opacity: (u: number, v: number) => number,
): void {
  const width = Math.max(2, Math.ceil(area.width / 4));
  const height = Math.max(2, Math.ceil(area.height / 4));
  const small = createCanvas(width, height);
  const smallContext = small.getContext('2d');
  const image = smallContext.createImageData(width, height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const u = x / width;
      const v = y / height;
      const alpha = opacity(u, v);
      if (alpha <= 0) continue;
      const [red, green, blue] = colour(u, v);
      const place = (y * width + x) * 4;
      image.data[place] = red;
      image.data[place + 1] = green;
      image.data[place + 2] = blue;
      image.data[place + 3] = Math.min(255, alpha * 255);
    }
  }
  smallContext.putImageData(image, 0, 0);
  ctx.imageSmoothingEnabled = true;
  ctx.drawImage(small, area.x, area.y, area.width, area.height);
}
