import type { ToolClass } from './types.ts';

// A verb is `plain` when it is hardly ever a noun; it then counts at any place that a verb can have. A `noun-like` one
// ("query", "order", "label") counts only where no plain verb stands.
const PLAIN: Readonly<Record<ToolClass, string>> = {
  read: `get list find fetch read describe show view lookup inspect validate verify compare diff analyze analyse
    explain estimate download ls cat head tail browse detect extract summarize summarise retrieve discover scan count
    calculate parse format translate predict introspect locate identify whoami select peek measure assess
    lint infer diagnose recognize transcribe scrape crawl grep enumerate poll wait learn
    suggest recommend ask classify tokenize decode encode embed`,
  write: `create update add send set write edit rename save upload insert upsert put append attach detach assign
    unassign enable disable move merge subscribe unsubscribe configure archive unarchive restore submit link unlink
    modify replace toggle provision make initialize init clone migrate reorder duplicate reindex ingest compose manage
    generate annotate crop publish unpublish invite share mark store remember reply upgrade downgrade activate
    deactivate approve reject accept dismiss complete finish grant follow unfollow react vote star unstar pin unpin join
    leave open close bookmark acknowledge ack block unblock mute unmute hide import sync register transition apply
    autofix resolve convert resize upscale design synthesize prepare pause resume notify tweet enrich commit push stage change
    adjust extend rotate finalize rebase checkout stash setup install isolate connect disconnect lock unlock
    enroll unenroll onboard offboard mute cancel recreate transfer finalise`,
  execute: `execute exec eval evaluate invoke dispatch start stop restart reboot deploy redeploy launch navigate click
    press hover drag rollback spawn retry rerun replay promote simulate trigger scale shell bash kubectl ssh delegate
    orchestrate automate investigate`,
  destructive: `delete remove drop clear purge truncate wipe destroy erase revoke uninstall terminate reset prune
    teardown expire discard del rm rmdir deregister unregister deprovision flush nuke evict kill overwrite burn
    shred`,
  financial: 'pay refund withdraw deposit purchase buy sell stake unstake donate payout repay',
};

const NOUN_LIKE: Readonly<Record<ToolClass, string>> = {
  read: `search query check status preview export audit report review monitor trace test quote filter match track
    screenshot snapshot help ping log stat stats history map info summary load reader lookup watch tree compute details detail
    schema version versions overview docs documentation guidance recommendation recommendations metadata metrics usage
    limits balance forecast pricing health definitions values keys logs retrieve outline examples language sample`,
  write: `post record book comment tag label patch copy fork pull schedule message email mail note draft request order issue release
    file branch index highlight upload backup favorite flag rate like reaction batch transform edit voice fill type
    tap swipe take use sign hold queue ticket remind reminder`,
  execute: `run call build train command cmd script terminal console process act perform control do job workflow cron
    action agent play prompt handle chat`,
  destructive: 'trash unlink force',
  // These are money only among other words of money: see `MONEY_CONTEXT_VERBS`.
  financial: '',
};

function entries(table: Readonly<Record<ToolClass, string>>): [string, ToolClass][] {
  return (Object.entries(table) as [ToolClass, string][]).flatMap(([toolClass, words]) =>
    words
      .split(/\s+/)
      .filter((word) => word !== '')
      .map((word): [string, ToolClass] => [word, toolClass]),
  );
}

export const PLAIN_VERBS: ReadonlyMap<string, ToolClass> = new Map(entries(PLAIN));
export const NOUN_LIKE_VERBS: ReadonlyMap<string, ToolClass> = new Map(
  entries(NOUN_LIKE).filter(([word]) => !PLAIN_VERBS.has(word)),
);

const set = (words: string): ReadonlySet<string> => new Set(words.split(/\s+/).filter((word) => word !== ''));

/** Verbs that count at any place of a name: whoever writes them there means them. */
export const ANYWHERE_VERBS = set(
  'delete remove destroy purge wipe truncate erase uninstall revoke create write send insert upsert execute exec deploy refund withdraw payout purchase',
);

/** Verbs that move money when a word of money stands beside them, or on a server that deals in money. */
export const MONEY_CONTEXT_VERBS = set(
  'charge transfer checkout swap trade mint bridge pay settle capture redeem tip place submit order finalize book send cancel create make update issue generate request authorize void approve record top invoice renew upgrade downgrade pause resume reverse bid borrow lend',
);

