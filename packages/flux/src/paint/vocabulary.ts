import { type Colour, hex } from './colour.ts';

/** Which words of a prompt stand for what. A word counts in singular and plural; several words of a line are apart by `|`. */

export const SETTINGS = {
  space: 'space|galaxy|nebula|planet|cosmos|cosmic|orbit|asteroid|universe|milky|saturn|mars|starship',
  underwater: 'underwater|reef|coral|seabed|submarine|aquarium|jellyfish|whale|shark|octopus|mermaid',
  city: 'city|skyline|street|downtown|skyscraper|urban|tokyo|york|london|paris|cyberpunk|metropolis|alley|traffic|town|rooftop',
  desert: 'desert|dune|sahara|cactus|canyon|camel|oasis|pyramid',
  forest: 'forest|wood|jungle|woodland|pine|redwood|grove|bamboo|rainforest',
  mountains: 'mountain|peak|alps|alpine|hill|cliff|valley|himalaya|glacier|ridge|volcano|fjord|matterhorn|fuji',
  ocean: 'ocean|sea|beach|wave|coast|shore|island|bay|harbour|harbor|surf|lagoon|seaside|sailing|pier',
  meadow:
    'meadow|field|garden|flower|tulip|poppy|sunflower|lavender|rose|daisy|spring|grass|prairie|countryside|farm|blossom|village|park',
  room: 'room|interior|table|desk|kitchen|studio|product|cafe|indoor|shelf|bottle|coffee|cup|mug|vase|still',
  abstract: 'abstract|pattern|geometric|fractal|swirl|texture|shape|wallpaper|psychedelic|mandala|mosaic|gradient',
} as const;

export type Setting = keyof typeof SETTINGS | 'backdrop';

export const TIMES = {
  night: 'night|midnight|moon|moonlit|moonlight|starry|dark|nocturnal|star|aurora|neon',
  sunset: 'sunset|dusk|evening|golden|twilight|autumn|fire|ember|warm',
  dawn: 'dawn|sunrise|morning|pastel|pink|misty|soft|dreamy',
  day: 'day|noon|sunny|daylight|bright|summer|midday',
} as const;

export type Time = keyof typeof TIMES;

export const WEATHERS = {
  storm: 'storm|thunder|lightning|stormy|tempest|dramatic|hurricane',
  rain: 'rain|rainy|drizzle|wet|umbrella',
  snow: 'snow|snowy|winter|blizzard|ice|icy|frozen|christmas|arctic',
  fog: 'fog|foggy|mist|misty|haze|hazy|smoke',
  aurora: 'aurora|borealis',
  clouds: 'cloud|cloudy|overcast',
} as const;

export type Weather = keyof typeof WEATHERS | 'clear';

export const STYLES = {
  pixel: 'pixel|8bit|16bit|voxel|retro',
  watercolour: 'watercolor|watercolour|aquarelle|painting|painted|oil|gouache|impressionist|monet',
  mono: 'monochrome|noir|charcoal|pencil|sketch|ink|etching|grayscale',
  vintage: 'vintage|sepia|old|antique|polaroid|film|analog|nostalgic|1920s|1950s|1970s',
  neon: 'neon|cyberpunk|synthwave|vaporwave|glowing|futuristic|holographic',
  poster: 'poster|flat|minimalist|minimal|vector|paper|cutout|illustration|cartoon|logo',
} as const;

export type Style = keyof typeof STYLES | 'plain';

export const SUBJECTS = {
  portrait: 'portrait|face|headshot|selfie|queen|king|princess|girl|boy|lady|actress|model',
  astronaut: 'astronaut|cosmonaut|spaceman',
  person:
    'person|man|woman|people|hiker|traveller|traveler|child|couple|dancer|wizard|knight|samurai|monk|farmer|sailor|crowd|human|figure',
  robot: 'robot|android|mech|cyborg|droid',
  cat: 'cat|kitten|kitty|feline|tiger|lion|leopard',
  fox: 'fox|dog|puppy|wolf|corgi|shiba|husky',
  bird: 'bird|gull|seagull|eagle|crow|raven|swallow|dove|crane|geese|goose|heron',
  butterfly: 'butterfly|moth',
  fish: 'fish|goldfish|koi|salmon|shark|whale|dolphin',
  lighthouse: 'lighthouse|beacon',
  castle: 'castle|palace|fortress|citadel|tower',
  house: 'house|cottage|cabin|hut|home|barn|bakery|chalet|village|farm|shop',
  boat: 'boat|ship|sailboat|yacht|sail|sailing|galleon|vessel',
  car: 'car|automobile|taxi|convertible|truck|van|jeep',
  rocket: 'rocket|spaceship|starship|shuttle|spacecraft',
  balloon: 'balloon|airship|zeppelin',
  tree: 'tree|oak|willow|maple|cherry|palm|bonsai',
  flower: 'flower|rose|tulip|sunflower|daisy|poppy|lily|orchid|bouquet|lotus|peony',
  mushroom: 'mushroom|toadstool|fungi|fungus',
  cup: 'cup|coffee|mug|tea|cappuccino|espresso|latte',
} as const;

export type SubjectKind = keyof typeof SUBJECTS;

const COLOUR_WORDS: Readonly<Record<string, string>> = {
  red: '#d2342b',
  crimson: '#b1172f',
  scarlet: '#e0301e',
  orange: '#ee7d22',
  amber: '#f2a31b',
  yellow: '#f4cf2e',
  gold: '#d9a520',
  golden: '#e0ac2b',
  green: '#3f9b4b',
  emerald: '#1f9d72',
  lime: '#9ccc3c',
  teal: '#1f9294',
  turquoise: '#2fc0b8',
  cyan: '#2ec4e6',
  blue: '#2f6fd0',
  navy: '#1d2f66',
  indigo: '#3f3aa8',
  purple: '#7f3fb5',
  violet: '#8e56d6',
  lavender: '#a892dd',
  magenta: '#d4339b',
  pink: '#ee86ad',
  brown: '#7d5233',
  beige: '#d9c7a4',
  black: '#22222a',
  white: '#f4f2ec',
  silver: '#b8bec8',
  grey: '#868b94',
  gray: '#868b94',
  ginger: '#d9772b',
  blonde: '#e2c069',
  copper: '#b96b3c',
};

export const COLOURS: ReadonlyMap<string, Colour> = new Map(
  Object.entries(COLOUR_WORDS).map(([word, colour]) => [word, hex(colour)]),
);
