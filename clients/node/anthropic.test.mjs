// Anthropic's SDK for Node: messages, streams and tools, through its own accumulation of events.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { LONG, SHORT, WEATHER, Weather, anthropic, collect, keys, model, same, world } from './world.mjs';

const client = anthropic();
const asked = (content = SHORT, more = {}) => ({
  model,
  max_tokens: 64,
  temperature: 0,
  messages: [{ role: 'user', content }],
  ...more,
});
const TOOL = { name: 'get_weather', description: 'The weather in a city.', input_schema: WEATHER };
const text = (message) =>
  message.content
    .filter((block) => block.type === 'text')
    .map((block) => block.text)
    .join('');
const call = (message) => message.content.find((block) => block.type === 'tool_use');

test('whole', async (t) => {
  const message = await client.messages.create(asked());
  assert.ok(text(message).includes('Paris') && message.stop_reason === 'end_turn' && message._request_id);
  assert.equal(typeof message.usage.cache_read_input_tokens, 'number');
  same(t, text(message));
});

test('stream helper', async (t) => {
  const stream = client.messages.stream(asked(LONG));
  let pieces = '';
  stream.on('text', (piece) => (pieces += piece));
  const message = await stream.finalMessage();
  const whole = await client.messages.create(asked(LONG));
  assert.equal(pieces, text(whole));
  assert.deepEqual(
    [text(message), message.stop_reason, message.usage.output_tokens],
    [text(whole), whole.stop_reason, whole.usage.output_tokens],
  );
  assert.ok(stream.request_id);
  same(t, pieces);
});

test('long streams at once', async (t) => {
  const one = async (number) => {
    const message = await client.messages.stream(asked(`Tell me story ${number}.`, { max_tokens: 300 })).finalMessage();
    assert.ok(['end_turn', 'max_tokens'].includes(message.stop_reason), 'the stream is complete');
    return text(message);
  };
  same(t, await Promise.all([1, 2, 3, 4].map(one)));
});

test('a tool, streamed, and its result', async (t) => {
  const wanted = asked('How warm is it in Oslo?', { tools: [TOOL], tool_choice: { type: 'any' } });
  const first = await client.messages.stream(wanted).finalMessage();
  assert.equal(first.stop_reason, 'tool_use');
  Weather.parse(call(first).input);
  const result = { type: 'tool_result', tool_use_id: call(first).id, content: '{"degrees": 21}' };
  const messages = [
    ...wanted.messages,
    { role: 'assistant', content: first.content },
    { role: 'user', content: [result] },
  ];
  const answer = await client.messages.create(asked('', { messages, tools: [TOOL], tool_choice: { type: 'none' } }));
  assert.ok(text(answer));
  same(t, [call(first).input, text(answer)]);
});

test('stop sequences', async () => {
  const whole = text(await client.messages.create(asked(LONG)));
  const word = whole.split(/\s+/)[4];
  const message = await client.messages.create(asked(LONG, { stop_sequences: [word] }));
  assert.deepEqual([message.stop_reason, message.stop_sequence], ['stop_sequence', word]);
  assert.equal(text(message), whole.slice(0, whole.indexOf(word)));
});

test('counts and models', async () => {
  const { input_tokens } = await client.messages.countTokens({ model, messages: asked().messages });
  const { usage } = await client.messages.create(asked());
  assert.equal(input_tokens, usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens);
  const models = await collect(await client.models.list());
  assert.ok(models.some((found) => found.id === model && found.type === 'model' && found.display_name));
});

const REFUSALS = [
  [
    'no such key',
    Anthropic.AuthenticationError,
    'authentication_error',
    () => anthropic('rk_nobody').messages.create(asked()),
  ],
  [
    'a key for other things',
    Anthropic.PermissionDeniedError,
    'permission_error',
    () => anthropic(keys.read).messages.create(asked()),
  ],
  [
    'no such model',
    Anthropic.NotFoundError,
    'not_found_error',
    () => client.messages.create(asked(SHORT, { model: 'no-such-model' })),
  ],
  [
    'a wrong value',
    Anthropic.BadRequestError,
    'invalid_request_error',
    () => client.messages.create(asked(SHORT, { temperature: 3 })),
  ],
  [
    'no money',
    Anthropic.APIError,
    'billing_error',
    () => anthropic(keys.poor).messages.create(asked(SHORT, { model: world.dear_model, max_tokens: 2000 })),
  ],
  [
    'a body over the limit',
    Anthropic.APIError,
    'request_too_large',
    () => client.messages.create(asked('horse '.repeat(2_000_000))),
  ],
];
for (const [name, kind, type, ask] of REFUSALS) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(ask, (error) => {
      assert.ok(error instanceof kind, `${error}`);
      assert.ok(error.requestID);
      assert.equal(error.error.error.type, type);
      return true;
    });
  });
}

test('too many requests, and patience', async () => {
  const hurried = anthropic(keys.hurried);
  await assert.rejects(
    async () => {
      for (let n = 0; n < 200; n++) await hurried.messages.create(asked('Hi', { max_tokens: 1 }));
    },
    (error) => error instanceof Anthropic.RateLimitError && Number(error.headers.get('retry-after')) >= 1,
  );
  assert.ok(await anthropic(keys.hurried, 8).messages.create(asked('Hi', { max_tokens: 1 })));
});
