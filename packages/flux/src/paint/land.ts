import { type Colour, css, hex, hsl, mix, shade } from './colour.ts';
import { paintPine, paintWater } from './elements.ts';
import { type Light, paintSky } from './sky.ts';
import { disc, fillBelow, type Stage, wash } from './stage.ts';

/** Ridges one behind the other, with snow, pines and perhaps a lake. @returns the height of the ground for subjects */
export function paintMountains(stage: Stage): number {
  const { ctx, width, height, palette, random, scene, noise } = stage;
  const horizon = height * (scene.lake ? 0.6 : 0.68);
  const light = paintSky(stage, horizon);
  const layers = 5;
  for (let layer = 0; layer < layers; layer += 1) {
    const depth = layer / (layers - 1);
    const base = horizon - height * (0.02 + 0.05 * (1 - depth)) + depth * height * 0.03;
    const tall = height * (0.42 - 0.3 * depth) * random.between(0.85, 1.15);
    const offset = random.between(0, 200);
    const pitch = (2.1 + depth * 1.6) * (width / height);
    const ridge = (place: number): number => {
      const broad = 1 - Math.abs(noise(offset + place * pitch, layer * 11) * 2 - 1);
      const fine = noise(offset + place * pitch * 5, 50 + layer) * 0.3 + noise(offset + place * pitch * 17, 90) * 0.12;
      return base - tall * (broad ** 1.5 * 0.95 + fine * 0.45);
    };
    const colour = mix(palette.far, palette.near, depth ** 1.15);
    const gradient = ctx.createLinearGradient(0, base - tall, 0, base + height * 0.06);
    gradient.addColorStop(0, css(colour));
    gradient.addColorStop(1, css(mix(colour, palette.horizon, 0.5 * (1 - depth) + 0.12)));
    ctx.fillStyle = gradient;
    fillBelow(stage, ridge, height, 320);
    if (layer < 3) paintFaces(stage, ridge, base, tall, depth, light);
    if (layer >= 3) paintPineLine(stage, ridge, layer === 4 ? 0.05 : 0.028, mix(colour, palette.near, 0.5));
  }
  if (scene.lake) {
    paintWater(stage, horizon, light, true);
    return height * 0.93;
  }
  wash(stage, horizon + height * 0.05, height, [
    [0, palette.ground, 0],
    [0.5, mix(palette.ground, palette.near, 0.45)],
    [1, shade(mix(palette.ground, palette.near, 0.7), -0.2)],
  ]);
  paintGrass(stage, height * 0.8);
  return height * 0.93;
}

/** 1 left of the light, −1 right of it, with a soft change below it. */
function towards(light: Light, place: number, width: number): number {
  return Math.min(1, Math.max(-1, (light.x / width - place) * 6));
}

/** Snow on the heights, broken by rock, brighter on the side of the light. */
function paintFaces(
  stage: Stage,
  ridge: (place: number) => number,
  base: number,
  tall: number,
  depth: number,
  light: Light,
): void {
  const { ctx, width, scene, noise, palette } = stage;
  const line = base - tall * (scene.weather === 'snow' ? 0.1 : 0.46 + depth * 0.12);
  const columns = 260;
  // The columns are cut off at the ridge itself, else its steps would show.
  ctx.save();
  ctx.beginPath();
  ctx.moveTo(0, base);
  for (let step = 0; step <= 320; step += 1) ctx.lineTo((step / 320) * width, ridge(step / 320));
  ctx.lineTo(width, base);
  ctx.clip();
  const snow = mix(mix(hex('#ffffff'), palette.light, 0.35), palette.skyMiddle, palette.dark ? 0.55 : 0.12);
  for (let column = 0; column < columns; column += 1) {
    const place = column / columns;
    const top = ridge(place);
    if (top >= line) continue;
    const slope = (ridge(place + 0.03) - ridge(place - 0.03)) / tall;
    const away = slope * towards(light, place, width);
    const reach = (line - top) * (0.5 + 0.9 * noise(place * 60, 7 + depth * 30));
    const lit = Math.min(0.55, Math.max(0.04, 0.26 + away * 0.9));
    const gradient = ctx.createLinearGradient(0, top, 0, top + reach);
    gradient.addColorStop(0, css(mix(snow, palette.far, lit), 0.95));
    gradient.addColorStop(0.75, css(mix(snow, palette.far, lit), 0.8));
    gradient.addColorStop(1, css(snow, 0));
    ctx.fillStyle = gradient;
    ctx.fillRect(place * width, Math.min(top, ridge(place + 1 / columns)) - 2, width / columns + 0.8, reach + 2);
  }
  ctx.restore();
}

