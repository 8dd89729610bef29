import { Path2D } from '@napi-rs/canvas';
import { type Colour, css, hex } from './colour.ts';
import { disc, type Stage } from './stage.ts';

/** Draws into a box of 100 by 100 that stands on its lower edge; `main` is the colour that the prompt or the seed gave. */
export type Figure = (stage: Stage, main: Colour) => void;

export function fill(stage: Stage, path: string, colour: Colour, alpha = 1): void {
  stage.ctx.fillStyle = css(colour, alpha);
  stage.ctx.fill(new Path2D(path));
}

export function line(stage: Stage, path: string, colour: Colour, width: number): void {
  stage.ctx.strokeStyle = css(colour);
  stage.ctx.lineWidth = width;
  stage.ctx.lineCap = 'round';
  stage.ctx.stroke(new Path2D(path));
}

export function dot(stage: Stage, x: number, y: number, radius: number, colour: Colour, alpha = 1): void {
  stage.ctx.fillStyle = css(colour, alpha);
  disc(stage.ctx, x, y, radius);
}

export const DARK = hex('#1c1a22');
export const PALE = hex('#f7efe2');
