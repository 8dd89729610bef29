import { type Colour, css, hex, hsl, mix, shade } from './colour.ts';
import { paintPine, paintWater } from './elements.ts';
import { cloudNoise, layTexture } from './noise.ts';
import { paintSky } from './sky.ts';
import { disc, fillBelow, glow, type Stage, wash } from './stage.ts';

export function paintOcean(stage: Stage): number {
  const { ctx, height, palette, random, noise } = stage;
  const horizon = height * random.between(0.46, 0.54);
  const light = paintSky(stage, horizon);
  const offset = random.between(0, 200);
  ctx.fillStyle = css(mix(palette.far, palette.horizon, 0.35));
  fillBelow(stage, (place) => horizon - height * 0.06 * Math.max(0, noise(offset + place * 3, 3) - 0.45), horizon + 1);
  paintWater(stage, horizon, light, false);
  // The shore, wet where the last wave was.
  const beach = (shift: number) => (place: number) =>
    height * (0.86 + shift) + height * 0.05 * noise(offset + place * 2.2, 20) + height * 0.07 * (place - 0.5);
  const sand = mix(hex(palette.dark ? '#3c3a4c' : '#dcc08f'), palette.horizon, 0.2);
  ctx.fillStyle = css(palette.light, 0.55);
  fillBelow(stage, beach(-0.006), height);
  ctx.fillStyle = css(mix(sand, palette.water, 0.45));
  fillBelow(stage, beach(0), height);
  ctx.fillStyle = css(sand);
  fillBelow(stage, beach(0.035), height);
  return height * 0.66;
}

/** Trunks and pines between layers of mist, and light that falls through. */
export function paintForest(stage: Stage): number {
  const { ctx, width, height, palette, random, scene } = stage;
  const light = paintSky(stage, height * 0.75);
  wash(stage, 0, height, [
    [0, mix(palette.skyMiddle, palette.ground, 0.35), 0.75],
    [0.6, mix(palette.horizon, palette.ground, 0.2), 0.85],
    [1, palette.ground],
  ]);
  const layers = 6;
  for (let layer = 0; layer < layers; layer += 1) {
    const depth = layer / (layers - 1);
    const colour = mix(mix(palette.horizon, palette.ground, 0.45), shade(palette.near, -0.15), depth ** 0.8);
    const ground = height * (0.62 + 0.3 * depth);
    const trees = Math.round((26 - 17 * depth) * Math.max(0.6, width / height));
    for (let tree = 0; tree < trees; tree += 1) {
      // The nearest trees frame the picture and leave the middle free.
      const place = layer === layers - 1 ? (random() < 0.5 ? random() * 0.26 : 1 - random() * 0.26) : random();
      const tall = height * (0.3 + 0.75 * depth) * random.between(0.75, 1.2);
      const tone = shade(colour, random.between(-0.12, 0.12));
      if (random() < 0.35 + 0.3 * depth) paintTrunk(stage, place * width, ground + height * 0.04, tall, tone);
      else paintPine(stage, place * width, ground + height * 0.03, tall * 0.8, tone);
    }
    ctx.fillStyle = css(mix(colour, palette.ground, 0.6));
    const wobble = random.between(0, 50);
    fillBelow(stage, (place) => ground + height * 0.03 * stage.noise(wobble + place * 4, layer), height);
    wash(stage, ground - height * 0.22, ground + height * 0.06, [
      [0, palette.horizon, 0],
      [0.8, mix(palette.horizon, palette.light, 0.3), (scene.weather === 'fog' ? 0.5 : 0.26) * (1 - depth)],
      [1, palette.horizon, 0],
    ]);
  }
  ctx.save();
  ctx.globalCompositeOperation = 'screen';
  for (let ray = 0; ray < 8; ray += 1) {
    const lean = random.between(-0.35, 0.35) * width;
    const wide = width * random.between(0.015, 0.06);
    const gradient = ctx.createLinearGradient(0, 0, 0, height * 0.85);
    gradient.addColorStop(0, css(palette.light, palette.dark ? 0.1 : 0.2));
    gradient.addColorStop(1, css(palette.light, 0));
    ctx.fillStyle = gradient;
    ctx.beginPath();
    ctx.moveTo(light.x - wide * 0.3, -10);
    ctx.lineTo(light.x + wide * 0.3, -10);
    ctx.lineTo(light.x + lean * 2 + wide * 2, height * 0.85);
    ctx.lineTo(light.x + lean * 2 - wide, height * 0.85);
    ctx.fill();
  }
  ctx.restore();
  return height * 0.92;
}