function paintPineLine(stage: Stage, ridge: (place: number) => number, size: number, colour: Colour): void {
  const { width, height, random } = stage;
  const count = Math.round((width / height) * (1.6 / size));
  for (let pine = 0; pine < count; pine += 1) {
    const place = random();
    const tall = height * size * random.between(0.7, 1.7);
    paintPine(stage, place * width, ridge(place) + tall * 0.2, tall, shade(colour, random.between(-0.25, 0.05)));
  }
}

/** Rolling hills with flowers that grow towards the front. */
export function paintMeadow(stage: Stage): number {
  const { ctx, width, height, palette, random, scene, noise } = stage;
  const horizon = height * 0.56;
  paintSky(stage, horizon);
  const hills = 5;
  for (let hill = 0; hill < hills; hill += 1) {
    const depth = hill / (hills - 1);
    const base = horizon + (height - horizon) * depth * 0.62;
    const offset = random.between(0, 200);
    const line = (place: number): number =>
      base - height * (0.1 - 0.055 * depth) * noise(offset + place * (2 + depth) * (width / height), hill * 13);
    const colour = mix(mix(palette.far, palette.ground, 0.35 + depth * 0.65), palette.near, depth * 0.25);
    const gradient = ctx.createLinearGradient(0, base - height * 0.1, 0, base + height * 0.25);
    gradient.addColorStop(0, css(mix(colour, palette.light, 0.22)));
    gradient.addColorStop(1, css(shade(colour, -0.28)));
    ctx.fillStyle = gradient;
    fillBelow(stage, line, height);
    if (hill === 1 || hill === 2) {
      for (let tree = 0; tree < 26; tree += 1) {
        const place = random();
        const size = height * (0.012 + 0.02 * depth) * random.between(0.7, 1.5);
        ctx.fillStyle = css(mix(colour, palette.near, 0.65));
        disc(ctx, place * width, line(place) - size * 0.5, size);
        disc(ctx, place * width + size * 0.8, line(place) - size * 0.2, size * 0.8);
      }
    }
  }
  paintGrass(stage, height * 0.72);
  paintFlowers(stage, height * 0.68, scene.weather === 'snow' ? 0 : 1);
  return height * 0.93;
}

export function paintGrass(stage: Stage, top: number): void {
  const { ctx, width, height, palette, random, unit, scene } = stage;
  const base = scene.weather === 'snow' ? palette.ground : mix(palette.ground, palette.near, 0.35);
  for (let blade = 0; blade < 900; blade += 1) {
    const depth = random() ** 0.8;
    const y = top + (height - top) * depth;
    const x = random() * width;
    const tall = unit * (0.008 + 0.035 * depth) * random.between(0.5, 1.2);
    ctx.strokeStyle = css(shade(mix(base, palette.light, random() * 0.25), random.between(-0.35, 0.12)), 0.75);
    ctx.lineWidth = Math.max(0.6, unit * 0.0022 * depth);
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.quadraticCurveTo(x, y - tall * 0.6, x + tall * random.between(-0.45, 0.45), y - tall);
    ctx.stroke();
  }
}

