import type { Prompts } from './context.ts';
import { printable, printableLines } from './output.ts';

/** Questions on the terminal; breaking off (Ctrl-C) means no. The library is loaded when somebody is asked. */
export const terminalPrompts: Prompts = {
  async confirm(message) {
    const { confirm } = await import('@clack/prompts');
    return (await confirm({ message: printableLines(message), initialValue: false })) === true;
  },
  async choose(message, choices) {
    const { multiselect } = await import('@clack/prompts');
    const answer = await multiselect({
      message: printable(message),
      required: false,
      options: choices.map(({ value, label, hint }) => ({
        value,
        label: printable(label),
        ...(hint === undefined ? {} : { hint: printable(hint) }),
      })),
    });
    return typeof answer === 'symbol' ? undefined : answer;
  },
};