function paintTrunk(stage: Stage, x: number, y: number, tall: number, colour: Colour): void {
  const { ctx, random } = stage;
  const wide = tall * random.between(0.022, 0.04);
  ctx.fillStyle = css(colour);
  ctx.beginPath();
  ctx.moveTo(x - wide, y);
  ctx.quadraticCurveTo(x - wide * 0.5, y - tall * 0.5, x - wide * 0.45, y - tall * 1.3);
  ctx.lineTo(x + wide * 0.45, y - tall * 1.3);
  ctx.quadraticCurveTo(x + wide * 0.5, y - tall * 0.5, x + wide, y);
  ctx.fill();
  ctx.strokeStyle = css(colour);
  for (let branch = 0; branch < 5; branch += 1) {
    const level = y - tall * random.between(0.45, 1.1);
    const reach = tall * random.between(0.08, 0.2) * (random() < 0.5 ? -1 : 1);
    ctx.lineWidth = wide * 0.35;
    ctx.beginPath();
    ctx.moveTo(x, level);
    ctx.quadraticCurveTo(x + reach * 0.5, level - tall * 0.02, x + reach, level - tall * 0.09);
    ctx.stroke();
  }
}

/** A skyline in layers over a wet street that mirrors it. */
export function paintCity(stage: Stage): number {
  const { width, height, palette, random, scene, unit } = stage;
  const horizon = height * 0.74;
  const light = paintSky(stage, horizon);
  const lamps: Colour[] =
    scene.style === 'neon'
      ? [hex('#ff3fa4'), hex('#35e0ff'), hex('#b15cff'), hex('#ffe066')]
      : [hex('#ffd58a'), hex('#ffedc2'), hex('#ffc46b')];
  const lit = palette.dark || scene.time === 'sunset';
  if (lit) glow(stage, width / 2, horizon, width * 0.7, lamps[0] ?? palette.light, 0.28);
  const layers = 4;
  for (let layer = 0; layer < layers; layer += 1) {
    const depth = layer / (layers - 1);
    const colour = mix(mix(palette.far, palette.horizon, 0.3), palette.near, depth);
    let x = -width * 0.02;
    while (x < width) {
      const wide = unit * random.between(0.05, 0.13) * (0.75 + 0.5 * depth);
      const centre = 1 - Math.abs((x + wide / 2) / width - 0.5) * 1.1;
      const tall = height * random.between(0.12, 0.5) * (1 - 0.42 * depth) * centre + height * 0.06;
      paintTower(
        stage,
        x,
        horizon,
        wide,
        tall,
        shade(colour, random.between(-0.08, 0.08)),
        lit ? lamps : undefined,
        depth,
      );
      x += wide * random.between(0.9, 1.15);
    }
    wash(stage, horizon - height * 0.3, horizon, [
      [0, palette.horizon, 0],
      [1, palette.horizon, 0.2 * (1 - depth)],
    ]);
  }
  paintWater(stage, horizon, light, true);
  return height * 0.93;
}

function paintTower(
  stage: Stage,
  x: number,
  foot: number,
  wide: number,
  tall: number,
  colour: Colour,
  lamps: readonly Colour[] | undefined,
  depth: number,
): void {
  const { ctx, random, palette } = stage;
  const top = foot - tall;
  const gradient = ctx.createLinearGradient(x, 0, x + wide, 0);
  gradient.addColorStop(0, css(mix(colour, palette.light, 0.1)));
  gradient.addColorStop(1, css(shade(colour, -0.22)));
  ctx.fillStyle = gradient;
  ctx.fillRect(x, top, wide, tall);
  const roof = random();
  if (roof < 0.22) {
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x + wide / 2, top - wide * random.between(0.5, 1.3));
    ctx.lineTo(x + wide, top);
    ctx.fill();
  } else if (roof < 0.5) {
    ctx.fillRect(x + wide * 0.2, top - wide * 0.22, wide * 0.6, wide * 0.23);
    ctx.fillRect(x + wide * 0.47, top - wide * 0.85, wide * 0.05, wide * 0.7);
  }
  const pitch = Math.max(3, wide / (4 + Math.round(depth * 2)));
  for (let row = top + pitch; row < foot - pitch; row += pitch * 1.25) {
    for (let column = x + pitch * 0.4; column < x + wide - pitch * 0.6; column += pitch) {
      if (lamps) {
        if (random() > 0.42) continue;
        ctx.fillStyle = css(
          lamps[random.int(0, lamps.length - 1)] ?? palette.light,
          random.between(0.35, 0.95) * (0.45 + 0.55 * depth),
        );
      } else ctx.fillStyle = css(mix(palette.skyMiddle, colour, 0.35), 0.5);
      ctx.fillRect(column, row, pitch * 0.55, pitch * 0.62);
    }
  }
}

