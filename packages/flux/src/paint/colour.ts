/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** @param text `#rrggbb` */
export function hex(text: string): Colour {
  const value = Number.parseInt(text.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** @param share 0 is all of the first, 1 all of the second */
export function mix(first: Colour, second: Colour, share: number): Colour {
  const between = (n: 0 | 1 | 2): number => first[n] + (second[n] - first[n]) * share;
  return [between(0), between(1), between(2)];
}

export function css(colour: Colour, alpha = 1): string {
  return `rgba(${Math.round(colour[0])}, ${Math.round(colour[1])}, ${Math.round(colour[2])}, ${alpha})`;
}

/** @param amount −1 (black) to 1 (white) */
export function shade(colour: Colour, amount: number): Colour {
  return mix(colour, amount < 0 ? [0, 0, 0] : [255, 255, 255], Math.abs(amount));
}

/** @param hue degrees; @param saturation and @param lightness 0 to 1 */
export function hsl(hue: number, saturation: number, lightness: number): Colour {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const channel = (offset: number): number => {
    const place = (offset + hue / 30 + 1200) % 12;
    return 255 * (lightness - reach * Math.max(-1, Math.min(place - 3, 9 - place, 1)));
  };
  return [channel(0), channel(8), channel(4)];
}

export function grey(colour: Colour): Colour {
  const light = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2];
  return [light, light, light];
}