function paintFlowers(stage: Stage, top: number, share: number): void {
  const { ctx, width, height, palette, random, unit, scene } = stage;
  const hue = random.between(0, 360);
  const colours: Colour[] =
    scene.tints.length > 0 ? scene.tints : [hsl(hue, 0.75, 0.62), hsl(hue + 40, 0.8, 0.66), hex('#fbf3e4')];
  const flowers = Array.from({ length: Math.round(520 * share) }, () => random() ** 0.75).sort((a, b) => a - b);
  for (const depth of flowers) {
    const y = top + (height - top) * depth * 1.02;
    const x = random() * width;
    const size = unit * (0.0022 + 0.011 * depth ** 1.6) * random.between(0.7, 1.3);
    const colour = colours[random.int(0, colours.length - 1)] ?? palette.accent;
    ctx.strokeStyle = css(shade(palette.ground, -0.35), 0.7);
    ctx.lineWidth = size * 0.2;
    ctx.beginPath();
    ctx.moveTo(x, y + size * 3.4);
    ctx.lineTo(x, y);
    ctx.stroke();
    ctx.fillStyle = css(palette.dark ? shade(colour, -0.35) : shade(colour, random.between(-0.12, 0.12)));
    for (let petal = 0; petal < 5; petal += 1) {
      const angle = (petal / 5) * Math.PI * 2 + depth * 9;
      disc(ctx, x + Math.cos(angle) * size * 0.72, y + Math.sin(angle) * size * 0.5, size * 0.58);
    }
    ctx.fillStyle = css(mix(palette.light, hex('#e9a820'), 0.6));
    disc(ctx, x, y, size * 0.36);
  }
}

/** Dunes with a sharp crest between light and shadow. */
export function paintDesert(stage: Stage): number {
  const { ctx, width, height, palette, random, noise, scene } = stage;
  const horizon = height * 0.5;
  const light = paintSky(stage, horizon);
  const sand = mix(scene.tints[0] ?? hex(palette.dark ? '#4a4668' : '#dba463'), palette.horizon, 0.14);
  const dunes = 6;
  for (let dune = 0; dune < dunes; dune += 1) {
    const depth = dune / (dunes - 1);
    const base = horizon + (height - horizon) * depth * 0.8;
    const tall = height * (0.05 + 0.14 * depth);
    const offset = random.between(0, 200);
    const line = (place: number): number => {
      const wave = noise(offset + place * 2.4 * (width / height), dune * 7);
      return base - tall * wave ** 1.4 + height * 0.02;
    };
    const lit = mix(mix(sand, palette.horizon, 0.55 * (1 - depth)), palette.light, 0.18);
    const shadow = mix(shade(sand, -0.5), palette.skyTop, 0.28);
    ctx.fillStyle = css(lit);
    fillBelow(stage, line, height);
    const columns = 240;
    for (let column = 0; column < columns; column += 1) {
      const place = column / columns;
      const slope = (line(place - 0.008) - line(place + 0.008)) * towards(light, place, width);
      if (slope <= 0) continue;
      const y = line(place);
      const gradient = ctx.createLinearGradient(0, y, 0, y + tall * 0.9);
      const alpha = Math.min(0.85, (slope / tall) * 9) * (0.35 + 0.65 * depth);
      gradient.addColorStop(0, css(shadow, alpha));
      gradient.addColorStop(1, css(shadow, 0));
      ctx.fillStyle = gradient;
      ctx.fillRect(place * width, y, width / columns + 0.8, tall * 0.9);
    }
  }
  for (let ripple = 0; ripple < 60; ripple += 1) {
    const y = height * (0.8 + 0.2 * random());
    const x = random() * width;
    ctx.strokeStyle = css(shade(sand, -0.3), 0.2);
    ctx.lineWidth = height * 0.0016;
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.quadraticCurveTo(x + width * 0.06, y - height * 0.012, x + width * 0.13, y + height * 0.004);
    ctx.stroke();
  }
  return height * 0.9;
}
