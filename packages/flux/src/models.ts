/** The models by name, in the order in which they are offered (spec: flux §1). */
export const MODEL_NAMES = [
  'flux-dev',
  'flux-pro',
  'flux-kontext-pro',
  'flux-kontext-max',
  'flux-2-flex',
  'flux-2-pro',
  'flux-2-max',
  'flux-2-klein',
] as const;

export type ModelName = (typeof MODEL_NAMES)[number];

/** Encodings that a picture can be asked for in. */
export const OUTPUT_FORMATS = ['png', 'jpeg', 'webp'] as const;

export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export const MIME_TYPES: Readonly<Record<OutputFormat, string>> = {
  png: 'image/png',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
};

/** What a model is, whoever runs it. */
export interface ModelCard {
  readonly name: ModelName;
  readonly speed: 'very fast' | 'fast' | 'medium' | 'slow';
  readonly quality: 'draft' | 'good' | 'high' | 'highest';
  readonly bestFor: string;
  /** Whether the model was made to change an existing picture. */
  readonly edits: boolean;
  /** How many pictures besides `image_url` an edit can refer to. */
  readonly maxReferences: number;
  /** `table`: ratios have fixed pixel sizes of their own; `area`: a ratio becomes about one megapixel. */
  readonly ratioStyle: 'table' | 'area';
}

export const MODEL_CARDS: Readonly<Record<ModelName, ModelCard>> = {
  'flux-dev': {
    name: 'flux-dev',
    speed: 'fast',
    quality: 'good',
    bestFor: 'first drafts and trying out a prompt',
    edits: false,
    maxReferences: 0,
    ratioStyle: 'area',
  },
  'flux-pro': {
    name: 'flux-pro',
    speed: 'medium',
    quality: 'high',
    bestFor: 'finished pictures from text',
    edits: false,
    maxReferences: 0,
    ratioStyle: 'area',
  },
  'flux-kontext-pro': {
    name: 'flux-kontext-pro',
    speed: 'medium',
    quality: 'high',
    bestFor: 'changing an existing picture while keeping the rest of it',
    edits: true,
    maxReferences: 3,
    ratioStyle: 'table',
  },
  'flux-kontext-max': {
    name: 'flux-kontext-max',
    speed: 'slow',
    quality: 'highest',
    bestFor: 'difficult edits: lettering, several changes at once, style transfer',
    edits: true,
    maxReferences: 3,
    ratioStyle: 'table',
  },
  'flux-2-flex': {
    name: 'flux-2-flex',
    speed: 'medium',
    quality: 'high',
    bestFor: 'typography and fine control',
    edits: true,
    maxReferences: 8,
    ratioStyle: 'area',
  },
  'flux-2-pro': {
    name: 'flux-2-pro',
    speed: 'medium',
    quality: 'high',
    bestFor: 'production work at a steady price',
    edits: true,
    maxReferences: 8,
    ratioStyle: 'area',
  },
  'flux-2-max': {
    name: 'flux-2-max',
    speed: 'slow',
    quality: 'highest',
    bestFor: 'the best picture that Flux can make',
    edits: true,
    maxReferences: 8,
    ratioStyle: 'area',
  },
  'flux-2-klein': {
    name: 'flux-2-klein',
    speed: 'very fast',
    quality: 'good',
    bestFor: 'many pictures quickly, and open weights on a GPU of one’s own',
    edits: true,
    maxReferences: 4,
    ratioStyle: 'area',
  },
};
