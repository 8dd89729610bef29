import { type Colour, css, hex, shade } from './colour.ts';
import { FIGURES } from './figures.ts';
import type { Subject } from './scene.ts';
import type { Stage } from './stage.ts';
import type { Setting, SubjectKind } from './vocabulary.ts';

/** What a subject looks like when the prompt gives it no colour. */
const USUAL: Readonly<Partial<Record<SubjectKind, readonly [string, ...string[]]>>> = {
  cat: ['#d9843b', '#5c5a63', '#b89b7a', '#2f2b33'],
  fox: ['#d9652b'],
  bird: ['#2b2d3a'],
  fish: ['#f2762e', '#e8b23a', '#3f8fd0'],
  lighthouse: ['#c5372f'],
  castle: ['#8f8a92'],
  house: ['#b5503c', '#6c7f8f', '#c98b4a'],
  boat: ['#a8452f', '#2f5f8f'],
  car: ['#c8322f', '#2f6f9f', '#e0b23a'],
  rocket: ['#d8392f'],
  robot: ['#8fa0b0'],
  tree: ['#4d8a3c', '#5f9a45'],
  mushroom: ['#cf3a2c'],
  balloon: ['#d9433a', '#e59a2b'],
  cup: ['#e8e2d6', '#5f8fa8', '#c9563f'],
  flower: ['#e0567a', '#e8a52b', '#8b62d6'],
};

/** In the air wherever the picture plays. */
const FLYING = new Set<SubjectKind>(['bird', 'butterfly', 'balloon', 'rocket']);
/** Nothing has a ground there. */
const FLOATING = new Set<Setting>(['space', 'underwater']);

/** Height of a subject as a share of the shorter side, when there is one of it. */
const SIZE: Readonly<Partial<Record<SubjectKind, number>>> = {
  portrait: 0.92,
  lighthouse: 0.62,
  castle: 0.5,
  bird: 0.13,
  butterfly: 0.2,
  house: 0.34,
  tree: 0.55,
  boat: 0.34,
  balloon: 0.32,
  car: 0.4,
  fish: 0.3,
  cup: 0.46,
};

/** Puts the subjects into a picture, the last one first, so that the first of the prompt stands in front. */
export function paintSubjects(stage: Stage, ground: number): void {
  const { subjects } = stage.scene;
  for (const [n, subject] of [...subjects.entries()].reverse()) paintSubject(stage, subject, n, ground);
}

function paintSubject(stage: Stage, subject: Subject, order: number, ground: number): void {
  const { ctx, width, height, unit, random, scene, palette } = stage;
  const { kind, count } = subject;
  const usual = USUAL[kind];
  const main: Colour = subject.colour ?? (usual ? hex(random.pick(usual)) : palette.accent);
  const alone = scene.subjects.length === 1 && count === 1;
  const close = scene.closeUp && kind !== 'portrait' ? 1.45 : 1;
  const backdrop = scene.setting === 'backdrop' || scene.setting === 'abstract';
  const base = (SIZE[kind] ?? 0.4) * close * (backdrop && kind !== 'portrait' ? 1.5 : 1) * (order === 0 ? 1 : 0.8);
  const floats = FLOATING.has(scene.setting) || (FLYING.has(kind) && !backdrop);

  for (let n = 0; n < count; n += 1) {
    const tall = unit * Math.min(0.95, base) * (count === 1 ? 1 : random.between(0.5, 0.8));
    const middle = alone ? random.between(0.44, 0.56) : 0.5 + (order === 0 ? 0 : order === 1 ? 0.29 : -0.3);
    const spread = count === 1 ? 0 : ((n + 0.5) / count - 0.5) * 0.8 + random.between(-0.05, 0.05);
    const x = width * Math.min(0.9, Math.max(0.1, middle + spread));
    const foot = floats
      ? height * (kind === 'bird' ? random.between(0.18, 0.5) : random.between(0.48, 0.68)) +
        tall * (kind === 'bird' ? 0.3 : 0.25)
      : Math.min(
          height * 0.985,
          (kind === 'boat' && scene.setting === 'ocean' ? height * 0.66 : ground) +
            (order === 0 ? 0 : -unit * 0.03) +
            random.between(0, 0.02) * height,
        );
    ctx.save();
    ctx.translate(x, foot);
    if (!floats && kind !== 'portrait') paintShadow(stage, tall, kind === 'boat' ? 0.12 : 0.34);
    if (floats && FLOATING.has(scene.setting) && kind !== 'fish') ctx.rotate(random.between(-0.3, 0.3));
    const flip = kind !== 'portrait' && kind !== 'lighthouse' && random() < 0.5 ? -1 : 1;
    ctx.scale((flip * tall) / 100, tall / 100);
    ctx.translate(-50, -100);
    if (kind === 'portrait') ctx.translate(0, (height - foot) / (tall / 100) + 2);
    FIGURES[kind](stage, main);
    ctx.restore();
  }
}

function paintShadow({ ctx, palette }: Stage, tall: number, strength: number): void {
  const shadow = ctx.createRadialGradient(0, 0, 0, 0, 0, tall * 0.48);
  shadow.addColorStop(0, css(shade(palette.near, -0.6), strength + 0.2));
  shadow.addColorStop(1, css(shade(palette.near, -0.6), 0));
  ctx.save();
  ctx.scale(1, 0.16);
  ctx.fillStyle = shadow;
  ctx.fillRect(-tall, -tall, tall * 2, tall * 2);
  ctx.restore();
}
