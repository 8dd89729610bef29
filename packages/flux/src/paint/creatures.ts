import { css, hex, mix, shade } from './colour.ts';
import { DARK, dot, type Figure, fill, line, PALE } from './pen.ts';

export const cat: Figure = (stage, main) => {
  line(stage, 'M70 94 C94 96 96 72 84 60', shade(main, -0.15), 8);
  fill(stage, 'M26 100 C20 72 34 50 50 50 C66 50 80 72 74 100 Z', main);
  fill(stage, 'M40 100 C38 82 44 68 50 68 C56 68 62 82 60 100 Z', shade(main, 0.45), 0.8);
  fill(stage, 'M31 30 L32 4 L49 18 Z M69 30 L68 4 L51 18 Z', shade(main, -0.12));
  fill(stage, 'M35 22 L35 11 L43 19 Z M65 22 L65 11 L57 19 Z', hex('#e79aa0'), 0.8);
  fill(
    stage,
    'M28 36 C28 20 40 14 50 14 C60 14 72 20 72 36 C72 52 60 58 50 58 C40 58 28 52 28 36 Z',
    shade(main, 0.08),
  );
  for (const x of [41, 59]) {
    stage.ctx.fillStyle = css(hex('#b8d94a'));
    stage.ctx.beginPath();
    stage.ctx.ellipse(x, 34, 5, 5.6, 0, 0, 7);
    stage.ctx.fill();
    stage.ctx.fillStyle = css(DARK);
    stage.ctx.beginPath();
    stage.ctx.ellipse(x, 34, 1.7, 5, 0, 0, 7);
    stage.ctx.fill();
    dot(stage, x + 1.6, 31.6, 1.1, PALE);
  }
  fill(stage, 'M47 43 L53 43 L50 46.5 Z', hex('#d9727e'));
  line(stage, 'M50 46.5 Q46 51 43 48 M50 46.5 Q54 51 57 48', DARK, 0.9);
  line(stage, 'M36 44 L20 41 M36 47 L21 49 M64 44 L80 41 M64 47 L79 49', shade(main, 0.6), 0.6);
  line(stage, 'M44 18 L45 25 M50 16 L50 24 M56 18 L55 25', shade(main, -0.4), 1.6);
};

export const fox: Figure = (stage, main) => {
  fill(stage, 'M62 98 C92 104 104 74 88 52 C90 72 78 82 64 84 Z', shade(main, -0.1));
  fill(stage, 'M90 56 C104 74 96 86 90 90 C94 76 92 66 88 52 Z', PALE);
  fill(stage, 'M28 100 C24 74 36 52 50 52 C64 52 76 74 72 100 Z', main);
  fill(stage, 'M38 60 C44 82 56 82 62 60 C58 92 54 98 50 98 C46 98 42 92 38 60 Z', PALE);
  fill(stage, 'M24 38 L26 4 L46 22 Z M76 38 L74 4 L54 22 Z', shade(main, -0.2));
  fill(stage, 'M28 26 L29 12 L39 22 Z M72 26 L71 12 L61 22 Z', DARK);
  fill(
    stage,
    'M22 36 C30 18 42 18 50 20 C58 18 70 18 78 36 C70 50 58 56 50 66 C42 56 30 50 22 36 Z',
    shade(main, 0.06),
  );
  fill(
    stage,
    'M22 37 C32 42 42 44 47 54 L50 66 C42 56 30 50 22 37 Z M78 37 C68 42 58 44 53 54 L50 66 C58 56 70 50 78 37 Z',
    PALE,
  );
  dot(stage, 39, 37, 3, DARK);
  dot(stage, 61, 37, 3, DARK);
  dot(stage, 40, 36, 0.9, PALE);
  dot(stage, 62, 36, 0.9, PALE);
  dot(stage, 50, 63, 3.6, DARK);
  fill(stage, 'M34 100 L36 86 L44 86 L44 100 Z M56 100 L56 86 L64 86 L66 100 Z', DARK);
};

export const bird: Figure = (stage, main) => {
  fill(stage, 'M2 42 C20 22 38 34 50 52 C62 34 80 22 98 42 C80 38 66 48 56 60 Q50 66 44 60 C34 48 20 38 2 42 Z', main);
  fill(stage, 'M44 56 Q50 50 56 56 L52 70 Q50 73 48 70 Z', shade(main, -0.2));
};

