import type { McpServer } from '@modelcontextprotocol/server';

const MODEL_CHOICE = `Choosing the tool and the model for a picture

Tool
- There is no picture yet: flux_generate_image.
- There is a picture and part of it should change: flux_edit_image. Its image_url takes an https URL, a data URI, or the flux://images/… address of an earlier result.

Model
- Trying out words and composition: flux-dev. Very many pictures: flux-2-klein.
- A finished picture: flux-pro or flux-2-pro. The best there is, when time and price allow: flux-2-max.
- Lettering and fine control: flux-2-flex.
- Changing a picture while the rest stays as it is: flux-kontext-pro; for difficult changes, lettering or a new style: flux-kontext-max.

Size
- Every model takes WIDTHxHEIGHT in pixels or a ratio; the ratio is turned into the right pixels for the model. Landscape 16:9, portrait 3:4 or 9:16, square 1:1.

Call flux_list_models first when price, speed or limits matter: it shows what the provider in use really offers.`;

const PROMPT_WRITING = `Writing a prompt for Flux

Write whole sentences, the most important thing first. In this order:
1. Subject: who or what, doing what, with two or three visible details.
2. Place and time: where it is, the hour, the season, the weather.
3. Light: where it comes from, hard or soft, warm or cold.
4. Framing: close-up or wide, eye level or from above, what is in front and what is behind.
5. Medium and style: photograph with lens, oil painting, ink drawing, flat vector, paper cut.
6. Colours: two or three that carry the picture.

Examples
- Portrait: "Close-up of an old sailor with a grey beard and a blue knitted cap, soft window light from the left, dark background, photograph with an 85 mm lens, shallow focus."
- Landscape: "Wide view of a mountain lake at dawn, mist over the water, pines in front, snow on the peaks, pale pink sky."
- Product: "A matt black coffee grinder on a light oak table, seen slightly from above, one soft light from behind, empty beige wall."
- Lettering: "A hand-painted wooden sign over a bakery door that says \\"OPEN AT SIX\\", morning light." Put the words in quotation marks.

Advice
- Say what should be there; "no people" works worse than "an empty street".
- One style is stronger than three.
- Change one thing at a time and keep the seed, to see what it does.
- For an edit, name what changes and what stays: "Make the coat red; keep the face, the pose and the background."`;

const WORKFLOWS = `Ways of working with the Flux tools

1. One picture: flux_generate_image with prompt and size. The answer has links to the picture; inline "thumbnail" shows it at once.
2. Choose, then refine: count 4 with inline "thumbnail", pick one, call again with its seed, a better model and a larger size.
3. Edit in steps: give the flux://images/… address of a result as image_url of flux_edit_image, one change a step.
4. Combine pictures: flux_edit_image with reference_images, and say in the prompt what is taken from which.
5. Long tasks: wait_seconds 0 returns the task_id at once. Ask with flux_get_task, not more often than its answer says.
6. Many tasks: start each with wait_seconds 0, then ask for all of them with flux_get_tasks_batch (up to 50).
7. Without asking: callback_url gets the finished task as a signed POST; check X-Flux-Signature before you believe it.

When a task fails, its error says what to do. Do not send a failed or unfinished request again by yourself: it may already have been paid for.`;

const PROMPTS = [
  {
    name: 'flux_image_generation_guide',
    title: 'Choosing a tool and a model',
    description: 'Which tool and which model suit which picture.',
    text: MODEL_CHOICE,
  },
  {
    name: 'flux_prompt_writing_guide',
    title: 'Writing prompts',
    description: 'How to describe a picture so that Flux makes it.',
    text: PROMPT_WRITING,
  },
  {
    name: 'flux_workflow_examples',
    title: 'Workflows',
    description: 'Seven ways from an idea to a finished picture.',
    text: WORKFLOWS,
  },
] as const;

/** The three prompts of the original by name, in our own words (spec: flux §1). */
export function registerPrompts(server: McpServer): void {
  for (const { name, title, description, text } of PROMPTS) {
    server.registerPrompt(name, { title, description }, () => ({
      description,
      messages: [{ role: 'user', content: { type: 'text', text } }],
    }));
  }
}
