import { type Colour, css, hex, hsl, mix, shade } from './colour.ts';
import { cloudNoise, layTexture } from './noise.ts';
import { disc, fillBelow, glow, type Stage, wash } from './stage.ts';

/** Under the sea: light from above, weed, corals and bubbles. */
export function paintUnderwater(stage: Stage): number {
  const { ctx, width, height, random, scene, noise, unit } = stage;
  const tint = scene.tints[0];
  const deep = mix(hex(scene.time === 'night' ? '#02101f' : '#04304f'), tint ?? hex('#04304f'), 0.35);
  wash(stage, 0, height, [
    [0, mix(hex(scene.time === 'night' ? '#1b5a74' : '#7fe0dd'), tint ?? hex('#7fe0dd'), 0.3)],
    [0.35, mix(hex(scene.time === 'night' ? '#0b3450' : '#1f93b0'), tint ?? hex('#1f93b0'), 0.3)],
    [1, deep],
  ]);
  const from = width * random.between(0.3, 0.7);
  ctx.save();
  ctx.globalCompositeOperation = 'screen';
  for (let ray = 0; ray < 14; ray += 1) {
    const x = from + (ray - 7) * width * 0.06;
    const lean = (x - from) * 1.6;
    const wide = width * random.between(0.01, 0.045);
    const gradient = ctx.createLinearGradient(0, 0, 0, height * 0.9);
    gradient.addColorStop(0, 'rgba(220, 255, 245, 0.34)');
    gradient.addColorStop(1, 'rgba(120, 220, 255, 0)');
    ctx.fillStyle = gradient;
    ctx.beginPath();
    ctx.moveTo(x - wide, -5);
    ctx.lineTo(x + wide, -5);
    ctx.lineTo(x + lean + wide * 3, height * 0.9);
    ctx.lineTo(x + lean - wide * 3, height * 0.9);
    ctx.fill();
  }
  ctx.restore();
  for (let layer = 0; layer < 3; layer += 1) {
    const offset = random.between(0, 99);
    const base = height * (0.8 + layer * 0.06);
    ctx.fillStyle = css(mix(mix(deep, hex('#2b7f8f'), 0.4), shade(deep, -0.4), layer / 2));
    const line = (place: number): number => base - height * 0.13 * noise(offset + place * 4, layer) + height * 0.05;
    fillBelow(stage, line, height);
    for (let plant = 0; plant < 16; plant += 1) {
      const place = random();
      const foot = line(place) + 4;
      if (random() < 0.55)
        paintWeed(
          stage,
          place * width,
          foot,
          height * random.between(0.06, 0.2) * (0.6 + layer * 0.3),
          shade(hsl(random.between(130, 175), 0.5, 0.3), -0.15 * layer),
        );
      else
        paintCoral(
          stage,
          place * width,
          foot,
          unit * random.between(0.03, 0.07),
          hsl(random.pick([345, 12, 28, 290, 320]), 0.68, 0.55 - 0.08 * layer),
        );
    }
  }
  for (let bubble = 0; bubble < 60; bubble += 1) {
    const size = unit * 0.008 * random() ** 2 + unit * 0.0015;
    ctx.strokeStyle = `rgba(225, 255, 255, ${0.25 + 0.45 * random()})`;
    ctx.lineWidth = Math.max(0.7, size * 0.2);
    ctx.beginPath();
    ctx.arc(random() * width, random() * height * 0.9, size, 0, Math.PI * 2);
    ctx.stroke();
  }
  return height * 0.62;
}

function paintWeed({ ctx, random }: Stage, x: number, y: number, tall: number, colour: Colour): void {
  ctx.strokeStyle = css(colour);
  ctx.lineCap = 'round';
  for (let blade = 0; blade < 4; blade += 1) {
    const sway = tall * random.between(-0.3, 0.3);
    ctx.lineWidth = tall * 0.045;
    ctx.beginPath();
    ctx.moveTo(x + blade * tall * 0.06, y);
    ctx.bezierCurveTo(
      x + sway,
      y - tall * 0.35,
      x - sway,
      y - tall * 0.65,
      x + sway,
      y - tall * random.between(0.8, 1.1),
    );
    ctx.stroke();
  }
}

