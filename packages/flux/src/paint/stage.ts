import type { SKRSContext2D } from '@napi-rs/canvas';
import type { Colour } from './colour.ts';
import { css } from './colour.ts';
import type { Noise } from './noise.ts';
import type { Palette } from './palette.ts';
import type { Random } from './random.ts';
import type { Scene } from './scene.ts';

/** What every painter works with. Lengths are pixels of the drawing; `unit` is its shorter side. */
export interface Stage {
  ctx: SKRSContext2D;
  width: number;
  height: number;
  unit: number;
  scene: Scene;
  palette: Palette;
  random: Random;
  noise: Noise;
}

/** Fills an area from top to bottom. */
export function wash(
  { ctx, width }: Stage,
  top: number,
  bottom: number,
  stops: readonly (readonly [place: number, colour: Colour, alpha?: number])[],
): void {
  const gradient = ctx.createLinearGradient(0, top, 0, bottom);
  for (const [place, colour, alpha] of stops) gradient.addColorStop(place, css(colour, alpha));
  ctx.fillStyle = gradient;
  ctx.fillRect(0, top, width, bottom - top);
}

/** A soft round light. */
export function glow({ ctx }: Stage, x: number, y: number, radius: number, colour: Colour, strength: number): void {
  const gradient = ctx.createRadialGradient(x, y, 0, x, y, radius);
  gradient.addColorStop(0, css(colour, strength));
  gradient.addColorStop(0.35, css(colour, strength * 0.35));
  gradient.addColorStop(1, css(colour, 0));
  ctx.save();
  ctx.globalCompositeOperation = 'screen';
  ctx.fillStyle = gradient;
  ctx.fillRect(x - radius, y - radius, radius * 2, radius * 2);
  ctx.restore();
}

export function disc(ctx: SKRSContext2D, x: number, y: number, radius: number): void {
  ctx.beginPath();
  ctx.arc(x, y, Math.max(0, radius), 0, Math.PI * 2);
  ctx.fill();
}

/** Fills everything below a line that is given by its height at 0 to 1 of the width. */
export function fillBelow(stage: Stage, line: (place: number) => number, bottom: number, steps = 160): void {
  const { ctx, width } = stage;
  ctx.beginPath();
  ctx.moveTo(0, bottom);
  for (let step = 0; step <= steps; step += 1) ctx.lineTo((step / steps) * width, line(step / steps));
  ctx.lineTo(width, bottom);
  ctx.closePath();
  ctx.fill();
}
