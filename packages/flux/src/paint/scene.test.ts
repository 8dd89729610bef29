import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { paletteOf } from './palette.ts';
import { randomFrom } from './random.ts';
import { readScene } from './scene.ts';

describe('readScene', () => {
  it('[FLUX-PREVIEW] reads place, hour, weather, style and things from the words', () => {
    expect(readScene('watercolor of a lighthouse on the coast at sunset in the rain')).toMatchObject({
      setting: 'ocean',
      time: 'sunset',
      weather: 'rain',
      style: 'watercolour',
      subjects: [{ kind: 'lighthouse', count: 1 }],
    });
    expect(readScene('an astronaut').setting).toBe('space');
    expect(readScene('neon tokyo street, midnight')).toMatchObject({ setting: 'city', time: 'night', style: 'neon' });
  });

  it('gives a colour to the thing behind it, and others to the picture', () => {
    const scene = readScene('a red fox, teal background');
    expect(scene.subjects[0]).toMatchObject({ kind: 'fox', colour: [210, 52, 43] });
    expect(scene.tints).toEqual([[31, 146, 148]]);
  });

  it('counts things by number words and plurals', () => {
    expect(readScene('two cats').subjects[0]?.count).toBe(2);
    expect(readScene('boats').subjects[0]?.count).toBe(3);
    expect(readScene('5 birds').subjects[0]?.count).toBe(5);
    expect(readScene('two cats and a fox').subjects.map(({ count }) => count)).toEqual([2, 1]);
  });

  it('takes quoted words as lettering and not as a description', () => {
    expect(readScene('a wall with "SPACE CATS"')).toMatchObject({ lettering: 'SPACE CATS', subjects: [] });
  });

  it('[FLUX-PREVIEW] is the same for the same prompt, and its random numbers for the same seed', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.nat(), (prompt, seed) => {
        const scene = readScene(prompt);
        expect(readScene(prompt)).toEqual(scene);
        const palette = () => paletteOf(scene, randomFrom(scene.fingerprint, seed));
        expect(palette()).toEqual(palette());
        for (const colour of [palette().skyTop, palette().ground, palette().accent]) {
          for (const channel of colour) expect(channel >= 0 && channel <= 255).toBe(true);
        }
      }),
    );
  });

  it('gives prompts without a known word their own pictures', () => {
    const [one, two] = [readScene('qwertz'), readScene('asdf')];
    expect([one.setting, two.setting]).toEqual(['abstract', 'abstract']);
    expect(one.fingerprint).not.toBe(two.fingerprint);
  });
});
