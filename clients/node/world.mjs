// What the suites in Node know of the network, and what was answered before (see ../world.py).

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { z } from 'zod';

export const world = JSON.parse(readFileSync(process.env.REMUDA_CLIENTS, 'utf8'));
export const { url, model, embedding_model, keys } = world;
export const SHORT = 'What is the capital of France? Answer in one word.';
export const LONG = 'List three colours and say something of each.';
export const Horse = z.object({ colour: z.enum(['bay', 'roan', 'grey']), tame: z.boolean() });
export const Weather = z.object({ city: z.enum(['Paris', 'Oslo']), celsius: z.boolean() });
export const WEATHER = {
  type: 'object',
  properties: { city: { type: 'string', enum: ['Paris', 'Oslo'] }, celsius: { type: 'boolean' } },
  required: ['city', 'celsius'],
  additionalProperties: false,
};

// The clients do not retry: a door that has to be knocked at twice is a failure here.
export const openai = (key = keys.good, maxRetries = 0) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries, timeout: 120_000 });
export const anthropic = (key = keys.good, maxRetries = 0) =>
  new Anthropic({ baseURL: url, apiKey: key, maxRetries, timeout: 120_000 });

/** Checks that an answer is the one of the pass in which nothing was killed. */
export function same(test, answer) {
  const folder = join(world.answers, world.suite);
  const file = join(folder, `${test.name.replaceAll('/', '_')}.json`);
  const text = JSON.stringify(answer);
  if (world.killing) {
    assert.ok(existsSync(file), 'there is no answer of the calm pass to compare with');
    assert.equal(text, readFileSync(file, 'utf8'));
  } else {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, text);
  }
}

export async function collect(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}