export const butterfly: Figure = (stage, main) => {
  fill(stage, 'M50 50 C34 10 2 8 6 34 C8 52 34 56 50 54 Z M50 50 C66 10 98 8 94 34 C92 52 66 56 50 54 Z', main);
  fill(
    stage,
    'M50 54 C30 54 14 68 24 84 C34 96 46 76 50 60 Z M50 54 C70 54 86 68 76 84 C66 96 54 76 50 60 Z',
    shade(main, -0.25),
  );
  for (const x of [22, 78]) dot(stage, x, 32, 7, shade(main, 0.55));
  for (const x of [32, 68]) dot(stage, x, 74, 5, shade(main, 0.5));
  fill(stage, 'M47 40 Q50 34 53 40 L52 84 Q50 88 48 84 Z', DARK);
  line(stage, 'M49 40 Q42 26 36 22 M51 40 Q58 26 64 22', DARK, 1.4);
};

export const fish: Figure = (stage, main) => {
  fill(
    stage,
    'M78 50 L100 28 C96 44 96 56 100 72 Z M40 32 C50 12 64 16 66 34 Z M46 68 C52 82 62 82 64 66 Z',
    shade(main, -0.22),
  );
  fill(stage, 'M4 50 C20 22 62 22 84 50 C62 78 20 78 4 50 Z', main);
  fill(stage, 'M6 52 C24 74 60 74 82 52 C60 66 26 66 6 52 Z', shade(main, 0.5), 0.7);
  fill(
    stage,
    'M36 30 C44 42 44 58 36 70 L43 71 C51 58 51 42 43 29 Z M58 31 C64 42 64 58 58 69 L64 66 C69 57 69 43 64 34 Z',
    PALE,
    0.85,
  );
  dot(stage, 21, 46, 5, PALE);
  dot(stage, 20, 46, 2.7, DARK);
};

export const person: Figure = (stage, main) => {
  const { palette } = stage;
  const skin = mix(
    hex(stage.random.pick(['#f0c7a4', '#c98d63', '#8a5a3c'])),
    palette.skyMiddle,
    palette.dark ? 0.4 : 0.1,
  );
  fill(
    stage,
    'M43 62 L41 98 L36 100 L48 100 L50 70 L52 100 L64 100 L59 98 L57 62 Z',
    shade(mix(hex('#2d3446'), palette.near, 0.4), 0),
  );
  fill(stage, 'M40 30 C44 26 56 26 60 30 L63 66 L37 66 Z', main);
  line(stage, 'M41 33 L33 50 L36 60 M59 33 L67 50 L64 60', shade(main, -0.15), 5.5);
  dot(stage, 36, 61.5, 3, skin);
  dot(stage, 64, 61.5, 3, skin);
  fill(stage, 'M47 20 h6 v9 h-6 Z', shade(skin, -0.15));
  dot(stage, 50, 15, 8.6, skin);
  fill(stage, 'M41 15 C39 2 61 2 59 15 C56 9 46 8 41 15 Z', hex('#3a261b'));
};

export const astronaut: Figure = (stage, main) => {
  const suit = mix(hex('#eef0f4'), main, 0.1);
  fill(stage, 'M30 40 h40 v34 h-40 Z', hex('#9aa2ae'));
  line(stage, 'M36 50 L20 62 L26 74 M64 50 L80 60 L86 48', suit, 11);
  line(stage, 'M43 74 L40 94 M57 74 L62 93', suit, 12);
  fill(stage, 'M34 44 C38 38 62 38 66 44 L66 76 C60 82 40 82 34 76 Z', suit);
  fill(stage, 'M42 54 h16 v12 h-16 Z', shade(suit, -0.35));
  dot(stage, 46, 58, 1.8, hex('#e2372f'));
  dot(stage, 52, 58, 1.8, hex('#4fc3f7'));
  dot(stage, 50, 24, 19, suit);
  const glass = stage.ctx.createLinearGradient(36, 12, 64, 40);
  glass.addColorStop(0, css(hex('#ffcf7a')));
  glass.addColorStop(0.5, css(hex('#b0662b')));
  glass.addColorStop(1, css(hex('#1d1b33')));
  stage.ctx.fillStyle = glass;
  stage.ctx.beginPath();
  stage.ctx.ellipse(50, 25, 14.5, 12.5, 0, 0, 7);
  stage.ctx.fill();
  fill(stage, 'M40 20 q4 -5 9 -6 q-3 4 -6 9 Z', PALE, 0.75);
  fill(stage, 'M34 92 h13 v6 h-14 Z M56 91 h13 v7 h-14 Z', hex('#707887'));
};

