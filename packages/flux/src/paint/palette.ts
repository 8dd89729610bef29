import { type Colour, grey, hex, hsl, mix, shade } from './colour.ts';
import type { Random } from './random.ts';
import type { Scene } from './scene.ts';
import type { Time } from './vocabulary.ts';

/** The colours of a drawing. */
export interface Palette {
  skyTop: Colour;
  skyMiddle: Colour;
  horizon: Colour;
  /** Sun, moon, lamps and lit edges. */
  light: Colour;
  /** The most distant and the nearest land; what lies between is mixed from them. */
  far: Colour;
  near: Colour;
  ground: Colour;
  water: Colour;
  accent: Colour;
  dark: boolean;
}

type Row = readonly [
  top: string,
  middle: string,
  horizon: string,
  light: string,
  far: string,
  near: string,
  ground: string,
  water: string,
];

const SKIES: Readonly<Record<Time, readonly [Row, ...Row[]]>> = {
  day: [
    ['#2f7fd0', '#86c0ec', '#e4f2f5', '#fff7dc', '#9fbacb', '#264f3c', '#6f9c4c', '#2f78a8'],
    ['#3a72c4', '#8fb6e4', '#f4ecd8', '#fff3cf', '#a9b6c4', '#35513a', '#8aa350', '#3a83a0'],
  ],
  dawn: [
    ['#5566b0', '#d699b8', '#ffe3c4', '#ffdcb0', '#b3a2c0', '#39415f', '#7b7f6c', '#9a8fb4'],
    ['#3f78a8', '#b9c6d8', '#ffe9d6', '#ffe6bd', '#a9b4c6', '#2f4a5a', '#74866c', '#8fb0c0'],
  ],
  sunset: [
    ['#33275f', '#cf4f68', '#ffb65e', '#ffd884', '#a35a77', '#22152e', '#4b303c', '#7d4a66'],
    ['#20305f', '#c8653f', '#ffcf6a', '#ffe19a', '#97604f', '#261a22', '#5a3a2c', '#6f4b56'],
  ],
  night: [
    ['#050919', '#101f45', '#2c4675', '#e2eaff', '#27385f', '#060a14', '#0e1822', '#122546'],
    ['#0b0720', '#241a52', '#4a3577', '#efe6ff', '#352b60', '#090616', '#15122a', '#1b1a48'],
  ],
};

/** Time and weather give the base, the words for colours pull it their way, and the seed moves it a little. */
export function paletteOf(scene: Scene, random: Random): Palette {
  const colours = random.pick(SKIES[scene.time]).map(hex) as [
    Colour,
    Colour,
    Colour,
    Colour,
    Colour,
    Colour,
    Colour,
    Colour,
  ];
  const tint = scene.tints[0];
  const turned = colours.map((colour, n) => {
    let result = colour;
    if (scene.weather === 'storm' || scene.weather === 'rain') result = mix(grey(result), shade(result, -0.25), 0.45);
    if (scene.weather === 'fog') result = mix(result, scene.time === 'night' ? hex('#3a4658') : hex('#cfd6da'), 0.45);
    if (scene.weather === 'snow' && n === 6) result = scene.time === 'night' ? hex('#7f93b8') : hex('#eef3f8');
    if (scene.weather === 'snow' && n !== 3) result = mix(result, hex('#b9cde0'), 0.18);
    // The light keeps its colour, else nothing would look lit.
    if (tint && n !== 3) result = mix(result, shade(tint, (lightness(result) - lightness(tint)) * 0.9), 0.42);
    return result;
  });
  const [skyTop, skyMiddle, horizon, light, far, near, ground, water] = turned as typeof colours;
  return {
    skyTop,
    skyMiddle,
    horizon,
    light,
    far,
    near,
    ground,
    water,
    accent: scene.tints[1] ?? tint ?? hsl(random.between(0, 360), 0.72, 0.56),
    dark: scene.time === 'night' || scene.weather === 'storm',
  };
}

function lightness(colour: Colour): number {
  return grey(colour)[0] / 255;
}
