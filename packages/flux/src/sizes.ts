import { FluxError } from './errors.ts';

export interface PixelSize {
  readonly width: number;
  readonly height: number;
}

/** What sizes a provider takes for a model. All lengths are pixels. */
export interface SizeRule {
  /** Smallest and largest length of a side. */
  readonly min: number;
  readonly max: number;
  /** Both sides are multiples of this. 1 takes any length. */
  readonly multiple: number;
  /** Largest area in pixels. */
  readonly maxPixels: number;
  /** `table`: named ratios have the fixed sizes of {@link RATIO_TABLE}; `area`: a ratio becomes about one megapixel. */
  readonly ratioStyle: 'table' | 'area';
}

/** The named ratios with the sizes that the Kontext models give them: exact or within 1 %, sides in steps of 16, about one megapixel. */
export const RATIO_TABLE: Readonly<Record<string, PixelSize>> = {
  '1:1': { width: 1024, height: 1024 },
  '16:9': { width: 1360, height: 768 },
  '21:9': { width: 1568, height: 672 },
  '3:2': { width: 1248, height: 832 },
  '2:3': { width: 832, height: 1248 },
  '4:5': { width: 896, height: 1120 },
  '5:4': { width: 1120, height: 896 },
  '3:4': { width: 864, height: 1152 },
  '4:3': { width: 1152, height: 864 },
  '9:16': { width: 768, height: 1360 },
  '9:21': { width: 672, height: 1568 },
};

/** A ratio is drawn out at most this far in either direction. */
const MAX_ASPECT = 4;
/** A ratio for a model without a table becomes about this many pixels, in steps of {@link RATIO_STEP}. */
const RATIO_AREA = 1024 * 1024;
const RATIO_STEP = 16;

const PIXELS = /^(\d{1,6})\s*[x×*]\s*(\d{1,6})$/i;
const RATIO = /^(\d{1,3})\s*:\s*(\d{1,3})$/;

const EXAMPLES = 'Give pixels as WIDTHxHEIGHT, for example 1344x768, or a ratio, for example 16:9.';

/**
 * The pixel size that a `size` argument means under a rule (spec: flux §1).
 *
 * @param text `WxH` in pixels, or a ratio `W:H` between 1:4 and 4:1
 * @throws FluxError `invalid_size` naming the value, the bound and a value that would do
 */
export function resolveSize(text: string, rule: SizeRule): PixelSize {
  const trimmed = text.trim();
  const pixels = PIXELS.exec(trimmed);
  if (pixels) return checkPixels({ width: Number(pixels[1]), height: Number(pixels[2]) }, rule);
  const ratio = RATIO.exec(trimmed);
  if (ratio) return fromRatio(Number(ratio[1]), Number(ratio[2]), rule);
  throw new FluxError('invalid_size', `size: "${shorten(trimmed)}" is neither a pixel size nor a ratio.`, EXAMPLES);
}

function checkPixels(size: PixelSize, rule: SizeRule): PixelSize {
  for (const side of ['width', 'height'] as const) {
    const length = size[side];
    if (length < rule.min || length > rule.max) {
      throw new FluxError(
        'invalid_size',
        `size: the ${side} ${length} is outside ${rule.min} to ${rule.max} pixels.`,
        `Use ${toSizeText(fit(size, rule))}, or a ratio such as 16:9.`,
      );
    }
    if (length % rule.multiple !== 0) {
      throw new FluxError(
        'invalid_size',
        `size: the ${side} ${length} is not a multiple of ${rule.multiple}.`,
        `Use ${toSizeText(fit(size, rule))}, or a ratio such as 16:9.`,
      );
    }
  }
  if (size.width * size.height > rule.maxPixels) {
    throw new FluxError(
      'invalid_size',
      `size: ${toSizeText(size)} has ${size.width * size.height} pixels, more than ${rule.maxPixels}.`,
      `Use ${toSizeText(fit(size, rule))} or smaller.`,
    );
  }
  return size;
}

function fromRatio(across: number, down: number, rule: SizeRule): PixelSize {
  if (across === 0 || down === 0 || across / down > MAX_ASPECT || down / across > MAX_ASPECT) {
    throw new FluxError(
      'invalid_size',
      `size: the ratio ${across}:${down} is outside 1:${MAX_ASPECT} to ${MAX_ASPECT}:1.`,
      `Use one of ${Object.keys(RATIO_TABLE).join(', ')}.`,
    );
  }
  const named = RATIO_TABLE[`${across}:${down}`];
  if (named && rule.ratioStyle === 'table') return fit(named, rule);
  const height = Math.sqrt((RATIO_AREA * down) / across);
  return fit({ width: (height * across) / down, height }, { ...rule, multiple: Math.max(rule.multiple, RATIO_STEP) });
}

/** The nearest size of about the same shape that the rule takes. */
function fit(size: PixelSize, rule: SizeRule): PixelSize {
  const shrink = Math.min(
    1,
    rule.max / size.width,
    rule.max / size.height,
    Math.sqrt(rule.maxPixels / (size.width * size.height)),
  );
  const step = (length: number): number => {
    const low = Math.ceil(rule.min / rule.multiple) * rule.multiple;
    const high = Math.floor(rule.max / rule.multiple) * rule.multiple;
    return Math.min(high, Math.max(low, Math.round((length * shrink) / rule.multiple) * rule.multiple));
  };
  let width = step(size.width);
  let height = step(size.height);
  // Rounding both sides up can cross the area bound by less than one step.
  while (width * height > rule.maxPixels) {
    if (width >= height) width -= rule.multiple;
    else height -= rule.multiple;
  }
  return { width, height };
}

export function toSizeText(size: PixelSize): string {
  return `${size.width}x${size.height}`;
}

function shorten(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 40)}…`;
}
