import { Path2D } from '@napi-rs/canvas';
import { css, hex, mix, shade } from './colour.ts';
import { DARK, dot, type Figure, fill, line, PALE } from './pen.ts';

export const tree: Figure = (stage, main) => {
  const { random, palette } = stage;
  fill(
    stage,
    'M44 100 C48 80 46 66 40 50 L45 52 L49 62 L50 44 L54 60 L62 48 C56 66 54 82 58 100 Z',
    mix(hex('#4a3324'), palette.near, 0.3),
  );
  for (let leaf = 0; leaf < 70; leaf += 1) {
    const angle = random() * Math.PI * 2;
    const reach = Math.sqrt(random());
    const x = 50 + Math.cos(angle) * 38 * reach;
    const y = 34 + Math.sin(angle) * 29 * reach;
    dot(stage, x, y, random.between(5, 10), shade(main, (34 - y) / 90 + random.between(-0.16, 0.12)), 0.92);
  }
};

export const house: Figure = (stage, main) => {
  const { palette } = stage;
  const roof = shade(main, -0.35);
  const window = palette.dark ? hex('#ffd680') : mix(hex('#9fd0e6'), palette.skyMiddle, 0.4);
  fill(stage, 'M66 30 L66 14 L75 14 L75 38 Z', hex('#7a4a3a'));
  fill(stage, 'M16 50 L84 50 L84 100 L16 100 Z', mix(PALE, main, 0.18));
  fill(stage, 'M62 50 L84 50 L84 100 L62 100 Z', DARK, 0.12);
  fill(stage, 'M8 54 L34 20 L66 20 L92 54 Z', roof);
  line(stage, 'M12 48 L88 48 M18 40 L82 40 M25 32 L75 32', shade(roof, -0.25), 0.8);
  fill(stage, 'M43 100 L43 72 Q50 64 57 72 L57 100 Z', shade(main, -0.5));
  for (const x of [23, 65]) {
    fill(stage, `M${x} 64 h13 v16 h-13 Z`, window);
    line(stage, `M${x} 64 h13 v16 h-13 Z M${x + 6.5} 64 v16 M${x} 72 h13`, PALE, 1.4);
  }
  dot(stage, 54, 86, 1.1, hex('#e2c069'));
};

export const castle: Figure = (stage, main) => {
  const stone = mix(main, hex('#9a958f'), 0.35);
  const lit = stage.palette.dark ? hex('#ffd680') : DARK;
  fill(
    stage,
    'M14 100 V60 h6 v5 h6 v-5 h6 v5 h6 v-5 h6 v5 h6 v-5 h6 v5 h6 v-5 h6 v5 h6 v-5 h6 v5 h6 v-5 h6 V100 Z',
    stone,
  );
  for (const [x, top, wide] of [
    [8, 44, 16],
    [76, 44, 16],
    [38, 26, 24],
  ] as const) {
    fill(stage, `M${x} 100 V${top} h${wide} V100 Z`, shade(stone, x === 38 ? 0.1 : -0.06));
    fill(stage, `M${x + wide * 0.62} 100 V${top} h${wide * 0.38} V100 Z`, DARK, 0.14);
    fill(stage, `M${x - 3} ${top} L${x + wide / 2} ${top - wide * 1.1} L${x + wide + 3} ${top} Z`, shade(main, -0.4));
    line(stage, `M${x + wide / 2} ${top - wide * 1.1} v-8`, DARK, 0.9);
    fill(stage, `M${x + wide / 2} ${top - wide * 1.1 - 8} l9 3 l-9 3 Z`, hex('#c9352f'));
    fill(
      stage,
      `M${x + wide / 2 - 2} ${top + 18} v-7 q2 -4 4 0 v7 Z M${x + wide / 2 - 2} ${top + 36} v-7 q2 -4 4 0 v7 Z`,
      lit,
    );
  }
  fill(stage, 'M43 100 V82 Q50 72 57 82 V100 Z', DARK);
};

