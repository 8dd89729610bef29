// What the control API answers, in its own words (types only; nothing of the gateway is loaded for them).
import type {
  AdminRow,
  AuditRow,
  Cut,
  Definition,
  Grant,
  Identity,
  IntakeReport,
  Policy,
  PolicyVersion,
  RetentionView,
  Server,
  Token,
} from '@gatehouse/gateway';
import type { Decision, PolicyProblem, Trace } from '@gatehouse/policy';

export type {
  AdminRow as ChangeRow,
  AuditRow,
  Cut,
  Definition,
  Grant,
  Identity,
  IntakeReport,
  Policy,
  PolicyProblem,
  PolicyVersion,
  RetentionView,
  Server,
  Token,
};

export interface ServerAdded {
  server: Server;
  tools: Definition[];
  intake: IntakeReport;
  /** The proxy URL. */
  url: string;
  warning?: string;
}

export interface TokenCreated {
  token: Token;
  /** Shown once. */
  secret: string;
}

export interface GrantCreated {
  grant: Grant;
  identityCreated: boolean;
  token?: Token;
  secret?: string;
  /** The proxy URL. */
  url: string;
}

export interface Judged {
  decision: Decision;
  trace: Trace;
}

export interface Why {
  sentences: string[];
  /** What the log holds of a call that was made. */
  record?: AuditRow;
  /** What would happen to one that was not. */
  decision?: Decision;
  trace?: Trace;
}
