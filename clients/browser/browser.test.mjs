// A real browser: a page of another origin calls the gateway, by `fetch` and by both SDKs.
//
// The browser is Debian's chromium-headless-shell, or what CHROMIUM names.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';
import { after, before, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { SHORT, keys, model, same, url } from '../node/world.mjs';

const MODULES = join(process.env.REMUDA_CLIENTS_CACHE, 'npm/node_modules');
// What a bundler would find in the packages; webhooks, of CommonJS, are for servers.
const IMPORTS = {
  openai: '/openai/index.mjs',
  '@anthropic-ai/sdk': '/@anthropic-ai/sdk/index.mjs',
  '@opentelemetry/api': '/@opentelemetry/api/dist/index.mjs',
  standardwebhooks: 'data:text/javascript,export const Webhook = undefined;',
};
const PAGE = `<!doctype html><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;

let server, browser, page;

before(async () => {
  server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://x').pathname);
    try {
      const body = path === '/' ? PAGE : await readFile(join(MODULES, path));
      response.writeHead(200, { 'content-type': path === '/' ? 'text/html' : 'text/javascript' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium-headless-shell',
    args: ['--no-sandbox', '--disable-gpu'],
  });
  page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`); // another port is another origin
});

after(async () => {
  await browser?.close();
  server?.close();
});

const body = { model, temperature: 0, max_tokens: 32, messages: [{ role: 'user', content: SHORT }] };

/** A POST from the page: status, a header that it may see only if allowed, and the text. */
const post = (path, body, key, headers = {}) =>
  page.evaluate(
    async (target, body, key, headers) => {
      const answer = await fetch(target, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      });
      return { status: answer.status, id: answer.headers.get('x-request-id'), text: await answer.text() };
    },
    url + path,
    body,
    key,
    headers,
  );

const DOORS = [
  ['/v1/chat/completions', body],
  ['/v1/messages', body],
  ['/v1/completions', { model, temperature: 0, max_tokens: 8, prompt: 'Once' }],
  ['/v1/responses', { model, temperature: 0, max_output_tokens: 32, input: SHORT }],
];
for (const [path, body] of DOORS) {
  test(`a page asks ${path}`, async () => {
    const answer = await post(path, body, keys.good, { 'x-stainless-lang': 'js', 'anthropic-version': '2023-06-01' });
    assert.ok(answer.status === 200 && answer.id && JSON.parse(answer.text));
  });
}

test('a page reads why it is refused', async () => {
  const answer = await post('/v1/chat/completions', body, 'rk_nobody');
  assert.equal(answer.status, 401);
  assert.equal(JSON.parse(answer.text).error.code, 'invalid_api_key');
});

test('a page reads a stream', async () => {
  const { text } = await post('/v1/chat/completions', { ...body, stream: true }, keys.good);
  assert.ok(text.endsWith('data: [DONE]\n\n'));
});

test("OpenAI's SDK in a page", async (t) => {
  const text = await page.evaluate(
    async (baseURL, apiKey, body) => {
      const { default: OpenAI } = await import('openai');
      const client = new OpenAI({ baseURL, apiKey, dangerouslyAllowBrowser: true, maxRetries: 0 });
      let text = '';
      for await (const chunk of await client.chat.completions.create({ ...body, stream: true }))
        text += chunk.choices[0]?.delta.content ?? '';
      return text;
    },
    `${url}/v1`,
    keys.good,
    body,
  );
  assert.ok(text.includes('Paris'));
  same(t, text);
});

test("Anthropic's SDK in a page", async (t) => {
  const text = await page.evaluate(
    async (baseURL, apiKey, body) => {
      const { default: Anthropic } = await import('@anthropic-ai/sdk');
      const client = new Anthropic({ baseURL, apiKey, dangerouslyAllowBrowser: true, maxRetries: 0 });
      return client.messages.stream(body).finalText();
    },
    url,
    keys.good,
    body,
  );
  assert.ok(text.includes('Paris'));
  same(t, text);
});