/** Open space: dust, stars and a planet. */
export function paintSpace(stage: Stage): number {
  const { ctx, width, height, random, scene, noise, unit } = stage;
  wash(stage, 0, height, [
    [0, hex('#03040f')],
    [1, hex('#0b0a22')],
  ]);
  const clouds = cloudNoise(noise);
  const hue = random.between(0, 360);
  const tints = [
    scene.tints[0] ?? hsl(hue, 0.85, 0.52),
    scene.tints[1] ?? hsl(hue + 70, 0.8, 0.55),
    hsl(hue + 160, 0.8, 0.58),
  ] as const;
  const turn = random.between(0, 6);
  for (const [layer, tint] of tints.entries()) {
    layTexture(
      ctx,
      { x: 0, y: 0, width, height },
      (u, v) => mix(tint, [255, 250, 240], Math.max(0, clouds(u * 4 + layer * 31, v * 4) - 0.62) * 2.2),
      (u, v) => {
        const drift = clouds(u * 2.3 + layer * 60, v * 2.3 + 9);
        const band =
          1 - Math.min(1, Math.abs((v - 0.5) * Math.cos(turn) + (u - 0.5) * Math.sin(turn) + (drift - 0.5) * 0.6) * 2);
        return Math.max(0, clouds(u * 3.1 + drift * 1.6 + layer * 17, v * 3.1 * (height / width)) - 0.34) * 1.75 * band;
      },
    );
  }
  for (let star = 0; star < 900; star += 1) {
    const bright = random() ** 6;
    ctx.fillStyle = css(hsl(random() < 0.35 ? 28 : 212, 0.6, 0.88), 0.3 + 0.7 * bright);
    const x = random() * width;
    const y = random() * height;
    disc(ctx, x, y, unit * (0.0006 + 0.0022 * bright));
    if (bright > 0.92) glow(stage, x, y, unit * 0.035 * bright, [210, 225, 255], 0.7);
  }
  paintPlanet(
    stage,
    width * random.between(0.6, 0.8),
    height * random.between(0.25, 0.42),
    unit * random.between(0.12, 0.22),
    hue,
  );
  return height * 0.84;
}

function paintPlanet(stage: Stage, x: number, y: number, radius: number, hue: number): void {
  const { ctx, random, noise } = stage;
  const ringed = random() < 0.6;
  const tilt = random.between(-0.5, 0.5);
  const ring = (front: boolean): void => {
    for (let line = 0; line < 16; line += 1) {
      ctx.strokeStyle = css(hsl(hue + 30, 0.35, 0.75), 0.12 + 0.4 * noise(line * 0.9, 4));
      ctx.lineWidth = radius * 0.035;
      ctx.beginPath();
      ctx.ellipse(
        x,
        y,
        radius * (1.35 + line * 0.045),
        radius * (0.33 + line * 0.011),
        tilt,
        front ? 0 : Math.PI,
        front ? Math.PI : Math.PI * 2,
      );
      ctx.stroke();
    }
  };
  if (ringed) ring(false);
  glow(stage, x, y, radius * 1.7, hsl(hue, 0.7, 0.6), 0.4);
  ctx.save();
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, Math.PI * 2);
  ctx.clip();
  for (let band = 0; band < 46; band += 1) {
    const level = y - radius + (band / 46) * radius * 2;
    ctx.fillStyle = css(hsl(hue + 50 * noise(band * 0.22, 12), 0.5, 0.32 + 0.36 * noise(band * 0.4, 2)));
    ctx.fillRect(x - radius, level, radius * 2, radius / 20);
  }
  const gradient = ctx.createRadialGradient(x - radius * 0.45, y - radius * 0.45, radius * 0.2, x, y, radius * 1.25);
  gradient.addColorStop(0, 'rgba(255, 255, 255, 0.28)');
  gradient.addColorStop(0.45, 'rgba(0, 0, 10, 0.12)');
  gradient.addColorStop(1, 'rgba(0, 0, 12, 0.94)');
  ctx.fillStyle = gradient;
  ctx.fillRect(x - radius, y - radius, radius * 2, radius * 2);
  ctx.restore();
  if (ringed) ring(true);
}