/** The few of those that move money by themselves on a server that deals in money. */
export const MONEY_SERVER_VERBS = set(
  'charge transfer checkout swap trade bridge pay settle capture redeem tip bid borrow lend',
);

export const MONEY_NOUNS = set(
  'invoice invoices payment payments refund refunds payout payouts charge funds fund money fiat crypto eth btc usdc coin coins balance cash card cards swap receipt receipts bank iban loan loans giftcard donation deposit withdrawal debit credit paypal stripe',
);

/** Words that are money only on a server that deals in money (a topic has subscriptions, too). */
export const MONEY_SERVER_NOUNS = set('subscription subscriptions transaction transactions tokens wallet checkout');

/** Nouns beside which a placed or submitted order is a purchase. */
export const ORDER_NOUNS = set('order orders trade bid purchase');

const MONEY_SERVER =
  /(^|[^a-z])(pay|wallet|bank|crypto|coin|defi|dex|billing|invoic|checkout|finance|ledger|trad|broker|swap|stripe|adyen|square|braintree|plaid|chargebee|token-tool)|pay($|[^a-z])|paypal|webpay|payment|billing|coinbase|binance/;
const BROWSER_SERVER = /browser|playwright|puppeteer|selenium|webdriver|(^|[^a-z])chrome/;
const DATABASE_SERVER =
  /sql|postgres|(^|[^a-z])(db|database|mongo|redis|snowflake|bigquery|neo4j|clickhouse|duckdb|supabase|neon|kusto|oracle)/;

export interface ServerKind {
  money: boolean;
  browser: boolean;
  database: boolean;
}

/** What a server deals in, told by the words of its slug and name. */
export function serverKind(text: string): ServerKind {
  return { money: MONEY_SERVER.test(text), browser: BROWSER_SERVER.test(text), database: DATABASE_SERVER.test(text) };
}

/** Verbs of a person at a page: on a browser they do whatever the page does. */
export const BROWSER_VERBS = set(
  'type fill select press tap swipe drag hover click navigate open back forward upload drop scroll close tabs handle',
);

/** Names of languages whose statements can do anything; beside a verb of running they are code. */
export const CODE_WORDS = set('sql soql cypher javascript js python code script shell bash command dml ddl dcl tcl');
/** The parts of SQL that change or drop. */
export const SQL_CHANGE_WORDS = set('dml ddl dcl tcl');

export const CONJUNCTIONS = set('or and then');

/** What is looked up, not settled, when it is resolved; and what taking leaves as it was. */
export const RESOLVED_NOUNS = set('id ids name names address dns domain host url library ref reference path alias');
export const TAKEN_NOUNS = set('screenshot screenshots snapshot snapshots');

/** Final words of a name that say nothing about what it does. */
export const EMPTY_ENDINGS = set('tool tools mcp api v1 v2 v3 beta async');

/** Things that a tool may return and that belong to somebody. */
export const PRIVATE_NOUNS = set(
  'email emails mail mails inbox message messages thread threads contact contacts calendar file files document documents customer customers user users profile profiles transaction transactions account accounts conversation conversations note notes drive history record records employee employees patient memory memories attachment attachments secret secrets credential credentials invoice invoices',
);

/** Things whose text strangers write. */
export const STRANGER_NOUNS = set(
  'web page pages website url urls html email emails mail inbox message messages issue issues comment comments review reviews ticket tickets discussion discussions thread threads feed rss tweet tweets post posts replies notification notifications pull attachment article articles news reader',
);

export const SECRET_NOUNS = set(
  'secret secrets credential credentials password passwords passphrase kubeconfig env dotenv keychain vault',
);

export const ADMIN_WORDS = set(
  'admin administrator role roles permission permissions acl iam rbac sudo root policy policies firewall member members tenant organization grant system',
);

export const EGRESS_VERBS = set(
  'send post publish share invite notify tweet mail email sms message reply upload push fork webhook forward broadcast call submit',
);

export const MEDIA_NOUNS = set('image images video videos audio music song speech voice picture avatar sound');

export const BULK_WORDS = set('bulk batch mass many all multiple');
