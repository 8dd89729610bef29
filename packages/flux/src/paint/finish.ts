import { createCanvas, type SKRSContext2D } from '@napi-rs/canvas';
import { type Colour, css, hex } from './colour.ts';
import { drawText, textWidth, writable } from './glyphs.ts';
import { type Noise, noiseFrom } from './noise.ts';
import type { Random } from './random.ts';
import { disc, type Stage } from './stage.ts';
import type { Style } from './vocabulary.ts';

/** Rain, snow, mist and lightning in front of everything. */
export function paintWeather(stage: Stage): void {
  const { ctx, width, height, unit, random, scene, palette } = stage;
  if (scene.weather === 'storm') paintLightning(stage);
  if (scene.weather === 'rain' || scene.weather === 'storm') {
    ctx.lineCap = 'round';
    for (let drop = 0; drop < 420; drop += 1) {
      const x = random() * width * 1.1;
      const y = random() * height;
      const long = unit * random.between(0.02, 0.06);
      ctx.strokeStyle = css([220, 230, 245], random.between(0.08, 0.34));
      ctx.lineWidth = unit * random.between(0.0008, 0.0022);
      ctx.beginPath();
      ctx.moveTo(x, y);
      ctx.lineTo(x - long * 0.22, y + long);
      ctx.stroke();
    }
  }
  if (scene.weather === 'snow') {
    for (let flake = 0; flake < 520; flake += 1) {
      const near = random() ** 3;
      ctx.fillStyle = css([255, 255, 255], 0.35 + 0.55 * random());
      disc(ctx, random() * width, random() * height, unit * (0.0012 + 0.006 * near));
    }
  }
  if (scene.weather === 'fog') {
    const veil = ctx.createLinearGradient(0, height * 0.25, 0, height);
    veil.addColorStop(0, css(palette.horizon, 0));
    veil.addColorStop(0.5, css(palette.horizon, 0.42));
    veil.addColorStop(1, css(palette.horizon, 0.12));
    ctx.fillStyle = veil;
    ctx.fillRect(0, 0, width, height);
  }
}

function paintLightning({ ctx, width, height, unit, random }: Stage): void {
  let x = width * random.between(0.2, 0.8);
  let y = 0;
  const points: [number, number][] = [[x, y]];
  while (y < height * 0.55) {
    x += unit * random.between(-0.05, 0.05);
    y += unit * random.between(0.02, 0.06);
    points.push([x, y]);
  }
  for (const [wide, colour] of [
    [0.02, 'rgba(150, 170, 255, 0.22)'],
    [0.009, 'rgba(200, 215, 255, 0.5)'],
    [0.0032, '#ffffff'],
  ] as const) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = unit * wide;
    ctx.lineJoin = 'round';
    ctx.beginPath();
    for (const [n, point] of points.entries()) n === 0 ? ctx.moveTo(...point) : ctx.lineTo(...point);
    ctx.stroke();
  }
}

/** Writes the quoted words of the prompt onto a board. */
export function paintLettering({ ctx, width, height, unit, scene, palette }: Stage): void {
  const text = writable(scene.lettering ?? '');
  if (text === '') return;
  const size = Math.min(unit * 0.1, (width * 0.78) / textWidth(text));
  const wide = textWidth(text) * size;
  const x = (width - wide) / 2;
  const y = height * 0.12;
  ctx.fillStyle = 'rgba(0, 0, 0, 0.3)';
  ctx.fillRect(x - size * 0.75, y - size * 0.62, wide + size * 1.6, size * 2.4);
  ctx.fillStyle = css(scene.style === 'neon' ? hex('#120a24') : hex('#3a2a1e'));
  ctx.fillRect(x - size * 0.8, y - size * 0.7, wide + size * 1.6, size * 2.4);
  ctx.strokeStyle = css(scene.style === 'neon' ? palette.accent : hex('#c9a26a'));
  ctx.lineWidth = size * 0.08;
  ctx.strokeRect(x - size * 0.68, y - size * 0.58, wide + size * 1.36, size * 2.16);
  const colour = scene.style === 'neon' ? '#ffffff' : '#f6ead2';
  if (scene.style === 'neon') {
    ctx.shadowColor = css(palette.accent);
    ctx.shadowBlur = size * 0.5;
  }
  ctx.strokeStyle = colour;
  drawText(ctx, text, x, y, size);
  ctx.shadowBlur = 0;
}

/** Gives the whole picture the manner that the prompt asks for. */
export function applyStyle(
  ctx: SKRSContext2D,
  width: number,
  height: number,
  style: Style,
  random: Random,
  accent: Colour,
): void {
  switch (style) {
    case 'pixel':
      repaint(ctx, width, height, Math.max(1, Math.round(Math.min(width, height) / 112)));
      return;
    case 'watercolour':
      wetPaper(ctx, width, height, noiseFrom(random()));
      return;
    case 'mono':
      filter(ctx, width, height, 'grayscale(1) contrast(1.18)');
      break;
    case 'vintage':
      filter(ctx, width, height, 'sepia(0.62) contrast(0.92) saturate(0.85)');
      break;
    case 'neon':
      filter(ctx, width, height, 'saturate(1.5) contrast(1.12)');
      bloom(ctx, width, height, accent);
      break;
    case 'poster':
      posterize(ctx, width, height);
      return;
    case 'plain':
      break;
  }
  vignette(ctx, width, height, style === 'vintage' ? 0.55 : 0.3);
}

