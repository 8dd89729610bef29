import { hostname } from 'node:os';

/** The process that works on a task, so that another one can see whether it is still there. */
export interface LeaseOwner {
  /** `host:pid:nonce`; the nonce tells two processes apart that had the same number one after the other. */
  readonly id: string;
  readonly host: string;
  readonly pid: number;
}

/** @param nonce letters and digits, different for every start */
export function thisProcess(nonce: string): LeaseOwner {
  // A host name cannot hold a colon, so the parts can be told apart again.
  return { id: `${hostname()}:${process.pid}:${nonce}`, host: hostname(), pid: process.pid };
}

export function parseOwner(id: string): LeaseOwner {
  const [host = '', pid = ''] = id.split(':');
  return { id, host, pid: Number(pid) };
}

/**
 * Whether an owner may still be at work. Of a process on another machine nothing is known before its lease has run out,
 * so it counts as alive.
 */
export function isAlive(owner: LeaseOwner, self: LeaseOwner): boolean {
  if (owner.id === self.id) return true;
  if (owner.host !== self.host || !Number.isSafeInteger(owner.pid) || owner.pid <= 0) return owner.host !== self.host;
  // Our own number under another nonce: a process before us that had it.
  if (owner.pid === self.pid) return false;
  try {
    process.kill(owner.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
