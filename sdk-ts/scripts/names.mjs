// Names of resources, methods and types: they follow from paths and operation ids alone.

const upperFirst = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** `List_Message` or `send_message` as a type: `ListMessage`, `SendMessage`. */
export function typeName(text) {
  return text.split(/[^A-Za-z0-9]+/).map(upperFirst).join('');
}

function camel(words) {
  const name = words.map(upperFirst).join('');
  return name.charAt(0).toLowerCase() + name.slice(1);
}

/** `/v1/api-keys/{id}` is of `apiKeys`; what has no version belongs to its tag. */
export function resourceName(url, operation) {
  const segment = /^\/v1\/([^/]+)/.exec(url)?.[1] ?? operation.tags[0];
  return camel(segment.split('-'));
}

function singular(noun) {
  if (/(xe|se|che)s$/.test(noun)) return noun.slice(0, -2);
  if (noun.endsWith('ies')) return `${noun.slice(0, -3)}y`;
  return noun.replace(/([^s])s$/, '$1');
}

/**
 * The operation id without the name of the resource, which the caller has just written:
 * `send_raw_message` of `messages` is `sendRaw`, `reply_to_mail` of `mail` is `reply`.
 */
export function methodName(resource, operationId) {
  const plural = resource.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const nouns = [plural, singular(plural), `${plural}s`];
  const text = `_${operationId}_`;
  const noun = nouns.find((noun) => text.indexOf(`_${noun}_`) > 0);
  const rest = noun ? text.replace(`_${noun}_`, '_') : text;
  const words = rest.split('_').filter((word) => word !== '');
  if (words.length > 1 && ['to', 'for', 'of'].includes(words.at(-1))) words.pop();
  return camel(words);
}