export const robot: Figure = (stage, main) => {
  const metal = mix(main, hex('#aab3bd'), 0.35);
  line(stage, 'M50 14 V4', DARK, 1.6);
  dot(stage, 50, 4, 3, hex('#ff5247'));
  fill(stage, 'M30 14 h40 q4 0 4 4 v24 q0 4 -4 4 h-40 q-4 0 -4 -4 v-24 q0 -4 4 -4 Z', shade(metal, 0.16));
  fill(stage, 'M32 20 h36 v16 q0 3 -3 3 h-30 q-3 0 -3 -3 Z', DARK);
  for (const x of [41, 59]) {
    dot(stage, x, 29, 5.4, hex('#4fe3ff'));
    dot(stage, x, 29, 2.4, PALE);
  }
  fill(stage, 'M45 46 h10 v5 h-10 Z M8 56 h12 v26 q-6 6 -12 0 Z M80 56 h12 v26 q-6 6 -12 0 Z', shade(metal, -0.3));
  fill(stage, 'M22 51 h56 q4 0 4 4 v22 q0 8 -8 8 h-48 q-8 0 -8 -8 v-22 q0 -4 4 -4 Z', metal);
  fill(stage, 'M38 58 h24 v14 h-24 Z', shade(metal, -0.55));
  line(stage, 'M40 66 l5 -4 l4 6 l5 -7 l6 4', hex('#67f08a'), 1.2);
  fill(stage, 'M32 85 h12 v15 h-14 Z M56 85 h12 l2 15 h-14 Z', shade(metal, -0.3));
};

export const portrait: Figure = (stage, main) => {
  const { random, palette } = stage;
  const skin = mix(hex(random.pick(['#f2c9a8', '#dba77c', '#a8714c', '#6f4630'])), palette.light, 0.06);
  const hair = hex(random.pick(['#2a1c16', '#5b371f', '#a4622c', '#d8b46a', '#3b3b44', '#8d2f23']));
  const eyes = hex(random.pick(['#3b5a78', '#4a6b3c', '#5a3a22']));
  const long = random() < 0.55;
  if (long) fill(stage, 'M22 40 C18 4 82 4 78 40 C82 66 88 84 80 100 L20 100 C12 84 18 66 22 40 Z', shade(hair, -0.15));
  fill(stage, 'M4 100 C8 82 28 78 40 74 L60 74 C72 78 92 82 96 100 Z', main);
  fill(stage, 'M40 60 L60 60 L60 74 Q50 86 40 74 Z', shade(skin, -0.2));
  fill(stage, 'M28 38 C28 14 72 14 72 38 C72 58 62 72 50 72 C38 72 28 58 28 38 Z', skin);
  fill(stage, 'M52 16 C72 18 74 40 70 52 C66 64 58 72 50 72 C60 62 62 36 52 16 Z', DARK, 0.1);
  for (const [x, side] of [
    [40, -1],
    [60, 1],
  ] as const) {
    fill(stage, `M${x - 6} 41 Q${x} 36 ${x + 6} 41 Q${x} 45 ${x - 6} 41 Z`, PALE);
    dot(stage, x, 40.8, 2.7, eyes);
    dot(stage, x, 40.8, 1.3, DARK);
    dot(stage, x + 0.9, 39.9, 0.6, PALE);
    line(stage, `M${x - 6.5} ${35 + side * 0.2} Q${x} 30.5 ${x + 6.5} ${35 - side * 0.2}`, hair, 1.7);
    dot(stage, x + side * 3, 51, 4.6, hex('#e06a5a'), 0.22);
  }
  line(stage, 'M50 42 C48.5 48 46.5 51 48 52.6 Q50 53.8 52.4 52.4', shade(skin, -0.3), 1.1);
  fill(stage, 'M42.5 60 Q46.5 57 50 58.6 Q53.5 57 57.5 60 Q50 66 42.5 60 Z', mix(hex('#b8434a'), skin, 0.25));
  line(stage, 'M42.5 60 Q50 62 57.5 60', shade(hex('#b8434a'), -0.4), 0.7);
  fill(stage, 'M25 44 C20 8 44 6 52 10 C72 6 80 22 75 44 C72 32 66 26 56 24 C46 30 32 28 25 44 Z', hair);
};
