// Runs the examples of README.md.

import { test } from 'node:test';
import { localserve } from './support.js';

test('the examples of the README run', async () => {
  const { http_url, api_key } = localserve();
  process.env['POSTHOUSE_URL'] = http_url;
  process.env['POSTHOUSE_API_KEY'] = api_key;
  // Built from README.md by run.mjs.
  await import('./build/readme.js');
});