export const lighthouse: Figure = (stage, main) => {
  const { ctx, palette } = stage;
  const rock = mix(hex('#4c4a50'), palette.near, 0.45);
  fill(stage, 'M4 100 C14 84 26 88 34 82 C48 76 60 78 70 84 C82 86 92 92 98 100 Z', rock);
  fill(stage, 'M41 86 L45 24 L55 24 L59 86 Z', PALE);
  for (const [from, to] of [
    [30, 40],
    [52, 62],
    [74, 84],
  ] as const) {
    const at = (y: number): number => 5 + ((y - 24) / 62) * 4;
    fill(
      stage,
      `M${50 - at(from)} ${from} L${50 + at(from)} ${from} L${50 + at(to)} ${to} L${50 - at(to)} ${to} Z`,
      main,
    );
  }
  fill(stage, 'M51 24 L55 24 L59 86 L52 86 Z', DARK, 0.16);
  fill(stage, 'M42 22 h16 v3 h-16 Z M44 8 L50 2 L56 8 Z', DARK);
  fill(stage, 'M45.5 9 h9 v13 h-9 Z', hex('#ffe9a6'));
  ctx.save();
  ctx.globalCompositeOperation = 'screen';
  for (const [x, y] of [
    [190, -18],
    [190, 26],
    [-90, -12],
    [-90, 30],
  ] as const) {
    const beam = ctx.createLinearGradient(50, 15, x, y);
    beam.addColorStop(0, css(hex('#ffeec0'), palette.dark ? 0.5 : 0.2));
    beam.addColorStop(1, css(hex('#ffeec0'), 0));
    ctx.fillStyle = beam;
    ctx.fill(new Path2D(`M50 15 L${x} ${y} L${x} ${y + 16} Z`));
  }
  ctx.restore();
};

export const boat: Figure = (stage, main) => {
  fill(stage, 'M14 78 L88 78 C84 92 78 98 68 98 L34 98 C24 98 18 90 14 78 Z', shade(main, -0.25));
  fill(stage, 'M14 78 L88 78 L86.5 83 L15.5 83 Z', shade(main, 0.25));
  line(stage, 'M50 78 L50 4', hex('#5a3c26'), 2);
  fill(stage, 'M53 8 C74 30 82 54 82 72 L53 72 Z', mix(PALE, main, 0.08));
  fill(stage, 'M47 16 C34 36 26 54 22 72 L47 72 Z', mix(PALE, main, 0.3));
  fill(stage, 'M50 4 l10 3 l-10 3 Z', hex('#c9352f'));
};

export const car: Figure = (stage, main) => {
  fill(stage, 'M4 90 C2 74 8 66 22 64 L34 48 C38 44 44 43 52 43 L64 43 C72 43 76 47 82 62 C94 64 98 70 97 90 Z', main);
  fill(
    stage,
    'M28 64 L38 51 C40 48 43 47.5 47 47.5 L49 47.5 L49 64 Z M53 64 L53 47.5 L64 47.5 C69 47.5 72 52 76 64 Z',
    mix(hex('#9fc7dc'), stage.palette.skyMiddle, 0.4),
  );
  fill(stage, 'M4 82 L97 82 L97 90 L4 90 Z', shade(main, -0.45));
  line(stage, 'M51 48 L51 84 M58 70 h5', shade(main, -0.35), 0.9);
  fill(stage, 'M4 70 q6 -1 7 6 h-7 Z', hex('#fff0b8'));
  fill(stage, 'M97 70 q-5 0 -5 6 h5 Z', hex('#e2372f'));
  for (const x of [24, 77]) {
    dot(stage, x, 90, 10.5, DARK);
    dot(stage, x, 90, 5.6, hex('#b9bec6'));
    dot(stage, x, 90, 2, DARK);
  }
};

export const rocket: Figure = (stage, main) => {
  const { ctx } = stage;
  const flame = ctx.createLinearGradient(0, 74, 0, 106);
  flame.addColorStop(0, css(hex('#fff6c8')));
  flame.addColorStop(0.4, css(hex('#ffad33'), 0.9));
  flame.addColorStop(1, css(hex('#ff4b2b'), 0));
  ctx.fillStyle = flame;
  ctx.fill(new Path2D('M42 74 C38 90 46 96 50 108 C54 96 62 90 58 74 Z'));
  fill(stage, 'M36 52 C24 60 22 70 24 82 L38 72 Z M64 52 C76 60 78 70 76 82 L62 72 Z', shade(main, -0.1));
  fill(stage, 'M50 0 C68 18 68 52 61 76 L39 76 C32 52 32 18 50 0 Z', PALE);
  fill(stage, 'M54 4 C68 22 67 52 61 76 L53 76 C60 50 60 24 54 4 Z', DARK, 0.16);
  fill(stage, 'M50 0 C57 7 61 15 62.6 22 L37.4 22 C39 15 43 7 50 0 Z', main);
  dot(stage, 50, 36, 8, shade(main, -0.3));
  dot(stage, 50, 36, 5.6, hex('#8fd3ee'));
  dot(stage, 48, 34, 1.8, PALE, 0.9);
  fill(stage, 'M47 56 h6 v24 q-3 4 -6 0 Z', main);
};

