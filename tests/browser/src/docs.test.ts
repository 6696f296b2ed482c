import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { script } from '../../e2e/src/harness/definition.js';
import { Installation } from '../../e2e/src/harness/installation.js';
import { launch, Person } from './browser.js';

let slipway: Installation;
let browser: Browser;

beforeAll(async () => {
  [slipway, browser] = await Promise.all([Installation.start(), launch()]);
});
afterAll(async () => {
  await browser?.close();
  await slipway?.stop();
});

test('the API page is for who has signed in, and tries out what it shows', async () => {
  await slipway.client.pipelines.create.mutate({ name: 'build', definition: script('true') });
  const person = await Person.of(browser, slipway.url);

  person.expectComplaint(/401/);
  const stranger = await person.open('/docs');
  await stranger.getByRole('heading', { name: 'Sign in' }).waitFor();

  await person.open(new URL(slipway.signInLink).pathname);
  const page = await person.open('/docs');
  const trigger = page.locator('.opblock-post', { hasText: '/pipelines/{pipelineId}/runs' });
  await trigger.locator('.opblock-summary').click();
  await trigger.getByRole('button', { name: 'Try it out' }).click();
  await trigger.getByPlaceholder('pipelineId').fill('build');
  await trigger.locator('textarea').fill('{}');
  await trigger.getByRole('button', { name: 'Execute' }).click();
  await trigger.locator('.live-responses-table').getByText('201').first().waitFor();

  const { items } = await slipway.client.runs.list.query({ pipelineId: 'build' });
  expect(items.length).toBe(1);
  await person.leave();
});
