const SIGNATURES: readonly { mimeType: string; offset: number; bytes: readonly number[] }[] = [
  { mimeType: 'image/png', offset: 0, bytes: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] },
  { mimeType: 'image/jpeg', offset: 0, bytes: [0xff, 0xd8, 0xff] },
  { mimeType: 'image/gif', offset: 0, bytes: [0x47, 0x49, 0x46, 0x38] },
  // RIFF containers hold other things too; WEBP stands after the length.
  { mimeType: 'image/webp', offset: 8, bytes: [0x57, 0x45, 0x42, 0x50] },
];

/** Picture formats that are taken in. */
export const SOURCE_TYPES: readonly string[] = SIGNATURES.map((signature) => signature.mimeType);

/** The type of a picture by its first bytes; `undefined` when it is none that is taken in. */
export function sniffImageType(data: Uint8Array): string | undefined {
  return SIGNATURES.find(({ offset, bytes }) => bytes.every((byte, n) => data[offset + n] === byte))?.mimeType;
}
