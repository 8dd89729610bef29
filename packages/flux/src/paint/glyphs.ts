import type { SKRSContext2D } from '@napi-rs/canvas';

/**
 * A letter form of strokes: strokes apart by a space, each a run of points of two digits (across 0 to 4, down 0 to 6).
 * Drawn with round ends, so no font of the system is needed and every machine draws the same.
 */
const STROKES: Readonly<Record<string, string>> = {
  A: '062046 1434',
  B: '0006364544330300 03003041423303',
  C: '4130100105163645',
  D: '0006264541300000',
  E: '40000646 0333',
  F: '400006 0333',
  G: '413010010516364543 4323',
  H: '0006 4046 0343',
  I: '1030 2026 1636',
  J: '3035261605 1040',
  K: '0006 400346',
  L: '000646',
  M: '0600234046',
  N: '06004640',
  O: '1030414536160501 0110',
  P: '06003041423303',
  Q: '1030414536160501 0110 2446',
  R: '06003041423303 2346',
  S: '413010010213334445361605',
  T: '0040 2026',
  U: '000516364540',
  V: '002640',
  W: '0016233640',
  X: '0046 4006',
  Y: '002340 2326',
  Z: '00400646',
  '0': '1030414536160501 0110 3115',
  '1': '112026 1636',
  '2': '01103041420646',
  '3': '01103041423313 3344453616 1605',
  '4': '36300444',
  '5': '400003334445361605',
  '6': '413010010516364544331304',
  '7': '004026',
  '8': '103041423313020110 130405163645443313',
  '9': '051636454130100102133342',
  '.': '2626',
  ',': '2617',
  ':': '2222 2525',
  ';': '2222 2516',
  '!': '2024 2626',
  '?': '01103041422324 2626',
  '-': '1333',
  '+': '2125 0343',
  '=': '0242 0444',
  '/': '0640',
  "'": '2021',
  '"': '1011 3031',
  '(': '30121436',
  ')': '10323416',
  '&': '46110120310405163644',
  '%': '0640 0101 4545',
  '#': '1016 3036 0242 0444',
  '*': '2125 0244 4204',
  '@': '33234244 4541301001051636',
};

/** Width of a letter and its gap, and its height, in units of the strokes. */
const ADVANCE = 5.6;
const TALL = 6;

/** What can be written of a text: letters without their accents, in capitals; what has no form is left out. */
export function writable(text: string): string {
  return [...text.normalize('NFKD').replace(/\p{M}/gu, '').toUpperCase()]
    .map((sign) => (/\s/.test(sign) ? ' ' : /[‘’`]/.test(sign) ? "'" : /[–—]/.test(sign) ? '-' : sign))
    .filter((sign) => sign === ' ' || STROKES[sign] !== undefined)
    .join('')
    .replace(/ +/g, ' ')
    .trim();
}

/** The width of a text, for letters of a height of 1. */
export function textWidth(text: string): number {
  return text.length === 0 ? 0 : (text.length * ADVANCE - (ADVANCE - 4)) / TALL;
}

/** Adds the strokes of a text to the current path of nothing else, and draws them. @param y the top of the letters */
export function drawText(ctx: SKRSContext2D, text: string, x: number, y: number, height: number, weight = 0.13): void {
  const scale = height / TALL;
  ctx.lineCap = 'round';
  ctx.lineJoin = 'round';
  ctx.lineWidth = height * weight;
  ctx.beginPath();
  for (const [place, sign] of [...text].entries()) {
    for (const stroke of strokesOf(sign)) {
      for (const [n, [across, down]] of stroke.entries()) {
        const toX = x + (place * ADVANCE + across) * scale;
        const toY = y + down * scale;
        if (n === 0) ctx.moveTo(toX, toY);
        // A stroke without length would draw nothing, not even its round end.
        ctx.lineTo(toX + scale * 0.02, toY);
      }
    }
  }
  ctx.stroke();
}

function strokesOf(sign: string): [across: number, down: number][][] {
  return (STROKES[sign] ?? '').split(' ').map((run) => {
    const points: [number, number][] = [];
    for (let n = 0; n + 1 < run.length; n += 2) points.push([Number(run[n]), Number(run[n + 1])]);
    return points;
  });
}
