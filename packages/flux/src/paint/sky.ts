import { type Colour, css, hsl, mix, shade } from './colour.ts';
import { cloudNoise, layTexture } from './noise.ts';
import { disc, glow, type Stage, wash } from './stage.ts';

export interface Light {
  x: number;
  y: number;
  radius: number;
}

/** Sky down to the horizon, with what stands in it. @returns where the sun or moon is */
export function paintSky(stage: Stage, horizon: number): Light {
  const { palette, scene, random, width, unit } = stage;
  wash(stage, 0, horizon + 1, [
    [0, palette.skyTop],
    [0.58, palette.skyMiddle],
    [1, palette.horizon],
  ]);
  // Land that dips below the horizon must not lay bare an empty canvas.
  stage.ctx.fillStyle = css(palette.horizon);
  stage.ctx.fillRect(0, horizon, width, stage.height - horizon);
  const low = scene.time === 'sunset' || scene.time === 'dawn';
  const light: Light = {
    x: width * (random() < 0.5 ? random.between(0.18, 0.4) : random.between(0.6, 0.82)),
    y: horizon * (low ? random.between(0.66, 0.84) : random.between(0.2, 0.34)),
    radius: unit * (low ? 0.085 : scene.time === 'night' ? 0.06 : 0.05),
  };
  const hidden = scene.weather === 'storm' || scene.weather === 'rain';
  if (scene.time === 'night') paintStars(stage, horizon, hidden ? 0.25 : 1);
  if (scene.weather === 'aurora') paintAurora(stage, horizon);
  if (!hidden) {
    if (scene.time === 'night') paintMoon(stage, light);
    else paintSun(stage, light);
  }
  paintClouds(stage, horizon);
  return light;
}

function paintSun(stage: Stage, { x, y, radius }: Light): void {
  const { ctx, palette } = stage;
  glow(stage, x, y, radius * 9, palette.light, 0.55);
  glow(stage, x, y, radius * 3.4, palette.light, 0.8);
  ctx.fillStyle = css(shade(palette.light, 0.5));
  disc(ctx, x, y, radius);
}

function paintMoon(stage: Stage, { x, y, radius }: Light): void {
  const { ctx, palette, random } = stage;
  glow(stage, x, y, radius * 8, palette.light, 0.32);
  glow(stage, x, y, radius * 2.6, palette.light, 0.5);
  ctx.fillStyle = css(palette.light);
  disc(ctx, x, y, radius);
  ctx.save();
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, Math.PI * 2);
  ctx.clip();
  for (let crater = 0; crater < 9; crater += 1) {
    ctx.fillStyle = css(shade(palette.light, -0.3), random.between(0.12, 0.3));
    disc(
      ctx,
      x + random.between(-0.8, 0.8) * radius,
      y + random.between(-0.8, 0.8) * radius,
      radius * random.between(0.08, 0.26),
    );
  }
  ctx.restore();
}

export function paintStars(stage: Stage, bottom: number, share: number): void {
  const { ctx, width, unit, random } = stage;
  const count = Math.round(((width * bottom) / (unit * unit)) * 420 * share);
  for (let star = 0; star < count; star += 1) {
    const bright = random() ** 4;
    const colour = hsl(random.between(0, 1) < 0.3 ? 35 : 215, 0.5, random.between(0.8, 0.97));
    ctx.fillStyle = css(colour, 0.25 + 0.7 * bright + random() * 0.15);
    disc(ctx, random() * width, random() ** 1.2 * bottom, unit * (0.0007 + 0.0019 * bright));
  }
}

function paintAurora(stage: Stage, horizon: number): void {
  const { ctx, width, random, noise } = stage;
  ctx.save();
  ctx.globalCompositeOperation = 'screen';
  for (let band = 0; band < 3; band += 1) {
    const hue = [145, 165, 290][band] ?? 150;
    const base = horizon * random.between(0.42, 0.72);
    const offset = random.between(0, 200);
    const strips = 220;
    for (let strip = 0; strip < strips; strip += 1) {
      const place = strip / strips;
      const y = base + (noise(offset + place * 4, band * 9) - 0.5) * horizon * 0.42;
      const tall = horizon * (0.14 + 0.36 * noise(offset + place * 26, 40 + band));
      const gradient = ctx.createLinearGradient(0, y - tall, 0, y + tall * 0.16);
      const colour = hsl(hue, 0.85, 0.56);
      gradient.addColorStop(0, css(hsl(hue + 60, 0.8, 0.5), 0));
      gradient.addColorStop(0.8, css(colour, 0.3 + 0.25 * noise(offset + place * 50, 70)));
      gradient.addColorStop(1, css(colour, 0));
      ctx.fillStyle = gradient;
      ctx.fillRect(place * width, y - tall, width / strips + 1.5, tall * 1.2);
    }
  }
  ctx.restore();
}

function paintClouds(stage: Stage, horizon: number): void {
  const { scene, palette, random, width, height, noise } = stage;
  const cover =
    scene.weather === 'storm' || scene.weather === 'rain'
      ? 0.3
      : scene.weather === 'clouds'
        ? 0.42
        : scene.weather === 'aurora'
          ? 0.75
          : random.between(0.52, 0.62);
  const clouds = cloudNoise(noise);
  const stretch = (width / height) * 3.2;
  const offset = random.between(0, 250);
  const dark = scene.time === 'night' || scene.weather === 'storm' || scene.weather === 'rain';
  const lit: Colour = dark ? mix(palette.skyMiddle, palette.horizon, 0.5) : mix(palette.horizon, palette.light, 0.6);
  const shadow: Colour = dark
    ? shade(palette.skyTop, -0.35)
    : mix(palette.skyMiddle, shade(palette.skyTop, -0.1), 0.35);
  const sample = (u: number, v: number): number => clouds(offset + u * stretch, v * (3 + 5 * v));
  layTexture(
    stage.ctx,
    { x: 0, y: 0, width, height: horizon },
    (u, v) => mix(lit, shadow, Math.min(1, Math.max(0, (sample(u, v + 0.035) - sample(u, v)) * 5 + 0.42))),
    (u, v) => Math.min(0.92, Math.max(0, (sample(u, v) - cover) * 4.2)) * (1 - v * 0.35),
  );
}