function paintCoral({ ctx, random }: Stage, x: number, y: number, size: number, colour: Colour): void {
  ctx.strokeStyle = css(colour);
  ctx.lineCap = 'round';
  const branch = (fromX: number, fromY: number, angle: number, long: number, left: number): void => {
    const toX = fromX + Math.cos(angle) * long;
    const toY = fromY + Math.sin(angle) * long;
    ctx.lineWidth = Math.max(1, long * 0.32);
    ctx.beginPath();
    ctx.moveTo(fromX, fromY);
    ctx.lineTo(toX, toY);
    ctx.stroke();
    if (left === 0) return;
    branch(toX, toY, angle - random.between(0.2, 0.65), long * 0.74, left - 1);
    branch(toX, toY, angle + random.between(0.2, 0.65), long * 0.74, left - 1);
  };
  branch(x, y, -Math.PI / 2, size * 0.6, 3);
}

/** A wall, a window's light on it and a table. */
export function paintRoom(stage: Stage): number {
  const { ctx, width, height, palette, random, scene, unit } = stage;
  const wall = scene.tints[0] ?? mix(hsl(random.between(20, 220), 0.24, 0.66), palette.skyMiddle, 0.25);
  const edge = height * 0.68;
  wash(stage, 0, edge, [
    [0, shade(wall, palette.dark ? -0.62 : -0.2)],
    [1, shade(wall, palette.dark ? -0.4 : 0.08)],
  ]);
  ctx.save();
  ctx.globalCompositeOperation = palette.dark ? 'screen' : 'soft-light';
  ctx.fillStyle = css(palette.light, palette.dark ? 0.16 : 0.75);
  const x = width * random.between(0.08, 0.4);
  for (const [column, row] of [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ] as const) {
    const left = x + column * unit * 0.2;
    const top = height * 0.08 + row * unit * 0.24;
    ctx.beginPath();
    ctx.moveTo(left, top);
    ctx.lineTo(left + unit * 0.18, top + unit * 0.04);
    ctx.lineTo(left + unit * 0.18, top + unit * 0.26);
    ctx.lineTo(left, top + unit * 0.22);
    ctx.fill();
  }
  ctx.restore();
  const wood = mix(hex('#a9713f'), palette.near, palette.dark ? 0.6 : 0.08);
  wash(stage, edge, height, [
    [0, shade(wood, 0.14)],
    [0.12, wood],
    [1, shade(wood, -0.42)],
  ]);
  for (let grain = 0; grain < 70; grain += 1) {
    const y = edge + (height - edge) * random() ** 0.7;
    const from = random() * width - width * 0.2;
    ctx.strokeStyle = css(shade(wood, random() < 0.6 ? -0.35 : 0.25), 0.16);
    ctx.lineWidth = unit * 0.0022;
    ctx.beginPath();
    ctx.moveTo(from, y);
    ctx.bezierCurveTo(
      from + width * 0.2,
      y + unit * 0.008,
      from + width * 0.35,
      y - unit * 0.008,
      from + width * 0.6,
      y,
    );
    ctx.stroke();
  }
  ctx.fillStyle = css(shade(wood, -0.55), 0.4);
  ctx.fillRect(0, edge, width, unit * 0.006);
  if (palette.dark) glow(stage, width * 0.5, height * 0.36, unit * 0.7, hex('#ffc37a'), 0.5);
  return height * 0.86;
}

/** A studio background for somebody or something without a place of its own. */
export function paintBackdrop(stage: Stage): number {
  const { ctx, width, height, random, scene, palette, noise, unit } = stage;
  const base = scene.tints[0] ?? hsl(random.between(0, 360), 0.42, 0.44);
  wash(stage, 0, height, [
    [0, shade(base, palette.dark ? -0.7 : -0.35)],
    [1, shade(base, palette.dark ? -0.82 : -0.55)],
  ]);
  glow(stage, width * 0.5, height * 0.42, Math.max(width, height) * 0.62, shade(base, 0.35), palette.dark ? 0.4 : 0.85);
  const clouds = cloudNoise(noise);
  layTexture(
    ctx,
    { x: 0, y: 0, width, height },
    () => shade(base, 0.45),
    (u, v) => Math.max(0, clouds(u * 5, v * 5) - 0.45) * 0.55,
  );
  for (let light = 0; light < 16; light += 1) {
    ctx.fillStyle = css(shade(random() < 0.5 ? base : palette.accent, 0.4), random.between(0.04, 0.13));
    disc(ctx, random() * width, random() * height * 0.8, unit * random.between(0.02, 0.1));
  }
  return height * 0.97;
}

