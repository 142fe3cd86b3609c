// Puts our strict types and readable unions in the place of the SDK's, before its models are loaded.
const STRICT = {
  "/types/primitives.js": "strict_primitives.mjs",
  "/types/smartUnion.js": "plain_union.mjs",
};

export async function resolve(specifier, context, next) {
  for (const [theirs, ours] of Object.entries(STRICT)) {
    if (specifier.endsWith(theirs) && context.parentURL?.includes("/@vercel/sdk/")) {
      return { url: new URL(ours, import.meta.url).href, shortCircuit: true };
    }
  }
  return next(specifier, context);
}