export const flower: Figure = (stage, main) => {
  line(stage, 'M50 42 C52 62 48 80 50 100', hex('#3d7a3a'), 3);
  fill(
    stage,
    'M50 84 C36 84 28 74 26 64 C38 64 48 72 50 84 Z M50 76 C62 76 72 68 74 58 C62 58 52 66 50 76 Z',
    hex('#4c9444'),
  );
  for (let ring = 0; ring < 2; ring += 1) {
    const petals = 9;
    for (let petal = 0; petal < petals; petal += 1) {
      stage.ctx.save();
      stage.ctx.translate(50, 32);
      stage.ctx.rotate(((petal + ring / 2) / petals) * Math.PI * 2);
      fill(
        stage,
        ring === 0
          ? 'M0 -6 C-11 -14 -9 -30 0 -32 C9 -30 11 -14 0 -6 Z'
          : 'M0 -4 C-8 -10 -7 -20 0 -22 C7 -20 8 -10 0 -4 Z',
        shade(main, ring === 0 ? -0.12 : 0.16),
      );
      stage.ctx.restore();
    }
  }
  dot(stage, 50, 32, 8, hex('#e6a829'));
  dot(stage, 48.5, 30.5, 5, hex('#f5cb5c'));
};

export const mushroom: Figure = (stage, main) => {
  fill(stage, 'M40 56 C42 76 38 90 34 100 L66 100 C62 90 58 76 60 56 Z', PALE);
  fill(stage, 'M52 56 L60 56 C58 76 62 90 66 100 L54 100 Z', DARK, 0.12);
  fill(stage, 'M8 56 C10 26 30 12 50 12 C70 12 90 26 92 56 C78 66 22 66 8 56 Z', main);
  fill(stage, 'M14 59 C34 66 66 66 86 59 C74 68 26 68 14 59 Z', shade(main, -0.45));
  for (const [x, y, radius] of [
    [30, 36, 6.5],
    [52, 24, 5],
    [68, 40, 7.5],
    [46, 46, 4.5],
    [82, 52, 3.6],
    [19, 51, 3.8],
  ] as const)
    dot(stage, x, y, radius, PALE);
};

export const balloon: Figure = (stage, main) => {
  const { ctx } = stage;
  line(stage, 'M38 66 L45 84 M62 66 L55 84 M50 68 V84', DARK, 0.8);
  const skin = new Path2D('M50 2 C78 2 88 24 84 40 C80 54 66 62 60 70 L40 70 C34 62 20 54 16 40 C12 24 22 2 50 2 Z');
  ctx.save();
  ctx.clip(skin);
  for (let gore = 0; gore < 7; gore += 1) {
    const edge = (n: number): number => 50 + 37 * Math.sin(((n - 3.5) / 3.5) * (Math.PI / 2));
    ctx.fillStyle = css(gore % 2 === 0 ? main : mix(PALE, main, 0.12));
    ctx.fill(
      new Path2D(
        `M50 0 Q${edge(gore)} 20 ${edge(gore)} 36 Q${edge(gore)} 56 ${50 + (gore - 3.5) * 3} 74 L${50 + (gore - 2.5) * 3} 74 Q${edge(gore + 1)} 56 ${edge(gore + 1)} 36 Q${edge(gore + 1)} 20 50 0 Z`,
      ),
    );
  }
  const shadow = ctx.createLinearGradient(16, 0, 86, 0);
  shadow.addColorStop(0, 'rgba(255, 255, 255, 0.25)');
  shadow.addColorStop(0.45, 'rgba(255, 255, 255, 0)');
  shadow.addColorStop(1, 'rgba(20, 10, 40, 0.45)');
  ctx.fillStyle = shadow;
  ctx.fillRect(0, 0, 100, 80);
  ctx.restore();
  fill(stage, 'M43 84 h14 l-2 13 h-10 Z', hex('#7d5233'));
  line(stage, 'M43 88 h14 M44 92 h12', hex('#4f3320'), 0.8);
};

export const cup: Figure = (stage, main) => {
  line(stage, 'M72 58 C92 54 92 82 70 82', shade(main, -0.1), 6);
  fill(stage, 'M12 96 C12 90 88 90 88 96 C88 102 12 102 12 96 Z', shade(main, -0.25));
  fill(stage, 'M22 50 L76 50 C76 78 70 94 60 96 L38 96 C28 94 22 78 22 50 Z', main);
  fill(stage, 'M58 50 L76 50 C76 78 70 94 60 96 L54 96 C60 84 60 66 58 50 Z', DARK, 0.14);
  fill(stage, 'M22 50 C22 43 76 43 76 50 C76 57 22 57 22 50 Z', shade(main, 0.35));
  fill(stage, 'M26 50 C26 45.5 72 45.5 72 50 C72 54.5 26 54.5 26 50 Z', hex('#4a2a17'));
  stage.ctx.globalAlpha = 0.4;
  line(stage, 'M38 40 C32 30 44 24 38 12 M50 38 C44 28 56 20 50 6 M62 40 C56 30 68 24 62 12', PALE, 2.2);
  stage.ctx.globalAlpha = 1;
};
