// Writes src/generated from openapi/posthouse.json; with --check, only tells whether it is current.
//
// The types are hey-api's. The operations are one class for each resource, with a method for each
// operation; names follow from the path and the operation id (names.mjs), so that a new operation
// needs nothing here.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { methodName, resourceName, typeName } from './names.mjs';
import { describeOperation } from './operation.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const committed = path.join(root, 'src', 'generated');

/** All operations of the document, by resource. */
function resources(document) {
  const found = new Map();
  for (const [url, item] of Object.entries(document.paths)) {
    for (const [verb, operation] of Object.entries(item)) {
      const resource = resourceName(url, operation);
      const method = methodName(resource, operation.operationId);
      const methods = found.get(resource) ?? new Map();
      if (methods.has(method)) {
        throw new Error(`${operation.operationId}: ${resource}.${method} is taken; choose another operation id`);
      }
      methods.set(method, describeOperation(document, url, verb, operation, method));
      found.set(resource, methods);
    }
  }
  return new Map([...found].sort(([a], [b]) => a.localeCompare(b)));
}

function classes(document) {
  const all = resources(document);
  const className = (name) => typeName(name) + 'Resource';
  const comment = (name) => {
    const tag = document.tags.find((tag) => resourceName(`/v1/${tag.name}`, {}) === name);
    return tag ? `  /** ${tag.description} */\n` : '';
  };
  const parts = [...all].map(
    ([name, methods]) =>
      `export class ${className(name)} extends Resource {\n${[...methods.values()].join('\n')}}\n`,
  );
  const fields = [...all.keys()].map((name) => `${comment(name)}  readonly ${name}: ${className(name)};\n`);
  const inits = [...all.keys()].map((name) => `    this.${name} = new ${className(name)}(api);\n`);
  parts.push(
    '/** Every resource of the API. */\n' +
      `export class Resources {\n${fields.join('')}\n` +
      `  constructor(api: Api) {\n${inits.join('')}  }\n}\n`,
  );
  return parts.join('\n');
}

/** The union of all events, told apart by `type`. */
function events(document) {
  const schemas = Object.values(document.webhooks).map(
    (item) => item.post.requestBody.content['application/json'].schema.$ref,
  );
  const names = schemas.map((reference) => `t.${typeName(reference.split('/').pop())}`);
  return (
    '/**\n * Any event, told apart by its `type`. A newer server may send types that this version does not\n' +
    ' * know: ignore them.\n */\n' +
    `export type AnyEvent =\n  | ${names.join('\n  | ')};\n`
  );
}

function render(document) {
  const names = Object.keys(document.components.schemas).map(typeName);
  const shown = names.filter((name) => name !== 'Event').sort();
  return [
    '// This file is generated from openapi/posthouse.json: run `make gen`, do not edit.\n',
    "import { type Api, Resource } from '../api.js';",
    "import type { ChangeOptions, CreateOptions, RawBody, RequestOptions } from '../options.js';",
    "import type { Pages } from '../pages.js';",
    "import type { EventStream } from '../stream.js';",
    "import type * as t from './types.gen.js';\n",
    `export type {\n${shown.map((name) => `  ${name},\n`).join('')}} from './types.gen.js';\n`,
    events(document),
    classes(document),
  ].join('\n');
}

function generate(out) {
  const command = path.join(root, '..', 'node_modules', '.bin', 'openapi-ts');
  const env = { ...process.env, POSTHOUSE_SDK_OUT: out };
  execFileSync(command, ['--file', 'openapi-ts.config.mjs', '--silent'], { cwd: root, env });
  const document = JSON.parse(readFileSync(path.join(root, '..', 'openapi', 'posthouse.json'), 'utf8'));
  writeFileSync(path.join(out, 'operations.gen.ts'), render(document));
}

function check() {
  const out = mkdtempSync(path.join(tmpdir(), 'posthouse-sdk-'));
  try {
    generate(out);
    const read = (dir, name) => (existsSync(path.join(dir, name)) ? readFileSync(path.join(dir, name), 'utf8') : '');
    const names = new Set([...readdirSync(out), ...(existsSync(committed) ? readdirSync(committed) : [])]);
    const outdated = [...names].filter((name) => read(out, name) !== read(committed, name));
    if (outdated.length > 0) {
      throw new Error(`sdk-ts/src/generated is not current; run \`make gen\`: ${outdated.join(', ')}`);
    }
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

try {
  if (process.argv.includes('--check')) check();
  else generate(committed);
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
