export { CLASSIFIER_VERSION, classify } from './classify.ts';
export { findDuplicateNames, findPoison, type PoisonFinding, type PoisonKind } from './poison.ts';
export {
  AXES,
  type Axis,
  type Classification,
  type Confidence,
  type Evidence,
  type ServerContext,
  type Severity,
  type Signal,
  severityOf,
  TOOL_CLASSES,
  type ToolClass,
  type ToolDefinition,
  worstClass,
} from './types.ts';
