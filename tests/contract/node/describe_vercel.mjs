// Prints what models of @vercel/sdk describe, as JSON Schema: {"models": {"GetAliasResponseBody": {…}, …}, "$defs": {…}}.
// Arguments: file and model, as "getaliasop:GetAliasResponseBody".
import { register } from "node:module";

register("./loader.mjs", import.meta.url);

const definitions = {};
const names = new Map();

function named(schema) {
  if (!names.has(schema)) {
    const name = `d${names.size}`;
    names.set(schema, name);
    definitions[name] = described(schema);
  }
  return { $ref: `#/$defs/${names.get(schema)}` };
}

function described(schema) {
  const def = schema._def;
  switch (def.typeName) {
    case "ZodString":
      return def.checks?.some((check) => check.kind === "datetime")
        ? { type: "string", format: "date-time" }
        : { type: "string" };
    case "ZodNumber":
      return { type: "number" };
    case "ZodBoolean":
      return { type: "boolean" };
    case "ZodNull":
      return { type: "null" };
    case "ZodAny":
    case "ZodUnknown":
      return {};
    case "ZodLiteral":
      return { const: def.value };
    case "ZodEnum":
      return { enum: def.values };
    case "ZodNativeEnum":
      return { enum: Object.values(def.values) };
    case "ZodArray":
      return { type: "array", items: described(def.type) };
    case "ZodRecord":
      return { type: "object", additionalProperties: described(def.valueType) };
    case "ZodObject":
      return object(def);
    case "ZodNullable":
      return { anyOf: [described(def.innerType), { type: "null" }] };
    case "ZodUnion":
      return { anyOf: def.options.map(described) };
    case "ZodIntersection":
      return { allOf: [described(def.left), described(def.right)] };
    case "ZodOptional":
    case "ZodDefault":
      return described(def.innerType);
    case "ZodEffects":
      return described(def.schema);
    case "ZodPipeline":
      return described(def.in);
    case "ZodLazy":
      return named(def.getter());
    default:
      throw new Error(`a type that is not described here: ${def.typeName}`);
  }
}

function object(def) {
  const fields = Object.entries(def.shape());
  const rest = def.catchall._def.typeName === "ZodNever" ? false : described(def.catchall);
  return {
    type: "object",
    properties: Object.fromEntries(fields.map(([name, field]) => [name, described(field)])),
    required: fields.filter(([, field]) => !optional(field)).map(([name]) => name),
    additionalProperties: rest,
  };
}

function optional(schema) {
  const { typeName, schema: inner } = schema._def;
  return typeName === "ZodOptional" || typeName === "ZodDefault" || (typeName === "ZodEffects" && optional(inner));
}

const models = {};
for (const argument of process.argv.slice(2)) {
  const [file, model] = argument.split(":");
  const module = await import(`./node_modules/@vercel/sdk/esm/models/${file}.js`);
  models[model] = described(module[`${model}$inboundSchema`] ?? module[`${model}$outboundSchema`]);
}
console.log(JSON.stringify({ models, $defs: definitions }));
