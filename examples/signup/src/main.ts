// Starts the application: see README.md.

import { Signup } from './app.js';

const { POSTHOUSE_URL = 'http://127.0.0.1:1080', POSTHOUSE_API_KEY = '', PORT = '9000' } = process.env;
const app = new Signup({ baseUrl: POSTHOUSE_URL, apiKey: POSTHOUSE_API_KEY, from: 'posthouse@localhost' });
app.server().listen(Number(PORT), '127.0.0.1', async () => {
  await app.subscribe(`http://127.0.0.1:${PORT}`);
  console.log(`curl -d email=delivered@example.net http://127.0.0.1:${PORT}/`);
});