/** No thing at all: flowing lines, discs or tiles, whichever the seed takes. */
export function paintAbstract(stage: Stage): number {
  const { random, scene } = stage;
  const hue = random.between(0, 360);
  const spread = random.pick([28, 55, 120]);
  const colours: Colour[] = [
    ...scene.tints,
    ...Array.from({ length: 5 }, (_, n) => hsl(hue + n * spread, random.between(0.5, 0.85), random.between(0.4, 0.68))),
  ].slice(0, 5);
  wash(stage, 0, stage.height, [
    [0, shade(hsl(hue + 200, 0.5, 0.16), scene.time === 'dawn' ? 0.75 : 0)],
    [1, shade(hsl(hue + 240, 0.5, 0.09), scene.time === 'dawn' ? 0.65 : 0)],
  ]);
  const painter = random.pick([paintFlow, paintDiscs, paintTiles]);
  painter(stage, colours);
  return stage.height * 0.9;
}

function paintFlow({ ctx, width, height, random, noise, unit }: Stage, colours: readonly Colour[]): void {
  const scale = random.between(1.6, 3.4);
  ctx.lineCap = 'round';
  for (let line = 0; line < 620; line += 1) {
    let x = random.between(-0.1, 1.1) * width;
    let y = random.between(-0.1, 1.1) * height;
    ctx.strokeStyle = css(
      shade(colours[random.int(0, colours.length - 1)] ?? [255, 255, 255], random.between(-0.25, 0.35)),
      random.between(0.25, 0.85),
    );
    ctx.lineWidth = unit * (0.0012 + 0.008 * random() ** 3);
    ctx.beginPath();
    ctx.moveTo(x, y);
    for (let step = 0; step < 26; step += 1) {
      const angle = noise((x / unit) * scale, (y / unit) * scale) * Math.PI * 4;
      x += Math.cos(angle) * unit * 0.014;
      y += Math.sin(angle) * unit * 0.014;
      ctx.lineTo(x, y);
    }
    ctx.stroke();
  }
}

function paintDiscs({ ctx, width, height, random, unit }: Stage, colours: readonly Colour[]): void {
  for (let shape = 0; shape < 46; shape += 1) {
    const colour = colours[shape % colours.length] ?? [255, 255, 255];
    const x = random() * width;
    const y = random() * height;
    const radius = unit * random.between(0.03, 0.26);
    const gradient = ctx.createRadialGradient(x - radius * 0.4, y - radius * 0.4, radius * 0.05, x, y, radius);
    gradient.addColorStop(0, css(shade(colour, 0.35), 0.9));
    gradient.addColorStop(1, css(shade(colour, -0.35), 0.72));
    ctx.globalCompositeOperation = shape % 4 === 0 ? 'screen' : 'source-over';
    ctx.fillStyle = gradient;
    ctx.strokeStyle = css(shade(colour, 0.5), 0.9);
    if (random() < 0.3) {
      ctx.lineWidth = unit * random.between(0.003, 0.016);
      ctx.beginPath();
      ctx.arc(x, y, radius, random() * 6, random() * 6 + 3);
      ctx.stroke();
    } else disc(ctx, x, y, radius);
  }
  ctx.globalCompositeOperation = 'source-over';
}

function paintTiles({ ctx, width, height, random, noise, unit }: Stage, colours: readonly Colour[]): void {
  const size = unit / random.int(6, 10);
  for (let y = 0; y < height; y += size) {
    for (let x = 0; x < width; x += size) {
      const at = (shift: number): Colour =>
        shade(
          colours[
            Math.floor(noise((x / unit) * 2.3 + shift, (y / unit) * 2.3) * colours.length * 1.6) % colours.length
          ] ?? [0, 0, 0],
          random.between(-0.2, 0.2),
        );
      ctx.fillStyle = css(at(0));
      ctx.fillRect(x, y, size + 1, size + 1);
      ctx.fillStyle = css(at(60));
      ctx.beginPath();
      const corner = random.int(0, 3);
      const cornerX = x + (corner % 2) * size;
      const cornerY = y + Math.floor(corner / 2) * size;
      if (random() < 0.55) {
        ctx.moveTo(cornerX, cornerY);
        ctx.arc(
          cornerX,
          cornerY,
          size,
          [0, Math.PI / 2, -Math.PI / 2, Math.PI][corner] ?? 0,
          [Math.PI / 2, Math.PI, 0, Math.PI * 1.5][corner] ?? 0,
        );
      } else if (random() < 0.5) ctx.arc(x + size / 2, y + size / 2, size * random.between(0.18, 0.42), 0, Math.PI * 2);
      else {
        ctx.moveTo(x, y);
        ctx.lineTo(x + size, corner < 2 ? y : y + size);
        ctx.lineTo(corner % 2 === 0 ? x : x + size, y + size);
      }
      ctx.fill();
    }
  }
}
