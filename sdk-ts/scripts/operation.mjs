// One operation of the document as a method: parameters in the order path, body, query, options.

import { typeName } from './names.mjs';

const resolve = (document, node) =>
  node?.$ref
    ? node.$ref
        .slice(2)
        .split('/')
        .reduce((value, key) => value[key], document)
    : node;

/** Events have a type for each kind; the schema `Event` only says what they share. */
function named(schema, fallback) {
  if (!schema?.$ref) return fallback;
  const name = typeName(schema.$ref.split('/').pop());
  return name === 'Event' ? 'AnyEvent' : `t.${name}`;
}

/** How the answer is read: the method of `Api` that does it, and its type. */
function answer(document, operation, verb) {
  const data = `t.${typeName(operation.operationId)}Response`;
  const [, success] = Object.entries(operation.responses).find(([status]) => status < '300');
  const [type, content] = Object.entries(resolve(document, success).content ?? {})[0] ?? [];
  if (type === undefined) return { call: 'call<void>', type: 'Promise<void>' };
  if (type === 'text/event-stream') {
    const item = named(content.schema, 'unknown');
    return { call: `stream<${item}>`, type: `EventStream<${item}>` };
  }
  if (type !== 'application/json') {
    const isText = /^text\/(plain|html)/.test(type);
    return isText ? { call: 'text', type: 'Promise<string>' } : { call: 'download', type: 'Promise<Response>' };
  }
  if (!content.schema || Object.keys(content.schema).length === 0) {
    return { call: 'call<unknown>', type: 'Promise<unknown>' };
  }
  const items = resolve(document, content.schema).properties?.data?.items;
  if (verb === 'get' && items && content.schema.$ref?.includes('/List_')) {
    const item = named(items, `${data}['data'][number]`);
    return { call: `pages<${item}>`, type: `Pages<${item}>` };
  }
  const body = named(content.schema, data);
  return { call: `call<${body}>`, type: `Promise<${body}>` };
}

function bodyOf(operation) {
  const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (type === undefined) return undefined;
  const isRaw = type !== 'application/json' && type !== 'multipart/form-data';
  const data = `t.${typeName(operation.operationId)}Data['body']`;
  return { type, ts: isRaw ? 'RawBody' : named(content.schema, data), required: operation.requestBody.required };
}

function comment(operation) {
  const lines = [operation.summary, ...(operation.description ? ['', operation.description] : [])];
  const text = lines.join('\n').replaceAll('*/', '*\\/');
  const body = text.split('\n').map((line) => `   * ${line}`.trimEnd());
  return `  /**\n${body.join('\n')}\n   */\n`;
}

const camelParameter = (name) => name.replace(/[-_](\w)/g, (_, letter) => letter.toUpperCase());

function options(names) {
  if (names.has('Idempotency-Key')) return 'CreateOptions';
  return names.has('If-Match') ? 'ChangeOptions' : 'RequestOptions';
}

/** The text of the method. */
export function describeOperation(document, url, verb, operation, method) {
  const parameters = (operation.parameters ?? []).map((parameter) => resolve(document, parameter));
  const of = (place) => parameters.filter((parameter) => parameter.in === place);
  const headers = new Set(of('header').map((parameter) => parameter.name));
  const body = bodyOf(operation);
  const { call, type } = answer(document, operation, verb);
  const args = of('path').map((parameter) => `${camelParameter(parameter.name)}: string`);
  const request = [`method: '${verb.toUpperCase()}'`];
  const template = url.replace(/\{([^}]+)\}/g, (_, name) => `\${encodeURIComponent(${camelParameter(name)})}`);
  request.push(template === url ? `path: '${url}'` : `path: \`${template}\``);
  if (body) {
    args.push(`body${body.required ? '' : '?'}: ${body.ts}`);
    request.push('body', `type: '${body.type}'`);
  }
  if (of('query').length > 0) {
    const required = of('query').some((parameter) => parameter.required);
    const query = `t.${typeName(operation.operationId)}Data['query']`;
    args.push(required ? `query: ${query}` : `query?: ${query}`);
    request.push('query');
  }
  if (headers.has('Idempotency-Key')) request.push('keyed: true');
  args.push(`options?: ${options(headers)}`);
  return (
    `${comment(operation)}  ${method}(${args.join(', ')}): ${type} {\n` +
    `    return this.api.${call}({ ${request.join(', ')} }, options);\n  }\n`
  );
}
