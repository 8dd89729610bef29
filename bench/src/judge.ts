// `judge` by itself: what a decision costs without a network, a log or a parser. Each checkout's in a process of its own; in
// every round each case is measured in each of them, in turn.
import { JUDGE_CASES } from './judge-cases.ts';
import type { JudgeRequest } from './judge-child.ts';
import { nextMessage, type Processes, type Started } from './processes.ts';
import type { Candidate } from './scene.ts';
import { bootstrapMedian, type Estimate, pairedDifference, pairedRatio } from './statistics.ts';

export interface JudgeRow {
  name: string;
  candidate: string;
  /** Microseconds: the median of the rounds. For a pattern, what it adds to a decision. */
  micros: Estimate;
  /** Against the same of the other checkout. Absent without one. */
  ratio?: Estimate;
}

export interface JudgeOptions {
  processes: Processes;
  candidates: readonly Candidate[];
  starts: number;
  rounds: number;
  /** Batches of each case in a round, and decisions of a batch. */
  batches: number;
  batch: number;
  random: () => number;
}

/** @throws Error when a policy is refused or a call denied: then something else would be measured */
export async function benchJudge(options: JudgeOptions): Promise<JudgeRow[]> {
  const { processes, candidates, starts, rounds, batches, batch, random } = options;
  // By candidate, then by case: one time for each round of each start.
  const times = candidates.map(() => JUDGE_CASES.map((): number[] => []));
  const startOf: number[] = [];
  for (let start = 0; start < starts; start++) {
    const children: Started[] = [];
    for (const { root } of candidates) {
      const child = processes.fork('./judge-child.ts', [root]);
      await nextMessage(child);
      children.push(child);
    }
    // The first round compiles the code and does not count.
    for (let round = -1; round < rounds; round++) {
      for (const index of JUDGE_CASES.keys()) {
        for (const [which, child] of children.entries()) {
          const micros = await ask(child, { case: index, batches, batch });
          if (round >= 0) times[which]![index]!.push(micros);
        }
      }
      if (round >= 0) startOf.push(start);
    }
    await processes.end();
  }
  const [, other] = times;
  return JUDGE_CASES.flatMap(({ name, without, isBase }, index) => {
    if (isBase === true) return [];
    const base = JUDGE_CASES.findIndex((one) => one.name === without);
    return candidates.map((candidate, which): JudgeRow => {
      const own = times[which]![index]!;
      const micros =
        base === -1
          ? bootstrapMedian(own, random, startOf)
          : pairedDifference(own, times[which]![base]!, random, startOf);
      const row: JudgeRow = { name, candidate: candidate.name, micros };
      if (other !== undefined && which === 0) row.ratio = pairedRatio(own, other[index]!, random, startOf);
      return row;
    });
  });
}

async function ask(child: Started, request: JudgeRequest): Promise<number> {
  const answer = nextMessage<{ micros: number }>(child);
  child.child.send(request);
  return (await answer).micros;
}
