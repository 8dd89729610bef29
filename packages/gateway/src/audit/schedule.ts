/** A timer that can be pushed back. */
export interface Timer {
  /** Begins the whole time anew, also when it has run already. */
  refresh(): unknown;
  cancel(): void;
}

/** Runs something once, some milliseconds from now. */
export type Schedule = (run: () => void, milliseconds: number) => Timer;

/** Timers that keep no process alive. */
export const unrefTimers: Schedule = (run, milliseconds) => {
  const timer = setTimeout(run, milliseconds).unref();
  return { refresh: () => timer.refresh(), cancel: () => clearTimeout(timer) };
};
