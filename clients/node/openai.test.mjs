// OpenAI's SDK for Node: the same doors as in ../python, through helpers that accumulate differently.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat, zodFunction } from 'openai/helpers/zod';
import {
  Horse,
  LONG,
  SHORT,
  WEATHER,
  Weather,
  collect,
  embedding_model,
  keys,
  model,
  openai,
  same,
  world,
} from './world.mjs';

const client = openai();
const asked = (content = SHORT, more = {}) => ({
  model,
  messages: [{ role: 'user', content }],
  temperature: 0,
  max_tokens: 64,
  ...more,
});
const respond = (input = SHORT, more = {}) => ({ model, input, temperature: 0, max_output_tokens: 64, ...more });
const TOOL = { type: 'function', function: { name: 'get_weather', parameters: WEATHER, strict: true } };
const FLAT_TOOL = { type: 'function', name: 'get_weather', parameters: WEATHER, strict: true };

test('chat, whole and streamed', async (t) => {
  const { data: whole, request_id } = await client.chat.completions.create(asked(LONG)).withResponse();
  const chunks = await collect(
    await client.chat.completions.create(asked(LONG, { stream: true, stream_options: { include_usage: true } })),
  );
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
  assert.ok(request_id);
  assert.equal(text, whole.choices[0].message.content);
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.equal(chunks.at(-1).usage.completion_tokens, whole.usage.completion_tokens);
  same(t, text);
});

test('chat, stream helper', async (t) => {
  const stream = client.chat.completions.stream(asked(LONG, { logprobs: true, top_logprobs: 2 }));
  const {
    choices: [choice],
  } = await stream.finalChatCompletion();
  assert.equal(choice.logprobs.content.map((token) => token.token).join(''), choice.message.content);
  assert.equal(choice.message.content, (await client.chat.completions.create(asked(LONG))).choices[0].message.content);
  same(t, choice.message.content);
});

test('chat, long streams at once', async (t) => {
  const one = async (number) => {
    const wild = asked(`Tell me story ${number}.`, { temperature: 0.8, seed: number, max_tokens: 300, stream: true });
    const chunks = await collect(await client.chat.completions.create(wild));
    assert.ok(['stop', 'length'].includes(chunks.at(-1).choices[0].finish_reason), 'the stream is complete');
    return chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join('');
  };
  same(t, await Promise.all([1, 2, 3, 4, 5, 6].map(one)));
});

test('chat, a schema parsed by zod', async (t) => {
  const wanted = asked('Describe a horse.', { response_format: zodResponseFormat(Horse, 'horse') });
  const {
    choices: [choice],
  } = await client.chat.completions.parse(wanted);
  const streamed = await client.chat.completions.stream(wanted).finalChatCompletion();
  assert.deepEqual(Horse.parse(choice.message.parsed), streamed.choices[0].message.parsed);
  same(t, choice.message.content);
});

test('chat, a streamed tool call', async (t) => {
  const tool = zodFunction({ name: 'get_weather', parameters: Weather });
  const stream = client.chat.completions.stream(
    asked('How warm is it in Oslo?', { tools: [tool], tool_choice: 'required' }),
  );
  const {
    choices: [choice],
  } = await stream.finalChatCompletion();
  assert.equal(choice.finish_reason, 'tool_calls');
  Weather.parse(choice.message.tool_calls[0].function.parsed_arguments);
  same(t, choice.message.tool_calls[0].function.arguments);
});

for (const stream of [false, true]) {
  test(`chat, runTools ${stream ? 'streamed' : 'whole'}`, async () => {
    const asks = [];
    const get_weather = (args) => (asks.push(Weather.parse(args)), '{"degrees": 21}');
    const tool = { type: 'function', function: { ...TOOL.function, function: get_weather, parse: JSON.parse } };
    const named = { type: 'function', function: { name: 'get_weather' } };
    // A named tool ends the runner after its call.
    const runner = client.chat.completions.runTools(
      asked('How warm is it in Oslo?', { stream, tools: [tool], tool_choice: named }),
    );
    await runner.done();
    assert.equal(asks.length, 1);
    assert.deepEqual(
      runner.messages.map((message) => message.role),
      ['user', 'assistant', 'tool'],
    );
  });
}

test('responses, whole, kept and deleted', async (t) => {
  const made = await client.responses.create(respond());
  assert.ok(made.output_text.includes('Paris') && made.status === 'completed');
  assert.equal((await client.responses.retrieve(made.id)).output_text, made.output_text);
  assert.equal((await client.responses.inputItems.list(made.id)).data[0].content[0].text, SHORT);
  await client.responses.delete(made.id);
  await assert.rejects(client.responses.retrieve(made.id), OpenAI.NotFoundError);
  same(t, made.output_text);
});

test('responses, stream helper', async (t) => {
  const stream = client.responses.stream(respond());
  const kinds = (await collect(stream)).map((event) => event.type);
  const final = await stream.finalResponse();
  assert.deepEqual([kinds[0], kinds.at(-1)], ['response.created', 'response.completed']);
  assert.equal(final.output_text, (await client.responses.create(respond())).output_text);
  same(t, final.output_text);
});

