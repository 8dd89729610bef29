/** Every made file as it has to be: path from the root → text. */
export function generated(): Map<string, string>;
