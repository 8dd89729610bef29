export { canonicalize } from './canonical.ts';
export {
  EditError,
  type EraMember,
  editListItems,
  keepInputResponses,
  type ListItemEdit,
  type RawValue,
  refuseCapabilities,
  replaceCacheScope,
  replaceCancelledId,
  replaceId,
  replaceListedTasks,
  replaceProgressToken,
  replaceRequestState,
  replaceResultType,
  replaceSubscriptionId,
  replaceTaskId,
  replaceWatchedTasks,
  setEraMembers,
  type TaskIdPlace,
  taskIdAt,
  watchedTasks,
} from './edits.ts';
export { checkValue, type Message, type ReadOptions, type Reply, readMessage, readReply } from './envelope.ts';
export { foldKey } from './fold.ts';
export { parsePlainJson } from './json-text.ts';
export { arrayItems, type MemberTable, objectMembers } from './members.ts';
export {
  CLIENT_METHODS,
  type ClientMethod,
  type Eras,
  HEADERS,
  LEGACY_VERSIONS,
  type ListKind,
  META,
  type MethodAction,
  MODERN_VERSION,
  SERVER_METHODS,
  type ServerMethod,
  type ServerRequestKind,
} from './methods.ts';
export { type Decimal, isExactNumber, readDecimal } from './numbers.ts';
export type { Refusal, RefusalCode, RefusalReason } from './refusals.ts';
export { encodeSse, type SseEvent, type SseFields, SseParser, type SseParserOptions, sseComment } from './sse.ts';
export { readString, type Span } from './text.ts';
export {
  InexactNumber,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseJson,
  readArguments,
  readValue,
} from './values.ts';