test('responses, long streams at once', async (t) => {
  const one = async (number) => {
    const events = await collect(
      await client.responses.create(respond(`Tell me story ${number}.`, { max_output_tokens: 300, stream: true })),
    );
    assert.ok(['response.completed', 'response.incomplete'].includes(events.at(-1).type), 'the stream is complete');
    return events
      .filter((event) => event.type === 'response.output_text.delta')
      .map((event) => event.delta)
      .join('');
  };
  same(t, await Promise.all([1, 2, 3, 4].map(one)));
});

test('responses, a schema parsed by zod', async (t) => {
  const wanted = respond('Describe a horse.', { text: { format: zodTextFormat(Horse, 'horse') } });
  const made = await client.responses.parse(wanted);
  Horse.parse(made.output_parsed);
  assert.deepEqual((await client.responses.stream(wanted).finalResponse()).output_parsed, made.output_parsed);
  same(t, made.output_text);
});

test('responses, a tool and its result', async (t) => {
  const wanted = respond('How warm is it in Oslo?', { tools: [FLAT_TOOL], tool_choice: 'required' });
  const final = await client.responses.stream(wanted).finalResponse();
  const call = final.output.find((item) => item.type === 'function_call');
  Weather.parse(JSON.parse(call.arguments));
  const result = { type: 'function_call_output', call_id: call.call_id, output: '{"degrees": 21}' };
  const more = { tools: [FLAT_TOOL], tool_choice: 'none', previous_response_id: final.id };
  const answer = await client.responses.create(respond([result], more));
  assert.ok(answer.output_text);
  same(t, [call.arguments, answer.output_text]);
});

test('completions', async (t) => {
  const wanted = { model, prompt: 'Once upon a time', max_tokens: 32, temperature: 0 };
  const whole = await client.completions.create(wanted);
  const chunks = await collect(await client.completions.create({ ...wanted, stream: true }));
  const text = chunks.map((chunk) => chunk.choices[0]?.text ?? '').join('');
  assert.equal(text, whole.choices[0].text);
  same(t, text);
});

test('embeddings, whatever the encoding', async () => {
  const one = async (more) =>
    (await client.embeddings.create({ model: embedding_model, input: ['a horse'], ...more })).data[0].embedding;
  const [floats, decoded] = [await one({ encoding_format: 'float' }), await one({})];
  assert.equal(decoded.length, floats.length);
  assert.ok(decoded.every((number, at) => Math.abs(number - floats[at]) < 1e-6));
});

test('models', async () => {
  const names = (await collect(await client.models.list())).map((found) => found.id);
  assert.ok(names.includes(model));
  assert.equal((await client.models.retrieve(model)).object, 'model');
});

const REFUSALS = [
  ['no such key', OpenAI.AuthenticationError, () => openai('rk_nobody').chat.completions.create(asked())],
  ['a key for other things', OpenAI.PermissionDeniedError, () => openai(keys.read).chat.completions.create(asked())],
  [
    'no such model',
    OpenAI.NotFoundError,
    () => client.chat.completions.create(asked(SHORT, { model: 'no-such-model' })),
    'model',
  ],
  ['no such response', OpenAI.NotFoundError, () => client.responses.retrieve('resp_0000')],
  [
    'a wrong value',
    OpenAI.BadRequestError,
    () => client.chat.completions.create(asked(SHORT, { temperature: 3 })),
    'temperature',
  ],
  [
    'no money',
    OpenAI.APIError,
    () => openai(keys.poor).chat.completions.create(asked(SHORT, { model: world.dear_model, max_tokens: 2000 })),
    undefined,
    402,
  ],
  [
    'a body over the limit',
    OpenAI.APIError,
    () => client.chat.completions.create(asked('horse '.repeat(2_000_000))),
    undefined,
    413,
  ],
];
for (const [name, kind, ask, param, status] of REFUSALS) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(ask, (error) => {
      assert.ok(error instanceof kind, `${error}`);
      assert.ok(error.requestID && (!status || error.status === status) && (!param || error.param === param));
      return true;
    });
  });
}

test('too many requests, and patience', async () => {
  const hurried = openai(keys.hurried);
  await assert.rejects(
    async () => {
      for (let n = 0; n < 200; n++) await hurried.chat.completions.create(asked('Hi', { max_tokens: 1 }));
    },
    (error) => error instanceof OpenAI.RateLimitError && Number(error.headers.get('retry-after')) >= 1,
  );
  assert.ok(await openai(keys.hurried, 8).chat.completions.create(asked('Hi', { max_tokens: 1 })));
});

test('a client that leaves in the middle', async () => {
  for (let n = 0; n < 12; n++) {
    const stream = await client.chat.completions.create(
      asked(LONG, { max_tokens: 4000, temperature: 1, stream: true }),
    );
    for await (const _ of stream) break; // the SDK closes the connection
  }
  assert.ok((await client.chat.completions.create(asked())).choices[0].message.content.includes('Paris'));
});
