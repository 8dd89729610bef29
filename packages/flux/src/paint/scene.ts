import type { Colour } from './colour.ts';
import { hashText } from './random.ts';
import {
  COLOURS,
  SETTINGS,
  type Setting,
  STYLES,
  type Style,
  SUBJECTS,
  type SubjectKind,
  TIMES,
  type Time,
  WEATHERS,
  type Weather,
} from './vocabulary.ts';

export interface Subject {
  kind: SubjectKind;
  /** The colour word that stands before it, as in "red fox". */
  colour: Colour | undefined;
  /** 1 to 7. */
  count: number;
}

/** What a drawing shows, read from the words of a prompt. */
export interface Scene {
  setting: Setting;
  time: Time;
  weather: Weather;
  style: Style;
  /** At most three, in the order of the prompt. */
  subjects: Subject[];
  /** Colour words that belong to no subject. */
  tints: Colour[];
  /** Still water in front of a landscape. */
  lake: boolean;
  closeUp: boolean;
  /** Text in quotation marks, to be written into the picture. */
  lettering: string | undefined;
  /** Stands for everything else in the prompt, so that two prompts never share a picture. */
  fingerprint: number;
}

const NUMBERS: Readonly<Record<string, number>> = {
  two: 2,
  pair: 2,
  couple: 2,
  three: 3,
  several: 4,
  four: 4,
  five: 5,
  many: 6,
  six: 6,
  seven: 7,
  flock: 7,
  crowd: 7,
};
const MAX_SUBJECTS = 3;
/** A colour or number word counts for a subject at most this many words later. */
const REACH = 3;

const LAKE = new Set(['lake', 'river', 'reflection', 'pond', 'mirror', 'fjord', 'water']);
const CLOSE = new Set(['portrait', 'closeup', 'close', 'macro', 'headshot', 'face', 'detail']);
const QUOTED = /["“”«»„]([^"“”«»„]{1,60})["“”«»„]/u;

function index<Key extends string>(table: Readonly<Record<Key, string>>): Map<string, Key> {
  const found = new Map<string, Key>();
  for (const key of Object.keys(table) as Key[]) {
    for (const word of table[key].split('|')) if (!found.has(word)) found.set(word, key);
  }
  return found;
}

const SETTING_OF = index(SETTINGS);
const TIME_OF = index(TIMES);
const WEATHER_OF = index(WEATHERS);
const STYLE_OF = index(STYLES);
const SUBJECT_OF = index(SUBJECTS);

/** Where a subject stands when the prompt names no place. */
const HOME: Readonly<Partial<Record<SubjectKind, Setting>>> = {
  astronaut: 'space',
  rocket: 'space',
  bird: 'ocean',
  butterfly: 'meadow',
  fish: 'underwater',
  lighthouse: 'ocean',
  castle: 'mountains',
  house: 'meadow',
  boat: 'ocean',
  car: 'city',
  balloon: 'mountains',
  tree: 'meadow',
  flower: 'meadow',
  mushroom: 'forest',
  cup: 'room',
};

/** Reads a prompt. The same prompt always gives the same scene. */
export function readScene(prompt: string): Scene {
  const lettering = QUOTED.exec(prompt)?.[1]?.trim() || undefined;
  // What is to be written in the picture does not describe it.
  const words = (lettering === undefined ? prompt : prompt.replace(QUOTED, ' '))
    .normalize('NFKD')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);

  const subjects = readSubjects(words);
  const first = subjects.list[0]?.kind;
  const named = firstOf(words, SETTING_OF);
  const setting = named ?? (first && (HOME[first] ?? 'backdrop')) ?? defaultSetting(words);
  const weather = firstOf(words, WEATHER_OF) ?? 'clear';
  return {
    setting,
    time: firstOf(words, TIME_OF) ?? (weather === 'aurora' ? 'night' : 'day'),
    weather,
    style: firstOf(words, STYLE_OF) ?? 'plain',
    subjects: subjects.list,
    tints: words
      .filter((_, n) => !subjects.used.has(n))
      .flatMap((word) => {
        const colour = COLOURS.get(word);
        return colour ? [colour] : [];
      }),
    lake: words.some((word) => LAKE.has(word)),
    closeUp: words.some((word) => CLOSE.has(word)),
    lettering,
    fingerprint: hashText(words.join(' ')),
  };
}

function readSubjects(words: readonly string[]): { list: Subject[]; used: Set<number> } {
  const list: Subject[] = [];
  const used = new Set<number>();
  for (const [n, word] of words.entries()) {
    const kind = look(word, SUBJECT_OF);
    if (kind === undefined || list.some((subject) => subject.kind === kind) || list.length === MAX_SUBJECTS) continue;
    let colour: Colour | undefined;
    let count = isPlural(word) ? 3 : 1;
    for (let before = n - 1; before >= Math.max(0, n - REACH); before -= 1) {
      const near = words[before] ?? '';
      // Another subject in between has the first claim on what stands before it.
      if (look(near, SUBJECT_OF) !== undefined) break;
      const named = COLOURS.get(near);
      if (named && colour === undefined) {
        colour = named;
        used.add(before);
      }
      count = NUMBERS[near] ?? (/^[2-7]$/.test(near) ? Number(near) : count);
    }
    list.push({ kind, colour, count });
  }
  return { list, used };
}

/** A prompt without any word that is known still gets a picture of its own. */
function defaultSetting(words: readonly string[]): Setting {
  const landscape = firstOf(words, WEATHER_OF) ?? firstOf(words, TIME_OF);
  return landscape === undefined ? 'abstract' : 'mountains';
}

function firstOf<Key>(words: readonly string[], table: ReadonlyMap<string, Key>): Key | undefined {
  for (const word of words) {
    const key = look(word, table);
    if (key !== undefined) return key;
  }
  return undefined;
}

function look<Key>(word: string, table: ReadonlyMap<string, Key>): Key | undefined {
  const direct = table.get(word);
  if (direct !== undefined || !word.endsWith('s')) return direct;
  return (
    table.get(word.slice(0, -1)) ??
    (word.endsWith('es') ? table.get(word.slice(0, -2)) : undefined) ??
    (word.endsWith('ies') ? table.get(`${word.slice(0, -3)}y`) : undefined)
  );
}

function isPlural(word: string): boolean {
  return word === 'people' || (word.endsWith('s') && SUBJECT_OF.get(word) === undefined);
}
