// The types of the document; the operations are made by scripts/generate.mjs.
export default {
  input: '../openapi/posthouse.json',
  output: { path: process.env.POSTHOUSE_SDK_OUT ?? 'src/generated', entryFile: false },
  plugins: ['@hey-api/typescript'],
};