function repaint(ctx: SKRSContext2D, width: number, height: number, cell: number): void {
  const small = createCanvas(Math.max(1, Math.ceil(width / cell)), Math.max(1, Math.ceil(height / cell)));
  small.getContext('2d').drawImage(ctx.canvas, 0, 0, small.width, small.height);
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(small, 0, 0, small.width * cell, small.height * cell);
  ctx.imageSmoothingEnabled = true;
}

function filter(ctx: SKRSContext2D, width: number, height: number, css: string): void {
  const copy = createCanvas(width, height);
  copy.getContext('2d').drawImage(ctx.canvas, 0, 0);
  ctx.filter = css;
  ctx.drawImage(copy, 0, 0);
  ctx.filter = 'none';
}

function bloom(ctx: SKRSContext2D, width: number, height: number, accent: Colour): void {
  const copy = createCanvas(width, height);
  copy.getContext('2d').drawImage(ctx.canvas, 0, 0);
  ctx.save();
  ctx.globalCompositeOperation = 'screen';
  ctx.globalAlpha = 0.55;
  ctx.filter = `blur(${Math.max(1, Math.min(width, height) / 70)}px)`;
  ctx.drawImage(copy, 0, 0);
  ctx.filter = 'none';
  ctx.globalAlpha = 0.12;
  ctx.fillStyle = css(accent);
  ctx.fillRect(0, 0, width, height);
  ctx.restore();
}

/** Colours run, dry at the edges, and the paper shows through. */
function wetPaper(ctx: SKRSContext2D, width: number, height: number, noise: Noise): void {
  const soft = createCanvas(width, height);
  const softContext = soft.getContext('2d');
  softContext.filter = `blur(${Math.max(1, Math.min(width, height) / 160)}px) saturate(1.18)`;
  softContext.drawImage(ctx.canvas, 0, 0);
  const from = softContext.getImageData(0, 0, width, height);
  const to = ctx.createImageData(width, height);
  const unit = Math.min(width, height);
  const levels = 13;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const run = (noise((x / unit) * 38, (y / unit) * 38) - 0.5) * unit * 0.02;
      const sourceX = Math.min(width - 1, Math.max(0, Math.round(x + run)));
      const sourceY = Math.min(height - 1, Math.max(0, Math.round(y + run)));
      const source = (sourceY * width + sourceX) * 4;
      const place = (y * width + x) * 4;
      const paper = 0.1 + 0.1 * noise((x / unit) * 260, (y / unit) * 260);
      for (let channel = 0; channel < 3; channel += 1) {
        const value = from.data[source + channel] ?? 0;
        const flat = Math.round((value / 255) * levels) * (255 / levels);
        to.data[place + channel] = (value * 0.45 + flat * 0.55) * (1 - paper) + 250 * paper + 8;
      }
      to.data[place + 3] = 255;
    }
  }
  ctx.putImageData(to, 0, 0);
  ctx.strokeStyle = 'rgba(250, 246, 236, 0.95)';
  ctx.lineWidth = unit * 0.045;
  ctx.strokeRect(0, 0, width, height);
}

function posterize(ctx: SKRSContext2D, width: number, height: number): void {
  const image = ctx.getImageData(0, 0, width, height);
  const table = Uint8ClampedArray.from({ length: 256 }, (_, value) => Math.round((value / 255) * 6) * (255 / 6));
  for (let n = 0; n < image.data.length; n += 1) if (n % 4 !== 3) image.data[n] = table[image.data[n] ?? 0] ?? 0;
  ctx.putImageData(image, 0, 0);
}

function vignette(ctx: SKRSContext2D, width: number, height: number, strength: number): void {
  const reach = Math.hypot(width, height) / 2;
  const gradient = ctx.createRadialGradient(width / 2, height / 2, reach * 0.55, width / 2, height / 2, reach);
  gradient.addColorStop(0, 'rgba(8, 6, 16, 0)');
  gradient.addColorStop(1, `rgba(8, 6, 16, ${strength})`);
  ctx.fillStyle = gradient;
  ctx.fillRect(0, 0, width, height);
}

/** The words that every drawing carries (spec: flux §2), with the beginning of the prompt when there is room. */
export const MARK = 'PREVIEW, NOT FLUX';

export function paintMark(ctx: SKRSContext2D, width: number, height: number, prompt: string): void {
  // As large as is readable, and never wider than the picture.
  const size = Math.min(Math.max(8, Math.min(width, height) * 0.02), (width * 0.86) / textWidth(MARK));
  const pad = size * 0.75;
  const strip = size + pad * 2;
  const top = height - strip;
  // Nearly opaque: an edited picture carries the strip of its source below.
  ctx.fillStyle = 'rgba(12, 12, 18, 0.9)';
  ctx.fillRect(0, top, width, strip);
  ctx.strokeStyle = '#ffd45e';
  drawText(ctx, MARK, pad, top + pad, size);
  const from = pad * 3 + textWidth(MARK) * size;
  const room = Math.floor((width - from - pad) / ((textWidth('AA') - textWidth('A')) * size * 0.8));
  const caption = writable(prompt);
  if (room < 8 || caption === '') return;
  ctx.strokeStyle = 'rgba(255, 255, 255, 0.78)';
  const text = caption.length <= room ? caption : `${caption.slice(0, room - 3).trimEnd()}...`;
  drawText(ctx, text, from, top + pad + size * 0.1, size * 0.8, 0.11);
}
