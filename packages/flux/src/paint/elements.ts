import { type Colour, css, mix, shade } from './colour.ts';
import type { Light } from './sky.ts';
import { type Stage, wash } from './stage.ts';

/** Water from the horizon down, with the light on it; `mirror` turns what stands above upside down into it. */
export function paintWater(stage: Stage, horizon: number, light: Light, mirror: boolean): void {
  const { ctx, width, height, palette, random } = stage;
  const deep = height - horizon;
  if (mirror) {
    ctx.save();
    ctx.translate(0, horizon * 2);
    ctx.scale(1, -1);
    // Only what stands right above the water is near enough to be seen in it.
    const above = Math.min(horizon, deep);
    ctx.drawImage(ctx.canvas, 0, horizon - above, width, above, 0, horizon - above, width, above);
    ctx.restore();
    wash(stage, horizon, height, [
      [0, palette.water, 0.25],
      [1, shade(palette.water, -0.35), 0.85],
    ]);
  } else {
    wash(stage, horizon, height, [
      [0, mix(palette.water, palette.horizon, 0.5)],
      [0.3, palette.water],
      [1, shade(palette.water, -0.5)],
    ]);
  }
  const rows = 90;
  for (let row = 0; row < rows; row += 1) {
    const depth = (row / rows) ** 1.7;
    const y = horizon + deep * depth;
    const strokes = 16;
    for (let stroke = 0; stroke < strokes; stroke += 1) {
      const x = random() * width;
      const long = width * (0.012 + 0.09 * depth) * random.between(0.5, 1.4);
      const bright = random() < 0.5;
      ctx.fillStyle = css(
        bright ? mix(palette.water, palette.horizon, 0.75) : shade(palette.water, -0.4),
        mirror ? 0.13 : 0.2,
      );
      ctx.beginPath();
      ctx.ellipse(x, y, long, deep * (0.0016 + 0.007 * depth), 0, 0, Math.PI * 2);
      ctx.fill();
    }
    // The path of light widens towards the viewer.
    for (let spark = 0; spark < 5; spark += 1) {
      const reach = width * (0.015 + 0.08 * depth);
      const x = light.x + (random() + random() - 1) * reach;
      ctx.fillStyle = css(palette.light, random.between(0.12, 0.6));
      ctx.beginPath();
      ctx.ellipse(x, y, width * (0.004 + 0.018 * depth) * random(), deep * (0.0014 + 0.005 * depth), 0, 0, Math.PI * 2);
      ctx.fill();
    }
  }
}

/** @param x, y the foot; @param tall its height */
export function paintPine(stage: Stage, x: number, y: number, tall: number, colour: Colour): void {
  const { ctx, random } = stage;
  ctx.fillStyle = css(colour);
  ctx.fillRect(x - tall * 0.02, y - tall * 0.15, tall * 0.04, tall * 0.17);
  const tiers = 6;
  ctx.beginPath();
  ctx.moveTo(x, y - tall);
  for (let tier = 1; tier <= tiers; tier += 1) {
    const reach = tall * 0.05 + tall * 0.17 * (tier / tiers) * random.between(0.85, 1.15);
    const level = y - tall + (tall * 0.9 * tier) / tiers;
    ctx.lineTo(x + reach, level);
    ctx.lineTo(x + reach * 0.5, level - tall * 0.03);
  }
  for (let tier = tiers; tier >= 1; tier -= 1) {
    const reach = tall * 0.05 + tall * 0.17 * (tier / tiers) * random.between(0.85, 1.15);
    const level = y - tall + (tall * 0.9 * tier) / tiers;
    ctx.lineTo(x - reach * 0.5, level - tall * 0.03);
    ctx.lineTo(x - reach, level);
  }
  ctx.closePath();
  ctx.fill();
}
