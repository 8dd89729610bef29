import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, jsonText, runs } from '../test/arbitraries.ts';
import {
  EditError,
  editListItems,
  keepInputResponses,
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
  taskIdAt,
} from './edits.ts';
import { type Message, type Reply, readMessage, readReply } from './envelope.ts';
import { arrayItems } from './members.ts';
import { META } from './methods.ts';

const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const text = (edited: { bytes: Uint8Array }): string => decode(edited.bytes);

function message(source: string): Message {
  const read = readMessage(bytesOf(source));
  if (!read.ok) throw new Error(read.message);
  return read;
}

function reply(source: string): Reply {
  const read = readReply(bytesOf(source));
  if (!read.ok) throw new Error(read.message);
  return read;
}

const CALL =
  ' {"jsonrpc" : "2.0","id":"a\\u0062", "method":"tools/call","params":{"_meta":{ "progressToken":1 ,"x":1.0},"name":"x","arguments":{"id":9007199254740993,"_meta":{"progressToken":1}}},"v":1e400}\n';

describe('edits', () => {
  it('[P2] replaceId changes the id and no other byte', () => {
    expect(text(replaceId(message(CALL), '17'))).toBe(CALL.replace('"a\\u0062"', '17'));
    expect(text(replaceId(message(CALL), bytesOf('"sealed"')))).toBe(CALL.replace('"a\\u0062"', '"sealed"'));
    expect(text(replaceId(reply('{"id":1,"jsonrpc":"2.0","result":{"id":1}}'), '"q"'))).toBe(
      '{"id":"q","jsonrpc":"2.0","result":{"id":1}}',
    );
  });

  it('[P2] gives the edited message with its own spans', () => {
    const edited = replaceId(message(CALL), '123456789');
    expect(edited).toMatchObject({ side: 'client', idKey: 'n:123456789', name: 'x' });
    expect(decode(edited.bytes.subarray(edited.argumentsSpan?.start, edited.argumentsSpan?.end))).toBe(
      '{"id":9007199254740993,"_meta":{"progressToken":1}}',
    );
  });

  it('[P2] replaceProgressToken changes the token of a request and of a progress message', () => {
    expect(text(replaceProgressToken(message(CALL), '"t"'))).toBe(
      CALL.replace('"progressToken":1 ', '"progressToken":"t" '),
    );
    const progress =
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":4,"progress":1,"_meta":{"progressToken":4}}}';
    expect(text(replaceProgressToken(reply(progress), '"abc"'))).toBe(progress.replace(':4,', ':"abc",'));
  });

  it('[P2] replaceSubscriptionId changes the tag of notifications and results', () => {
    const tagged = `"_meta":{"${META.subscriptionId}":1}`;
    for (const source of [
      `{"jsonrpc":"2.0","method":"notifications/message","params":{${tagged}}}`,
      `{"jsonrpc":"2.0","id":1,"result":{${tagged}}}`,
    ]) {
      expect(text(replaceSubscriptionId(reply(source), '"s"'))).toBe(
        source.replace(`${META.subscriptionId}":1`, `${META.subscriptionId}":"s"`),
      );
    }
  });

  it('[P2] replaceCancelledId changes the id that is cancelled', () => {
    const source = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x","reason":"x"}}';
    expect(text(replaceCancelledId(message(source), '5'))).toBe(source.replace('"requestId":"x"', '"requestId":5'));
    expect(() => replaceCancelledId(message(CALL), '5')).toThrow(EditError);
  });

  it('[P2] setEraMembers adds, replaces and removes', () => {
    const version = { [META.protocolVersion]: '"2026-07-28"' } as const;
    const none = { [META.protocolVersion]: null } as const;
    const key = `"${META.protocolVersion}"`;
    const set = (source: string, changes = version as Parameters<typeof setEraMembers>[1]) =>
      text(setEraMembers(message(source), changes));
    expect(set('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')).toBe(
      `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{${key}:"2026-07-28"}}}`,
    );
    expect(set('{"params":{ },"jsonrpc":"2.0","id":1,"method":"tools/list"}')).toBe(
      `{"params":{"_meta":{${key}:"2026-07-28"} },"jsonrpc":"2.0","id":1,"method":"tools/list"}`,
    );
    expect(set(`{"params":{"_meta":{"a":1, ${key} : "x" }},"jsonrpc":"2.0","id":1,"method":"tools/list"}`)).toBe(
      `{"params":{"_meta":{"a":1, ${key} : "2026-07-28" }},"jsonrpc":"2.0","id":1,"method":"tools/list"}`,
    );
    expect(set(`{"params":{"_meta":{"a":1, ${key}:"x"}},"jsonrpc":"2.0","id":1,"method":"tools/list"}`, none)).toBe(
      '{"params":{"_meta":{"a":1}},"jsonrpc":"2.0","id":1,"method":"tools/list"}',
    );
    expect(set('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', none)).toBe(
      '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
    );
    const both = { [META.protocolVersion]: null, [META.clientInfo]: '{"name":"n"}' } as const;
    expect(set(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{${key}:"x"}}}`, both)).toBe(
      `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"${META.clientInfo}":{"name":"n"}}}}`,
    );
    expect(text(setEraMembers(reply('{"jsonrpc":"2.0","id":1,"result":{}}'), { [META.serverInfo]: '{}' }))).toBe(
      `{"jsonrpc":"2.0","id":1,"result":{"_meta":{"${META.serverInfo}":{}}}}`,
    );
  });

  it('[P2] replaceResultType and replaceCacheScope set and remove', () => {
    const source = '{"jsonrpc":"2.0","id":1,"result":{"cacheScope" : "public", "tools":[]}}';
    expect(text(replaceCacheScope(reply(source), 'private'))).toBe(source.replace('public', 'private'));
    expect(text(replaceCacheScope(reply(source), null))).toBe('{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}');
    expect(text(replaceResultType(reply(source), 'complete'))).toBe(source.replace('[]', '[],"resultType":"complete"'));
    expect(() => replaceResultType(reply('{"jsonrpc":"2.0","id":1,"result":5}'), 'complete')).toThrow(EditError);
  });

  it('[P2] replaceRequestState changes a retry’s state and a result’s, and no other byte', () => {
    const retry =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","requestState" : "s\\u0031" ,"arguments":{"requestState":"a"}}}';
    expect(text(replaceRequestState(message(retry), '{"n":1.0}'))).toBe(retry.replace('"s\\u0031"', '{"n":1.0}'));
    expect(text(replaceRequestState(message(retry), null))).toBe(retry.replace('"requestState" : "s\\u0031" ,', ''));
    expect(() => replaceRequestState(message(CALL), '"s"')).toThrow('no request state');
    const asks = '{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required", "inputRequests":{}}}';
    expect(text(replaceRequestState(reply(asks), '"s"'))).toBe(asks.replace('{}}}', '{},"requestState":"s"}}'));
    expect(() => replaceRequestState(reply('{"jsonrpc":"2.0","id":1,"error":{}}'), '"s"')).toThrow(EditError);
  });

  it('[P2] keepInputResponses cuts the other answers, everything else stays', () => {
    const entry = fc.tuple(fc.boolean(), jsonText);
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 6 }),
        jsonText,
        fc.constantFrom('', ' ', '\n '),
        (entries, state, gap) => {
          const around = (members: string[]): string =>
            `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"a":1.0},"name":"x","inputResponses":{${gap}${members.join(`,${gap}`)}${gap}},"requestState":${state}}}`;
          const source = around(entries.map(([, value], index) => `"k${index}":${value}`));
          const read = readMessage(bytesOf(source));
          // What is read in two ways is no message of a client.
          fc.pre(read.ok);
          const names = new Set(entries.flatMap(([kept], index) => (kept ? [`k${index}`] : [])));
          const left = entries.flatMap(([kept, value], index) => (kept ? [`"k${index}":${value}`] : []));
          const edited = text(keepInputResponses(read as Message, names));
          if (left.length > 0) expect(edited).toBe(around(left));
          else
            expect(edited.replaceAll(gap === '' ? '\u0000' : gap, '')).toBe(
              around([]).replaceAll(gap === '' ? '\u0000' : gap, ''),
            );
        },
      ),
      runs(300),
    );
    expect(() => keepInputResponses(message(CALL), new Set())).toThrow('no object of input responses');
  });

  it('[P2] replaceTaskId changes the id of a task wherever the protocol has one, and no other byte', () => {
    const related = '"_meta":{"a":1.0,"io.modelcontextprotocol/related-task":{"x":1, "taskId" : "t\\u0031"}}';
    const places: [string, (source: string) => Message | Reply, 'own' | 'made' | 'related'][] = [
      ['{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t\\u0031","x":1.0}}', message, 'own'],
      [`{"jsonrpc":"2.0","id":1,"method":"ping","params":{${related}}}`, message, 'related'],
      [`{"jsonrpc":"2.0","id":1,"result":{"taskId":"t2",${related}}}`, message, 'related'],
      ['{"jsonrpc":"2.0","id":1,"result":{"resultType":"task", "taskId":"t\\u0031","ttlMs":1e3}}', reply, 'own'],
      ['{"jsonrpc":"2.0","id":1,"result":{"taskId":"t2","task":{"taskId":"t\\u0031","ttl":1e3}}}', reply, 'made'],
      [`{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"t2"},${related}}}`, reply, 'related'],
      ['{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"t\\u0031"}}', reply, 'own'],
      [`{"jsonrpc":"2.0","method":"notifications/message","params":{${related}}}`, reply, 'related'],
    ];
    for (const [source, read, place] of places) {
      expect(text(replaceTaskId(read(source), place, '"s"'))).toBe(source.replace('"t\\u0031"', '"s"'));
    }
    expect(taskIdAt(message(CALL), 'related')).toBeUndefined();
    expect(() => replaceTaskId(message(CALL), 'own', '"s"')).toThrow('no task id');
    expect(() => replaceTaskId(reply('{"jsonrpc":"2.0","id":1,"result":{"task":"t"}}'), 'made', '"s"')).toThrow(
      EditError,
    );
  });

  it('[P2] replaceListedTasks and replaceWatchedTasks replace and cut, everything else stays', () => {
    const item = fc.tuple(jsonText, fc.constantFrom('own', 'cut'));
    fc.assert(
      fc.property(fc.array(item, { maxLength: 6 }), fc.constantFrom('', ' ', '\n '), (items, gap) => {
        const array = (values: string[]): string => `[${gap}${values.join(`,${gap}`)}]`;
        const task = (value: string, id: string): string => `{"ttl":1.0, "taskId" :${id} ,"more":[${value}]}`;
        const ids = items.map(([, what]) => (what === 'cut' ? null : '"sealed"'));
        const list = (values: string[]): string =>
          `{"jsonrpc":"2.0","id":1,"result":{"n":1.0,"tasks": ${array(values)} ,"nextCursor":"\\u0063"}}`;
        const own = items.filter(([, what]) => what === 'own');
        const listed = reply(list(items.map(([value]) => task(value, '"t"'))));
        expect(text(replaceListedTasks(listed, ids))).toBe(list(own.map(([value]) => task(value, '"sealed"'))));
        const watch = (values: string[]): string =>
          `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"x":1.0,"taskIds":${array(values)}}}}`;
        expect(text(replaceWatchedTasks(message(watch(items.map(() => '"t"'))), ids))).toBe(
          watch(own.map(() => '"sealed"')),
        );
      }),
      runs(300),
    );
    const one = reply('{"jsonrpc":"2.0","id":1,"result":{"tasks":[{"taskId":"t"}]}}');
    expect(() => replaceListedTasks(one, [])).toThrow('there are 1 tasks');
    expect(() => replaceListedTasks(one, ['1,2'])).toThrow(EditError);
    expect(() => replaceListedTasks(reply('{"jsonrpc":"2.0","id":1,"result":{"tasks":[1]}}'), [null])).toThrow('no id');
    expect(() => replaceWatchedTasks(message(CALL), [])).toThrow('watches no tasks');
  });

  it('[P2] refuseCapabilities cuts what is named, in both eras', () => {
    const source =
      '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{"sampling":{}, "roots":{"listChanged":true},"x":{"sampling":{}}}}}';
    expect(text(refuseCapabilities(message(source), ['sampling', 'roots', 'none']))).toBe(
      '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{"x":{"sampling":{}}}}}',
    );
    const modern = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"${META.clientCapabilities}":{"elicitation":{},"sampling":{}}}}}`;
    expect(text(refuseCapabilities(message(modern), ['sampling']))).toBe(modern.replace(',"sampling":{}', ''));
    expect(refuseCapabilities(message(CALL), ['sampling'])).toMatchObject({ name: 'x' });
  });

  it('[P2] editListItems cuts and replaces items, everything else stays', () => {
    const item = fc.tuple(jsonText, fc.constantFrom('keep', 'cut', 'replace'));
    fc.assert(
      fc.property(fc.array(item, { maxLength: 6 }), fc.constantFrom('', ' ', '\n '), (items, gap) => {
        const array = (values: string[]): string => `[${gap}${values.join(`,${gap}`)}]`;
        const around = (list: string): string =>
          `{"jsonrpc":"2.0","id":1,"result":{"n":1.0,"tools": ${list} ,"nextCursor":"\\u0063"}}`;
        const original = reply(around(array(items.map(([value]) => value))));
        const place = original.resultMembers?.get('tools');
        if (place === undefined) throw new Error('no list');
        const edits = arrayItems(original.bytes, place).flatMap((span, index) => {
          const what = items[index]?.[1];
          return what === 'keep' ? [] : [{ item: span, replacement: what === 'cut' ? null : '{"name":"new"}' }];
        });
        const left = items.flatMap(([value, what]) =>
          what === 'cut' ? [] : [what === 'keep' ? value : '{"name":"new"}'],
        );
        expect(text(editListItems(original, 'tools', edits))).toBe(around(array(left)));
      }),
      runs(300),
    );
  });

  it('refuses an edit of what is no item', () => {
    const list = reply('{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}');
    const item = arrayItems(list.bytes, list.resultMembers?.get('tools') ?? { start: 0, end: 0 })[0] ?? {
      start: 0,
      end: 0,
    };
    expect(() =>
      editListItems(list, 'tools', [{ item: { start: item.start, end: item.end - 1 }, replacement: null }]),
    ).toThrow(EditError);
    expect(() => editListItems(list, 'tools', [{ item: { start: 0, end: 1 }, replacement: '{}' }])).toThrow(EditError);
    expect(() =>
      editListItems(list, 'tools', [
        { item, replacement: null },
        { item, replacement: null },
      ]),
    ).toThrow('edited twice');
    expect(() => editListItems(list, 'prompts', [])).toThrow('no list of prompts');
  });

  it('[P2] refuses a value that would not stay one value', () => {
    for (const raw of ['1,"other":2', '1,"method":"tools/list"', '', '1 2', '"', '{"a":1,"a":2}', '\ufeff1']) {
      expect(() => replaceId(message(CALL), raw), raw).toThrow(EditError);
    }
    // One value, but no legal id: the second reading refuses it.
    for (const raw of ['null', '1.5', '[]', '{}'])
      expect(() => replaceId(message(CALL), raw), raw).toThrow('is refused');
    expect(() => replaceProgressToken(message('{"jsonrpc":"2.0","id":1,"method":"ping"}'), '1')).toThrow(
      'no progress token',
    );
  });

  it('[P2] reads the result again with the depth it was read with', () => {
    const deep = readReply(bytesOf(`{"jsonrpc":"2.0","id":1,"result":${'['.repeat(600)}${']'.repeat(600)}}`), {
      maxDepth: 700,
    });
    if (!deep.ok) throw new Error(deep.message);
    expect(replaceId(deep, '2')).toMatchObject({ ok: true, maxDepth: 700 });
  });
});
