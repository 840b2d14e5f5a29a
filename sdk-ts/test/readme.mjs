// The examples of README.md as one module, which is compiled and run like any other test.

import { readFileSync } from 'node:fs';

/** Imports first, then each example in a block of its own; the first declares what all use. */
export function readmeModule(file) {
  const blocks = [...readFileSync(file, 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
  const isImport = (line) => line.startsWith('import ');
  const imports = blocks.flatMap((code) => code.split('\n').filter(isImport));
  const [first, ...rest] = blocks.map((code) => code.split('\n').filter((line) => !isImport(line)).join('\n'));
  const body = rest.map((code) => `{\n${code}}\n`).join('\n');
  return `${[...new Set(imports)].join('\n')}\n${first}\n${body}`;
}
