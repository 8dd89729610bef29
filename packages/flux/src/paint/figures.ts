import { astronaut, bird, butterfly, cat, fish, fox, person, portrait, robot } from './creatures.ts';
import type { Figure } from './pen.ts';
import { balloon, boat, car, castle, cup, flower, house, lighthouse, mushroom, rocket, tree } from './things.ts';
import type { SubjectKind } from './vocabulary.ts';

export const FIGURES: Readonly<Record<SubjectKind, Figure>> = {
  portrait,
  astronaut,
  person,
  robot,
  cat,
  fox,
  bird,
  butterfly,
  fish,
  lighthouse,
  castle,
  house,
  boat,
  car,
  rocket,
  balloon,
  tree,
  flower,
  mushroom,
  cup,
};
