// Builds the package and what uses it, starts a server, runs all tests against it, stops it.
//
// POSTHOUSE_BIN names the server's binary. It gets ports and a data directory of its own.

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { readmeModule } from './readme.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const sdk = path.dirname(here);
const repository = path.dirname(sdk);
const build = path.join(here, 'build');
/** What is added to the port base (`posthouse localserve --help`). */
const PORTS = [80, 25, 587, 465, 143, 993];

function compile(project) {
  const command = path.join(repository, 'node_modules', '.bin', 'tsc');
  const { status } = spawnSync(command, ['--project', project], { cwd: repository, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${project} does not compile`);
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

async function freeBase() {
  for (let tries = 0; tries < 100; tries += 1) {
    const base = 10_000 + Math.floor(Math.random() * 20_000);
    const free = await Promise.all(PORTS.map((port) => isFree(base + port)));
    if (free.every(Boolean)) return base;
  }
  throw new Error('there are no free ports');
}

/** Starts the server; gives its line of JSON and a function that stops it. */
async function localserve(binary) {
  const data = mkdtempSync(path.join(tmpdir(), 'posthouse-sdk-test-'));
  const args = ['localserve', '--data', data, '--port-base', String(await freeBase()), '--json'];
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk) => {
    log = (log + chunk).slice(-20_000);
  });
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([new Promise((resolve) => lines.once('line', resolve)), ended]);
  const stop = async () => {
    // Ours alone, by its id.
    child.kill('SIGTERM');
    await ended;
    rmSync(data, { recursive: true, force: true });
  };
  if (typeof line !== 'string') throw new Error(`${binary} did not start:\n${log}`);
  return { line, stop, log: () => log };
}

function runTests(env) {
  const files = readdirSync(build).filter((name) => name.endsWith('.test.js'));
  const args = ['--test', '--test-timeout=60000', ...files.map((name) => path.join(build, name))];
  const child = spawn(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}

const binary = process.env.POSTHOUSE_BIN;
if (!binary) {
  console.error('error: set POSTHOUSE_BIN to the binary of the server, such as target/debug/posthouse');
  process.exit(1);
}
rmSync(build, { recursive: true, force: true });
mkdirSync(build);
writeFileSync(path.join(build, 'readme.ts'), readmeModule(path.join(sdk, 'README.md')));
const starting = localserve(path.resolve(binary));
// Told below, when everything is built.
starting.catch(() => {});
let code = 1;
try {
  for (const project of ['sdk-ts', 'sdk-ts/test', 'sdk-ts/test/consumer', 'examples/signup']) compile(project);
  const server = await starting;
  code = await runTests({ POSTHOUSE_LOCALSERVE: server.line });
  if (code !== 0) console.error(server.log());
} catch (error) {
  console.error(`error: ${error.message}`);
} finally {
  await starting.then((server) => server.stop()).catch(() => {});
}
process.exit(code);
